"""Ask many addresses at once which program runs there.

XMPP_PASSWORD=secret python versions.py romeo@example.org example.org juliet@example.org/balcony
"""

import trio

import trioxmpp
from trioxmpp import StanzaError
from trioxmpp.xep.basics import software_version


async def ask(client, address):
    try:
        version = await software_version(client, address, timeout=20)
        print(f"{address}: {version.name} {version.version or ''} {version.os or ''}")
    except (StanzaError, TimeoutError) as error:
        print(f"{address} does not tell: {error}")


async def main(jid, password, *addresses, **options):
    async with trioxmpp.connect(jid, password, **options) as client, trio.open_nursery() as nursery:
        for address in addresses:
            nursery.start_soon(ask, client, address)


if __name__ == "__main__":
    trioxmpp.run(main)
