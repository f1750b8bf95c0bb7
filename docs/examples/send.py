"""Send one message and leave, once the server has it.

XMPP_PASSWORD=secret python send.py romeo@example.org juliet@example.org "She speaks."
"""

import trioxmpp
from trioxmpp import Message, MessageType


async def main(jid, password, to, text, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        await client.send(Message(to=to, type=MessageType.CHAT, body=text))


if __name__ == "__main__":
    trioxmpp.run(main)
