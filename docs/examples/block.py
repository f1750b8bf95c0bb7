"""Block addresses, or unblock those after a minus, and print all that are blocked.

XMPP_PASSWORD=secret python block.py romeo@example.org tybalt@example.net -paris@example.net
"""

import trioxmpp
from trioxmpp.im.blocking import open_blocking


async def main(jid, password, *addresses, **options):
    async with trioxmpp.connect(jid, password, **options) as client, open_blocking(client) as blocklist:
        if blocked := [address for address in addresses if not address.startswith("-")]:
            await blocklist.block(*blocked)
        if unblocked := [address[1:] for address in addresses if address.startswith("-")]:
            await blocklist.unblock(*unblocked)
        for address in sorted(blocklist):
            print(address)


if __name__ == "__main__":
    trioxmpp.run(main)
