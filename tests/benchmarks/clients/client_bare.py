"""The limit that trio and lxml set: one loop, the pull parser, and code written by hand for just these stanzas.

It checks nothing, keeps nothing, and knows no more of XMPP than the tasks need: a limit, not a library. Inbound
stanzas become slotted dataclasses that are handed over by a plain call; outbound ones are f-strings, sent in batches.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import task
import trio
from lxml import etree

READ = 16384
BATCH = 64
NS = "{jabber:client}"
MESSAGE, PRESENCE, IQ, BODY, SHOW = (NS + name for name in ("message", "presence", "iq", "body", "show"))
REQUEST, ACK = "{urn:xmpp:sm:3}r", "{urn:xmpp:sm:3}a"
FEATURES, SUCCESS = "{http://etherx.jabber.org/streams}features", "{urn:ietf:params:xml:ns:xmpp-sasl}success"
FIRST_LEVEL = (MESSAGE, PRESENCE, IQ, REQUEST, ACK, FEATURES, SUCCESS, "{urn:xmpp:sm:3}enabled")
HEADER = (
    f"<stream:stream to='{task.DOMAIN}' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)


@dataclass(slots=True)
class Message:
    from_: str | None
    to: str | None
    id: str | None
    type: str
    body: str | None = None
    payloads: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Presence:
    from_: str | None
    to: str | None
    type: str
    show: str | None = None
    payloads: list[Any] = field(default_factory=list)


def read_message(element: Any) -> Message:
    get = element.get
    message = Message(get("from"), get("to"), get("id"), get("type", "normal"))
    for child in element:
        if child.tag == BODY and message.body is None:
            message.body = child.text
        else:
            message.payloads.append(child.tag)
    return message


def read_presence(element: Any) -> Presence:
    presence = Presence(element.get("from"), element.get("to"), element.get("type", ""))
    for child in element:
        if child.tag == SHOW:
            presence.show = child.text
        else:
            presence.payloads.append(child.tag)
    return presence


class Connection:
    def __init__(self, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._nursery = nursery
        self._parser = etree.XMLPullParser(("end",), tag=FIRST_LEVEL)
        self._last: Any = None
        self._queue: deque[str] = deque()
        self._writer = trio.lowlevel.ParkingLot()
        self._replies: dict[str, trio.Event] = {}
        self._handled = self._count = self._serial = self._unrequested = 0
        self.managed = False
        self.seen: object = None

    async def log_in(self, resource: str) -> None:
        await self._say(HEADER + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
        while (await self._next()).tag != SUCCESS:
            pass
        self._parser, self._last = etree.XMLPullParser(("end",), tag=FIRST_LEVEL), None
        await self._say(HEADER)
        features = await self._next()
        await self._say(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        await self._next()
        self.managed = features.find("{urn:xmpp:sm:3}sm") is not None
        if self.managed:
            await self._say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            await self._next()
        await self._say("<presence/>")

    async def read(self) -> None:
        handlers = {MESSAGE: self._message, PRESENCE: self._presence, IQ: self._reply, REQUEST: self._request}
        parser, receive = self._parser, self._stream.receive_some
        while data := await receive(READ):
            parser.feed(data)
            for _, element in parser.read_events():
                handler = handlers.get(element.tag)
                # Archived messages hold others.
                if handler is not None and element.getparent().getparent() is None:
                    handler(element)
                    if self._last is not None:
                        self._last.getparent().remove(self._last)
                    self._last = element

    async def write(self) -> None:
        queue = self._queue
        while True:
            while not queue:
                await self._writer.park()
            batch = [queue.popleft() for _ in range(min(len(queue), BATCH))]
            if self.managed and self._unrequested and (self._unrequested >= BATCH or not queue):
                batch.append("<r xmlns='urn:xmpp:sm:3'/>")
                self._unrequested = 0
            await self._say("".join(batch))

    def put(self, text: str) -> None:
        self._queue.append(text)
        self._unrequested += 1
        self._writer.unpark()

    def _message(self, element: Any) -> None:
        self._handled += 1
        self.on_message(read_message(element))

    def _presence(self, element: Any) -> None:
        self._handled += 1
        self.on_presence(read_presence(element))

    def _reply(self, element: Any) -> None:
        self._handled += 1
        event = self._replies.pop(element.get("id"), None)
        if event is not None:
            event.set()

    def _request(self, element: Any) -> None:
        self._queue.append(f"<a xmlns='urn:xmpp:sm:3' h='{self._handled}'/>")
        self._writer.unpark()

    def on_message(self, message: Message) -> None:
        self._count += 1
        body = message.body
        self.seen = (message.from_, message.type, message.id)
        if body is not None and body[0] == "!":
            self._command(body[1:].split())

    def on_presence(self, presence: Presence) -> None:
        self._count += 1
        self.seen = (presence.from_, presence.type, presence.show)

    def _command(self, words: list[str]) -> None:
        if words[0] == "end":
            self._done(str(self._count - 1))
        else:
            self._nursery.start_soon(getattr(self, words[0]), int(words[1]))
        self._count = 0

    def _done(self, text: str) -> None:
        self.put(f"<message to='{task.CONTROL}' type='chat'><body>done {text}</body></message>")

    async def out(self, number: int) -> None:
        for index in range(number):
            self.put(
                f"<message to='{escape(task.PEOPLE[index % 20])}' id='m{index}' type='chat'>"
                f"<body>{escape(task.body(index))}</body></message>"
            )
            if not index % task.TURN:
                await trio.lowlevel.checkpoint()
        self._done("")

    async def _ping(self) -> None:
        self._serial += 1
        id = f"q{self._serial}"
        event = self._replies[id] = trio.Event()
        self.put(f"<iq to='{task.DOMAIN}' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
        await event.wait()

    async def ping(self, number: int) -> None:
        times = []
        for _ in range(number):
            begun = time.perf_counter()
            await self._ping()
            times.append(time.perf_counter() - begun)
        self._done(task.percentiles(times))

    async def flood(self, number: int) -> None:
        async def one_after_the_other(share: int) -> None:
            for _ in range(share):
                await self._ping()

        async with trio.open_nursery() as nursery:
            for _ in range(task.IN_FLIGHT):
                nursery.start_soon(one_after_the_other, number // task.IN_FLIGHT)
        self._done("")

    async def _say(self, text: str) -> None:
        await self._stream.send_all(text.encode())

    async def _next(self) -> Any:
        while True:
            for _, element in self._parser.read_events():
                return element
            self._parser.feed(await self._stream.receive_some(READ))


async def session(resource: str) -> None:
    stream = await trio.open_tcp_stream(task.HOST, task.PORT)
    async with stream, trio.open_nursery() as nursery:
        connection = Connection(stream, nursery)
        await connection.log_in(resource)
        nursery.start_soon(connection.write)
        await connection.read()


async def come_and_go(number: int) -> None:
    for _ in range(number):
        stream = await trio.open_tcp_stream(task.HOST, task.PORT)
        async with stream, trio.open_nursery() as nursery:
            await Connection(stream, nursery).log_in(task.RESOURCE)
            await stream.send_all(b"</stream:stream>")
            while await stream.receive_some(READ):
                pass


async def idle(number: int) -> None:
    async with trio.open_nursery() as nursery:
        for index in range(number):
            nursery.start_soon(session, f"{task.RESOURCE}.{index}")


async def main() -> None:
    task.up()
    await {
        "serve": functools.partial(session, task.RESOURCE),
        "connect": functools.partial(come_and_go, task.NUMBER),
        "idle": functools.partial(idle, task.NUMBER),
    }[task.MODE]()


if __name__ == "__main__":
    trio.run(main)
