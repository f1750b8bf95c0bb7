"""Manage a node of a publish-subscribe service, or of our own account.

XMPP_PASSWORD=secret python node_client.py romeo@example.org pubsub.example.org create weather
XMPP_PASSWORD=secret python node_client.py romeo@example.org pubsub.example.org publish weather "It is the east."
"""

import sys

import trioxmpp
from trioxmpp import XMPPError, xml
from trioxmpp.xep import pubsub

ACTIONS = """\
actions: nodes, items NODE, publish NODE TEXT, retract NODE ID, configuration NODE,
create NODE, delete NODE, purge NODE, subscribe NODE, unsubscribe NODE"""


@xml.element("https://example.org/note", "note")
class Note:
    text: str = xml.text()


async def act(client, owner, action, *words):
    match action, *words:
        case ["nodes"]:
            for item in await client.disco.items(owner):
                print(item.node)
        case ["items", node]:
            for item in await pubsub.fetch(client, pubsub.Node(node, Note), owner=owner):
                print(item.id, item.payload.text if item.payload else item.raw)
        case ["publish", node, text]:
            print(await pubsub.publish(client, pubsub.Node(node, Note), Note(text=text), owner=owner))
        case ["retract", node, id]:
            await pubsub.retract(client, pubsub.Node(node, Note), id, owner=owner)
        case ["configuration", node]:
            config = await pubsub.configuration(client, node, owner=owner)
            print("title:", config.title, "access:", config.access, "persist:", config.persist)
        case ["create" | "delete" | "purge" | "subscribe" | "unsubscribe", node]:
            await getattr(pubsub, action)(client, node, owner=owner)
        case _:
            sys.exit(ACTIONS)


async def main(jid, password, owner, action, *words, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        try:
            await act(client, owner, action, *words)
        except XMPPError as error:
            sys.exit(f"{action} failed: {error}")


if __name__ == "__main__":
    trioxmpp.run(main)
