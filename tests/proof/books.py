"""The server of the proof: one end of XEP-0198 that keeps its own books, and sees the other one from outside.

Written without a look at the library's own counters: lists, and numbers that never wrap.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio

from trioxmpp import XmlStream
from trioxmpp.protocol.framing import Framing, StreamFooter, StreamHeader
from trioxmpp.testing import memory_link
from trioxmpp.transport.tcp import StreamTransport

WRAP = 2**32
SM = "urn:xmpp:sm:3"


def is_ping(event: Any) -> bool:
    """Whether the client asks if the link is alive (XEP-0199)."""
    return event.get("type") == "get" and event.find("{urn:xmpp:ping}ping") is not None


class Books:
    """The server's knowledge of one session."""

    def __init__(self) -> None:
        self.managed = self.resumable = False
        self.starts = (0, 0)
        """Where the counters began: of what the client sends, and of what we send."""
        self.written: list[str] = []
        """Stanzas that the client wrote before the stream was managed."""
        self.order: list[str] = []
        """Stanzas that the client has sent since, in the order in which they were first written."""
        self.handled = self.told = 0
        """How many of these we have handled, and how many of these the client knows about."""
        self.out: list[tuple[str, str]] = []
        """Stanzas that the server has sent since: ids and texts."""
        self.acknowledged = 0
        self.processed_before = 0
        self.tokens: dict[str, Any] = {}
        self.aborted: set[str] = set()
        self.handled_ids: Counter[str] = Counter()
        self.ping: str | None = None
        """The id of the client's ping, which is never answered here: it asks again with the same id."""
        self.to_answer: list[str] = []
        """The requests of the client that we have handled and not answered."""


class Link:
    """One link, as the server sees it."""

    def __init__(self) -> None:
        self.raw, mine = memory_link()
        self.xmlstream = XmlStream(StreamTransport(mine), "example.test")
        self.elements: list[tuple[int, Any]] = []
        """Stanzas that the client has written and the server has not handled, each with the offset of its last byte."""
        self.size = 0
        self.due: list[str] = []
        """Stanzas that have to be sent again before any other."""
        self.requests: dict[str, Any] = {}
        self.footer = False
        self.pending: list[tuple[str, Any]] = []
        """The next words of the server: texts, and their meaning to the client once they have arrived."""


class Server:
    """The stanzas that it sees and sends. `log`, kept by the client, says which of them the client has processed."""

    def __init__(self, happened: Counter[str]) -> None:
        self.happened = happened
        self.books = Books()
        self.log: list[str] = []
        """Stanzas that the client has processed."""
        self.expected: list[str] = []
        """Stanzas that it should have processed."""
        self.asked: dict[str, str] = {}
        """The expected results of the client's requests; empty without a result."""
        self.answers: Counter[str] = Counter()
        """How often our requests were answered."""
        self.halted = False
        """The client was told something at which it stops."""

    async def pump(self, link: Link) -> None:
        framing, rest = Framing(), b""
        while True:
            try:
                data = await link.raw.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            link.size, rest = link.size + len(data), rest + data
            while True:
                event, rest, error = framing.feed_one(rest)
                assert error is None, error
                if event is None:
                    break
                self.observe(link, event, link.size - len(rest))

    def observe(self, link: Link, event: Any, end: int) -> None:
        """The client has written this. The server has not handled it yet."""
        if isinstance(event, StreamHeader):
            return
        link.elements.append((end, event))
        books = self.books
        if isinstance(event, StreamFooter):
            link.footer = True
            return
        name = event.tag.rpartition("}")[2]
        if name in ("enable", "resume"):
            link.requests[name] = event
        if name in ("a", "resume"):
            processed = len(self.log) - books.processed_before
            assert int(event.get("h")) == (books.starts[1] + processed) % WRAP, "counted what was not processed"
        if name in ("message", "presence", "iq"):
            id = event.get("id")
            if is_ping(event):
                assert not books.managed, "asked by a ping, though the stream is managed"
                assert books.ping in (None, id), "an unanswered ping is repeated with another id"
                if books.ping == id:
                    self.happened["unanswered pings repeated"] += 1
                    return
                books.ping = id
            if not books.managed:
                assert id not in books.written
                books.written.append(id)
            elif link.due:
                assert id == link.due.pop(0), "sent again in another order, or not at all"
                self.happened["stanzas sent again"] += 1
            else:
                assert id not in books.order, "what was acknowledged or handled is sent again"
                books.order.append(id)

    def handle(self, link: Link, size: int | None = None) -> None:
        """The server gets to see the first `size` bytes of what the client has written."""
        books = self.books
        while link.elements and (size is None or link.elements[0][0] <= size):
            _, event = link.elements.pop(0)
            if isinstance(event, StreamFooter):
                continue
            name = event.tag.rpartition("}")[2]
            if name == "r" and books.managed:
                self.say_ack(link)
            elif name == "a":
                h = (int(event.get("h")) - books.starts[1] - books.acknowledged) % WRAP
                books.acknowledged += h
                assert books.acknowledged <= len(books.out)
            elif name in ("message", "presence", "iq"):
                id, type_ = event.get("id"), event.get("type")
                books.handled_ids[id] += 1
                assert books.handled_ids[id] == 1 or is_ping(event), "handled twice"
                if books.managed and id not in books.written:
                    assert books.order[books.handled] == id
                    books.handled += 1
                if name == "iq" and id.startswith("s"):
                    self.answers[id] += 1
                    assert self.answers[id] == 1, "answered twice"
                elif name == "iq" and type_ == "get" and id in self.asked:
                    books.to_answer.append(id)

    # --- the server: what it says

    def say_ack(self, link: Link) -> None:
        books, count = self.books, self.books.handled

        def arrived() -> None:
            books.told = count

        link.pending.append((f"<a xmlns='{SM}' h='{(books.starts[0] + count) % WRAP}'/>", arrived))

    def say_stanza(self, link: Link, id: str, text: str, *, again: bool = False) -> None:
        if self.books.managed and not again:
            self.books.out.append((id, text))

        def arrived() -> None:
            self.expected.append(id)
            if id.startswith("reply to "):
                self.asked[id.removeprefix("reply to ")] = "result"
            self.halted = "<body>" in text

        link.pending.append((text, arrived))

    async def flush(self, link: Link, size: int | None = None) -> None:
        """Pending bytes arrive in one segment; or the first `size` of them."""
        data = "".join(text for text, _ in link.pending).encode()[:size]
        if data:
            await link.raw.send_all(data)
        end, self.halted = 0, False
        for text, arrived in link.pending:
            end += len(text)
            if end > len(data) or self.halted:
                break
            arrived()
        link.pending.clear()
