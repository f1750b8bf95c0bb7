"""profanity, a client for the terminal, driven by keys and read by its screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.interop.terminal import Terminal, open_terminal
from trioxmpp import JID
from trioxmpp.testing.servers import RealServer

#: Settings that a person might have; without sounds, and without lists beside the conversation.
SETTINGS = (
    "/splash off",
    "/beep off",
    "/notify chat off",
    "/notify room off",
    "/roster hide",
    "/occupants default hide",
    "/receipts request on",
    "/receipts send on",
    "/states on",
    "/outtype on",
    "/correction on",
    "/carbons on",
    "/presence console all",
    "/presence chat all",
    "/presence room all",
)


class Profanity:
    """A profanity that is logged in; `terminal` is its terminal."""

    def __init__(self, terminal: Terminal, jid: JID) -> None:
        self.terminal = terminal
        self.jid = jid
        self.enter = terminal.enter
        self.type = terminal.type
        self.shows = terminal.shows

    async def hides(self, text: str) -> None:
        """Wait until the screen does not show this text."""
        await self.terminal.screen_that(lambda screen: text not in screen, f"shows {text!r}")

    async def insist(self, line: str, text: str) -> None:
        """Type a line again and again, until the screen shows a text.

        profanity learns a moment after the login what the server and others offer, and refuses commands before that.
        """
        for _ in range(10):
            await self.enter(line)
            with trio.move_on_after(2):
                await self.shows(text)
                return
        await self.shows(text)


@asynccontextmanager
async def open_profanity(
    server: RealServer, user: str, resource: str = "profanity", settings: tuple[str, ...] = ()
) -> AsyncIterator[Profanity]:
    """A profanity that is logged in as `user` while the block runs."""
    jid = f"{user}@{server.domain}/{resource}"
    async with open_terminal(["profanity"]) as terminal:
        await terminal.shows("Profanity. Type /help")
        for line in (*SETTINGS, *settings):
            await terminal.enter(line)
        await terminal.enter(f"/connect {jid} server 127.0.0.1 port {server.port} tls trust")
        await terminal.shows("Enter password:")
        await terminal.enter(server.accounts[user])
        await terminal.shows("logged in successfully")
        profanity = Profanity(terminal, JID.parse(jid))
        # It has asked for copies by then, and knows what the server offers.
        await profanity.insist("/ping", "Ping response from")
        yield profanity
