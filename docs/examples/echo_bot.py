"""A bot that sends back what it is told. It outlives broken links and servers that crash.

XMPP_PASSWORD=secret python echo_bot.py bot@example.org
"""

import argparse
import logging
import os

import trio

import trioxmpp
from trioxmpp import Client, MessageType, Presence

log = logging.getLogger("echo_bot")


async def appear(client: Client) -> None:
    await client.send(Presence(status="Tell me something."))


async def main() -> None:
    parser = argparse.ArgumentParser(description="Sends back what it is told.")
    parser.add_argument("jid", help="the address of the bot; its password is in $XMPP_PASSWORD")
    parser.add_argument("--endpoint", help="where the server is, if the DNS does not tell: xmpp://host:port")
    args = parser.parse_args()

    async with trioxmpp.connect(args.jid, os.environ["XMPP_PASSWORD"], endpoint=args.endpoint) as client:
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
    try:
        trio.run(main)
    except KeyboardInterrupt:
        log.info("goodbye")
