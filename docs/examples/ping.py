"""Ping an address, or our own server.

XMPP_PASSWORD=secret python ping.py romeo@example.org example.net
"""

import trioxmpp
from trioxmpp import XMPPError
from trioxmpp.xep.basics import ping


async def main(jid, password, target=None, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        target = target or client.jid.domain
        try:
            print(f"{target} answered in {await ping(client, target):.3f} seconds")
        except (XMPPError, TimeoutError) as error:
            print(f"{target} did not answer: {error}")


if __name__ == "__main__":
    trioxmpp.run(main)
