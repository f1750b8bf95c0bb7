"""Create an account.

XMPP_PASSWORD=secret python register_account.py nurse@example.org
"""

import os
import sys

import trio

from trioxmpp import XMPPError
from trioxmpp.xep.accounts import RegistrationElsewhere, register


async def main(jid, password, **options):
    try:
        await register(jid, password, **options)
    except (XMPPError, RegistrationElsewhere) as error:
        sys.exit(f"no account: {error}")
    print(f"{jid} has an account now")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], os.environ["XMPP_PASSWORD"])
