"""Create an account.

XMPP_PASSWORD=secret python register_account.py nurse@example.org
"""

import sys

import trioxmpp
from trioxmpp import XMPPError
from trioxmpp.xep.accounts import RegistrationElsewhere, register


async def main(jid, password, **options):
    try:
        await register(jid, password, **options)
    except (XMPPError, RegistrationElsewhere) as error:
        sys.exit(f"no account: {error}")
    print(f"{jid} has an account now")


if __name__ == "__main__":
    trioxmpp.run(main)
