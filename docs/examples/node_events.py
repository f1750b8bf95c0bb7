"""Print what happens to a node of a publish-subscribe service, or of an account.

XMPP_PASSWORD=secret python node_events.py romeo@example.org pubsub.example.org weather
"""

import trioxmpp
from trioxmpp import xml
from trioxmpp.im.presence import appear
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.pep import watch
from trioxmpp.xep.pubsub import Configured, Deleted, Node, Published, Purged, Retracted


@xml.element("https://example.org/note", "note")
class Note:
    text: str = xml.text()


async def main(jid, password, owner, node, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_caps(client, node="https://example.org/node-events"),
        watch(client, Node(node, Note), owners=[owner]) as changes,
        appear(client),
    ):
        async for change in changes:
            match change:
                case Published(item_id=id, payload=Note(text=text)):
                    print("published", id, text)
                case Published(item_id=id):
                    print("published", id, "which is not a note")
                case Retracted(item_id=id):
                    print("retracted", id)
                case Purged() | Deleted() | Configured():
                    print(type(change).__name__.lower(), node)


if __name__ == "__main__":
    trioxmpp.run(main)
