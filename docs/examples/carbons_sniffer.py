"""Print the messages that our other clients send and receive.

XMPP_PASSWORD=secret python carbons_sniffer.py romeo@example.org
"""

import trioxmpp
from trioxmpp.im.presence import appear
from trioxmpp.xep.carbons import open_carbons


async def main(jid, password, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_carbons(client) as carbons,
        appear(client, priority=-1),  # some servers send copies to available clients only; -1 asks for no messages
    ):
        print("I am", client.jid)
        async for carbon in carbons:
            message = carbon.message
            print(carbon.direction.name.lower(), message.from_, "->", message.to, message.body or "without a text")


if __name__ == "__main__":
    trioxmpp.run(main)
