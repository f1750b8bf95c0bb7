"""A bot that sends back what it is told. It outlives broken links and servers that crash.

XMPP_PASSWORD=secret python echo_bot.py bot@example.org
"""

import logging

import trioxmpp
from trioxmpp import Client, MessageType, Presence

log = logging.getLogger("echo_bot")


async def appear(client: Client) -> None:
    await client.send(Presence(status="Tell me something."))


async def main(jid: str, password: str, endpoint: str | None = None) -> None:
    async with trioxmpp.connect(jid, password, endpoint=endpoint) as client:
        log.info("I am %s", client.jid)
        client.on_event.connect(lambda event: log.info("%s", event))
        async with client.messages.subscribe(MessageType.CHAT) as inbox, client.maintain(appear):
            async for message in inbox:
                if message.body:
                    try:
                        await client.send(message.reply(message.body))
                    except ConnectionError as exc:
                        log.warning("the answer to %s was lost: %s", message.from_, exc)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    trioxmpp.run(main)
