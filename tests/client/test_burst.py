"""The bot of the README under a burst of 20,000 messages that the server writes at once, in virtual time."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

import trioxmpp
from tests.docs.test_pages import load, programs
from trioxmpp import InboxOverflow, MessageType
from trioxmpp.testing import Server, open_server

COUNT = 20_000
BOT = "bot@example.test/1"
NUMBERS = [str(number) for number in range(COUNT)]


def echo_bot() -> Any:
    (source,) = programs("README.md")
    return load(source, "README.md")["main"]


def burst(server: Server) -> None:
    """Write all messages to the bot at once."""
    start = f"<message type='chat' to='{BOT}' from='juliet@example.test/balcony'>"
    for first in range(0, COUNT, 1000):
        server.send("".join(f"{start}<body>{number}</body></message>" for number in NUMBERS[first : first + 1000]))


def echoes(server: Server) -> list[str]:
    """Return the bodies that the bot has answered with, in order."""
    bodies = (accepted.stanza.findtext("{jabber:client}body") for accepted in server.log if accepted.jid == BOT)
    return [body for body in bodies if body is not None]


@pytest.mark.parametrize("sm", [True, False], ids=["managed", "not managed"])
async def test_the_bot_of_the_readme_answers_each_message_of_a_burst_once(autojump_clock, sm):
    async with (
        open_server(accounts={"bot": "secret", "juliet": "secret"}, sm=sm, history=2 * COUNT) as server,
        trio.open_nursery() as nursery,
    ):
        options = {"endpoint": server.endpoint, "allow_plaintext": True}
        nursery.start_soon(lambda: echo_bot()(BOT, "secret", **options))
        await server.until(lambda: BOT in server.sessions and server.sessions[BOT].presence is not None)
        session = server.sessions[BOT]
        assert (session.sm is not None) == sm
        burst(server)
        with trio.move_on_after(600):
            await server.until(lambda: session.handled_count > COUNT)
        await trio.sleep(60)  # in which a doubled answer would come
        assert echoes(server) == NUMBERS
        assert server.sessions[BOT] is session
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sm", [True, False], ids=["managed", "not managed"])
async def test_a_bot_that_is_too_slow_is_told_that_messages_were_lost(autojump_clock, caplog, sm):
    """It gets what fits into its inbox, in order, and then the error that names the bound."""
    caplog.set_level(logging.WARNING)
    got: list[str | None] = []
    async with (
        open_server(accounts={"bot": "secret"}, sm=sm, history=10) as server,
        trioxmpp.connect(BOT, "secret", endpoint=server.endpoint, allow_plaintext=True) as client,
        client.messages.subscribe(MessageType.CHAT) as inbox,
    ):
        burst(server)
        with pytest.raises(InboxOverflow, match=r"more than 10,000 items were waiting"):
            async for message in inbox:
                got.append(message.body)
                await trio.sleep(1)
        assert 10_000 <= len(got) < COUNT
        assert got == NUMBERS[: len(got)]
