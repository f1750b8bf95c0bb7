"""A component that sends back what each of its addresses is told.

XMPP_SECRET=secret python component_echo.py echo.example.org xmpp://127.0.0.1:5347
"""

import trioxmpp
from trioxmpp import MessageType


async def main(domain, secret, endpoint, **options):
    async with (
        trioxmpp.connect_component(domain, secret, endpoint=endpoint, **options) as component,
        component.messages.subscribe(MessageType.CHAT) as inbox,
    ):
        async for message in inbox:
            if message.body:
                await component.send(message.reply(message.body, from_=message.to))


if __name__ == "__main__":
    trioxmpp.run(main)
