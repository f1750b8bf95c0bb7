"""Print what an entity is, what it can do, and what it consists of.

XMPP_PASSWORD=secret python disco_browser.py romeo@example.org example.org [node]
"""

import trioxmpp
from trioxmpp import XMPPError


async def main(jid, password, entity, node=None, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        try:
            info = await client.disco.info(entity, node)
            items = await client.disco.items(entity, node)
        except XMPPError as error:
            return print(f"{entity} does not tell: {error}")
        for identity in info.identities:
            print("identity:", f"{identity.category}/{identity.type}", identity.name or "")
        for feature in sorted(info.features):
            print("feature:", feature)
        for item in items:
            print("item:", item.jid, item.node or "", item.name or "")


if __name__ == "__main__":
    trioxmpp.run(main)
