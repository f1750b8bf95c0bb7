"""Send one message and leave, once the server has it.

XMPP_PASSWORD=secret python send.py romeo@example.org juliet@example.org "She speaks."
"""

import os
import sys

import trio

import trioxmpp
from trioxmpp import Message, MessageType


async def main(jid, password, to, text, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        await client.send(Message(to=to, type=MessageType.CHAT, body=text))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], os.environ["XMPP_PASSWORD"], *sys.argv[2:])
