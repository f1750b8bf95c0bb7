"""Manage a node of a publish-subscribe service, or of our own account.

XMPP_PASSWORD=secret python node_client.py romeo@example.org pubsub.example.org create weather
XMPP_PASSWORD=secret python node_client.py romeo@example.org pubsub.example.org publish weather "It is the east."
"""

import os
import sys

import trio

import trioxmpp
from trioxmpp import XMPPError, xml
from trioxmpp.xep import pubsub


@xml.element("https://example.org/note", "note")
class Note:
    text: str = xml.text()


async def nodes(client, owner):
    for item in await client.disco.items(owner):
        print(item.node)


async def items(client, owner, node):
    for item in await pubsub.fetch(client, pubsub.Node(node, Note), owner=owner):
        print(item.id, item.payload.text if item.payload else item.raw)


async def publish(client, owner, node, text):
    print(await pubsub.publish(client, pubsub.Node(node, Note), Note(text=text), owner=owner))


async def retract(client, owner, node, id):
    await pubsub.retract(client, pubsub.Node(node, Note), id, owner=owner)


async def configuration(client, owner, node):
    config = await pubsub.configuration(client, node, owner=owner)
    print("title:", config.title, "access:", config.access, "persist:", config.persist)


ACTIONS = {"nodes": nodes, "items": items, "publish": publish, "retract": retract, "configuration": configuration}


async def main(jid, password, owner, action, *args, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        try:
            if action in ACTIONS:
                await ACTIONS[action](client, owner, *args)
            else:  # create, delete, purge, subscribe, unsubscribe
                await getattr(pubsub, action)(client, *args, owner=owner)
        except XMPPError as error:
            sys.exit(f"{action} failed: {error}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], os.environ["XMPP_PASSWORD"], *sys.argv[2:])
