"""The process of the stranger: good numbered messages to the bot, and poison in between.

With the embedded server, that server lives here as well, and writes to the bot whatever a server may write. With a real
server the stranger has a raw stream of its own. Orders come as one JSON object in the first argument; reports go to the
standard output, a JSON object a line.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import trio

from tests.soak.poison import Poison, rounds
from tests.testing.raw import RawClient
from trioxmpp import StreamCondition, StreamError, xml
from trioxmpp.protocol import ns
from trioxmpp.testing import Link, Server, ServerSession, open_server

BOT, STRANGER = "romeo@example.test/bot", "juliet@example.test/stranger"

#: Good messages between one poison and the next.
GOOD = 10

#: Seconds after which a bot that says nothing about XML that is not well-formed counts as deaf.
DEAF = 10.0

#: Rounds after which the bot has had one of each input; the first one fills its tables.
WARM = 3

#: Messages of a burst that are written at once.
PIECE = 500


def tell(**report: Any) -> None:
    """Write a report for the process that started this one."""
    print(json.dumps(report), flush=True)


def good(number: int) -> str:
    """Return a good message; its body is its number."""
    return f"<message type='chat' from='{STRANGER}' to='{BOT}' id='good-{number}'><body>{number}</body></message>"


class ServerAsStranger:
    """The embedded server writes to the bot itself."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._element = xml.fromstring(f"<message xmlns='{ns.CLIENT}'/>")
        self.heard = 0
        self.ended = 0
        """The number of sessions that ended after fatal poison."""

    async def send(self, *stanzas: str) -> None:
        """Bring these stanzas to the session of the bot, which keeps them until the bot acknowledges them."""
        session = await self._session()
        for stanza in stanzas:
            session.deliver(self._element, stanza)

    async def _session(self) -> ServerSession:
        """Return the session of the bot; if it was lost, wait for the next one."""
        await self._server.until(
            lambda: BOT in self._server.sessions and self._server.sessions[BOT].presence is not None
        )
        return self._server.sessions[BOT]

    async def poison(self, poison: Poison) -> bool:
        """Send it. Return whether the bot went on after it, with the same session unless it is fatal."""
        await self.send(*poison.stanzas)
        if not (poison.raw or poison.error):
            return True
        session, link = await self._idle()
        if poison.raw:
            link.inject(poison.raw.encode())
        else:
            link.end(StreamError(StreamCondition.SYSTEM_SHUTDOWN, poison.error), keep_session=True)
        if not poison.is_fatal:
            return True
        with trio.move_on_after(DEAF):
            await self._server.until(lambda: session.ended or session.link is not link)
        self.ended += session.ended
        return session.ended or session.link is not link

    async def _idle(self) -> tuple[ServerSession, Link]:
        """Wait until the bot has a link, and has acknowledged all."""
        while True:
            session = await self._session()
            if session.link is not None and session.sm is not None and not session.sm.unacked:
                return session, session.link
            await trio.sleep(0.01)


class RawStranger:
    """A user of a real server, with a raw stream. `heard` counts the messages that come back."""

    def __init__(self, plan: dict[str, Any], nursery: trio.Nursery) -> None:
        self._plan = plan
        self._nursery = nursery
        self._client: RawClient | None = None
        self._lost = trio.Event()
        self.heard = 0
        self.ended = 0

    async def log_in(self) -> None:
        """Begin a session, in place of one that the server has ended."""
        stream = await trio.open_tcp_stream("127.0.0.1", self._plan["port"])
        client = RawClient(stream, "example.test")
        await client.opens()
        await client.starts_tls(ssl.create_default_context(cafile=self._plan["ca_file"]))
        await client.logs_in("juliet", self._plan["password"])
        await client.binds("stranger")
        self._client, self._lost = client, trio.Event()
        self._nursery.start_soon(self._read, client, self._lost)

    async def _read(self, client: RawClient, lost: trio.Event) -> None:
        tail = b""
        try:
            while data := await client.wire.receive_some(65536):
                self.heard += (tail + data).count(b"</body>")
                tail = (tail + data)[-6:]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            lost.set()
            await client.aclose()

    async def send(self, *stanzas: str) -> None:
        """Write these stanzas. Raises `trio.BrokenResourceError` if the server has ended the stream."""
        assert self._client is not None
        try:
            await self._client.says_raw("".join(stanzas).encode())
        except trio.ClosedResourceError:
            raise trio.BrokenResourceError from None

    async def poison(self, poison: Poison) -> bool:
        """Send it, and ask the server for a sign of life; return whether the server went on."""
        try:
            await self.send(*poison.stanzas)
        except trio.BrokenResourceError:
            self._lost.set()
        with trio.move_on_after(0.2):
            await self._lost.wait()
        if not self._lost.is_set():
            return True
        await self.log_in()
        return False


class Work:
    """The stranger's work until the time is over, and its results."""

    def __init__(self, stranger: ServerAsStranger | RawStranger, plan: dict[str, Any]) -> None:
        self._stranger = stranger
        self._plan = plan
        self.good = 0
        self.poison: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.rounds = 0

    async def soak(self) -> None:
        """Send good messages with poison in between, for the planned time and until the round is complete.

        Report after the first rounds: from then on, nothing new comes.
        """
        ends = trio.current_time() + self._plan["seconds"]
        for poisons in self._rounds():
            for poison in poisons:
                if not poison.name.startswith(self._plan["only"]):
                    continue
                await self._good_ones()
                taken = await self._stranger.poison(poison)
                table = self.poison if taken else self.refused
                table[poison.name] = table.get(poison.name, 0) + 1
            self.rounds += 1
            if self.rounds == WARM:
                tell(good=self.good)
            if trio.current_time() >= ends and self.rounds >= WARM:
                break
        await self._good_ones()

    def _rounds(self) -> Iterator[list[Poison]]:
        return rounds(self._plan["server"], {"bot": BOT, "stranger": STRANGER})

    async def _good_ones(self) -> None:
        for _ in range(GOOD):
            await self._stranger.send(good(self.good))
            self.good += 1
            await trio.sleep(self._plan["pause"])

    async def burst(self) -> None:
        """Send all messages as fast as the server takes them."""
        for start in range(0, self._plan["burst"], PIECE):
            numbers = range(start, min(start + PIECE, self._plan["burst"]))
            await self._stranger.send(*map(good, numbers))
        self.good = self._plan["burst"]


async def order() -> None:
    """Wait for the other process to say that this one shall go on."""
    await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


async def work(stranger: ServerAsStranger | RawStranger, plan: dict[str, Any]) -> None:
    """Do the work, report it, and remain until the other process has had all."""
    job = Work(stranger, plan)
    await order()
    await (job.burst if plan.get("burst") else job.soak)()
    tell(good=job.good, poison=job.poison, refused=job.refused, rounds=job.rounds, ended=stranger.ended)
    await order()
    tell(heard=stranger.heard)


async def with_embedded_server(plan: dict[str, Any]) -> None:
    async with open_server(accounts=plan["accounts"], starttls="none", history=100, hibernation=60) as server:
        await server.listen()
        tell(endpoint=server.starttls_endpoint)
        await work(ServerAsStranger(server), plan)


async def with_real_server(plan: dict[str, Any]) -> None:
    async with trio.open_nursery() as nursery:
        stranger = RawStranger(plan, nursery)
        await stranger.log_in()
        tell(endpoint=None)
        await work(stranger, plan)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    ordered = json.loads(sys.argv[1])
    begin: Callable[[dict[str, Any]], Awaitable[None]]
    begin = with_embedded_server if ordered["server"] == "embedded" else with_real_server
    trio.run(begin, ordered)
