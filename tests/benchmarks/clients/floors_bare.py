"""The limit that trio and lxml set for the traffic of the upper floors; for uploads, httpx2 alone. See floors_task.py.

Code that is written by hand for just these stanzas. It checks nothing, believes everything, tells of no change, and
heals nothing: a limit, not a library.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from floors_task import CA, CLIENTS, COMPONENTS, FILE, HOST, NUMBER, SCENARIO, UPLOADS, Usage, crowds, report
from lxml import etree

READ = 16384
CHUNK = 64 * 1024  # as trioxmpp.xep.contents has it
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
HEADER = "<stream:stream to='{}' version='1.0' xmlns='{}' xmlns:stream='http://etherx.jabber.org/streams'>"
DISCO = "{http://jabber.org/protocol/disco#info}"
USER = "{http://jabber.org/protocol/muc#user}"


@dataclass(slots=True)
class Contact:
    name: str
    subscription: str
    groups: tuple[str, ...]


@dataclass(slots=True)
class Occupant:
    affiliation: str
    role: str
    show: str | None
    status: str | None
    caps: str | None
    photo: str | None
    id: str | None


@dataclass(slots=True)
class Archived:
    id: str
    stamp: str
    from_: str
    to: str
    body: str


class Stream:
    """One stream, of a client or a component."""

    def __init__(self, namespace: str = "jabber:client") -> None:
        self._ns = f"{{{namespace}}}"
        self.body = f"{self._ns}body"
        self.show, self.status = f"{self._ns}show", f"{self._ns}status"

    async def open(self, resource: str) -> None:
        self._stream = await trio.open_tcp_stream(HOST, CLIENTS)
        await self._begin(crowds.DOMAIN, "jabber:client")
        await self.say(f"<auth xmlns='{SASL}' mechanism='ANONYMOUS'/>")
        await self._next("success")
        await self._begin(crowds.DOMAIN, "jabber:client")
        bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind>"
        await self.say(f"<iq type='set' id='b'>{bind}</iq>")
        await self._next("iq")

    async def open_component(self) -> None:
        self._stream = await trio.open_tcp_stream(HOST, COMPONENTS)
        await self._begin(crowds.COMPONENT, "jabber:component:accept")
        await self.say("<handshake>0</handshake>")
        await self._next("handshake")

    async def _begin(self, to: str, namespace: str) -> None:
        names = [f"{self._ns}{name}" for name in ("message", "presence", "iq", "handshake")]
        self._parser = etree.XMLPullParser(("end",), tag=[*names, f"{{{SASL}}}success"])
        await self.say(HEADER.format(to, namespace))

    async def say(self, text: str) -> None:
        await self._stream.send_all(text.encode())

    async def _next(self, name: str) -> Any:
        async for element in self.elements():
            if element.tag.endswith(name):
                return element

    async def elements(self) -> AsyncIterator[Any]:
        last = None
        while data := await self._stream.receive_some(READ):
            self._parser.feed(data)
            for _, element in self._parser.read_events():
                if element.getparent().getparent() is None:
                    yield element
                    if last is not None:
                        last.getparent().remove(last)
                    last = element

    async def until_end(self, what: str, take: Callable[[Any], object]) -> str:
        """Have the peer do something; return the text of what comes behind it."""
        await self.say(f"<message to='{crowds.CONTROL}' type='chat'><body>{what}</body></message>")
        async for element in self.elements():
            if element.get("id") == "end":
                return str(element.findtext(self.body)).removeprefix("end ")
            take(element)
        raise ConnectionError


def contacts(query: Any) -> dict[str, Contact]:
    return {
        item.get("jid"): Contact(item.get("name"), item.get("subscription"), tuple([group.text for group in item]))
        for item in query
    }


async def roster() -> None:
    stream = Stream()
    await stream.open("roster")
    measured = {}
    for name in ("roster_first", "roster_later"):
        usage = Usage()
        await stream.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        async for element in stream.elements():
            known = contacts(element[0])
            break
        measured[name] = usage.per(1) | usage.memory(crowds.CONTACTS)
        assert len(known) == crowds.CONTACTS
    report(**measured)


async def disco() -> None:
    stream = Stream()
    await stream.open("disco")
    usage = Usage()
    for _ in range(20):
        await stream.say(f"<iq type='get' id='d' to='{crowds.SERVICE}'><query xmlns='{DISCO[1:-1]}'/></iq>")
        async for element in stream.elements():
            offered = {child.get("var") for child in element[0]}
            break
        assert len(offered) == crowds.FEATURES + 1
    report(disco=usage.per(20))


def occupant(stream: Stream, known: dict[str, Occupant]) -> Callable[[Any], object]:
    """Return what takes the presences of a room."""

    def take(element: Any) -> None:
        sender = element.get("from").partition("/")[2]
        if element.get("type") == "unavailable":
            known.pop(sender, None)
            return
        if element.tag.endswith("message"):
            return
        show = status = caps = photo = id = None
        item: Any = {}
        for child in element:
            tag = child.tag
            if tag == USER + "x":
                item = child[0]
            elif tag == stream.show:
                show = child.text
            elif tag == stream.status:
                status = child.text
            elif tag == "{http://jabber.org/protocol/caps}c":
                caps = child.get("ver")
            elif tag == "{vcard-temp:x:update}x":
                photo = child[0].text
            elif tag == "{urn:xmpp:occupant-id:0}occupant-id":
                id = child.get("id")
        known[sender] = Occupant(item.get("affiliation"), item.get("role"), show, status, caps, photo, id)

    return take


async def caps() -> None:
    stream = Stream()
    await stream.open("caps")
    known: dict[str, Occupant] = {}
    usage = Usage()

    def take(element: Any) -> None:
        get = element.get
        occupant(stream, {})(element)
        known[get("from")] = Occupant("", "", None, None, None, None, None)

    await stream.until_end("presences", take)
    report(caps=usage.per(crowds.PRESENT))


async def room() -> None:
    stream = Stream()
    await stream.open("bench")
    known: dict[str, Occupant] = {}
    take = occupant(stream, known)
    usage = Usage()
    await stream.say(f"<presence to='{crowds.ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    async for element in stream.elements():
        if element.tag.endswith("message"):
            break
        take(element)
    measured = {"room_join": usage.per(crowds.OCCUPANTS) | usage.memory(crowds.OCCUPANTS)}
    for name, what, number in (("room_changes", "changes", 1), ("room_churn", "churn", 2)):
        usage = Usage()
        await stream.until_end(what, take)
        measured[name] = usage.per(number * crowds.OCCUPANTS)
    assert len(known) == crowds.OCCUPANTS + 1
    report(**measured)


async def archive() -> None:
    stream = Stream()
    await stream.open(f"archive-{NUMBER}")
    after, count = "", 0
    usage = Usage()
    while count < NUMBER:
        page = f"<set xmlns='http://jabber.org/protocol/rsm'><max>{crowds.PAGE}</max>{after}</set>"
        await stream.say(f"<iq type='set' id='a'><query xmlns='urn:xmpp:mam:2' queryid='q'>{page}</query></iq>")
        async for element in stream.elements():
            if element.tag.endswith("iq"):
                break
            result = element[0]
            delay, message = result[0]
            archived = Archived(
                result.get("id"), delay.get("stamp"), message.get("from"), message.get("to"), message[0].text
            )
            count += 1
        after = f"<after>{archived.id}</after>"
    report(archive=usage.per(NUMBER) | usage.memory(NUMBER))


async def upload() -> None:
    import httpx2

    path = Path(FILE)
    size = path.stat().st_size  # noqa: ASYNC240  (nothing else is under way)

    async def content(file: Any) -> AsyncIterator[bytes]:
        while chunk := await file.read(CHUNK):
            yield chunk

    async def small() -> AsyncIterator[bytes]:
        yield b"small"

    tls = ssl.create_default_context(cafile=CA)
    url = f"https://{HOST}:{UPLOADS}/file"
    async with httpx2.AsyncClient(verify=tls, trust_env=False, timeout=None) as http:
        await http.put(url, content=small(), headers={"content-length": "5"})
    usage = Usage()
    async with (
        httpx2.AsyncClient(verify=tls, trust_env=False, timeout=None) as http,
        await trio.open_file(path, "rb") as file,
    ):
        answer = await http.put(url, content=content(file), headers={"content-length": str(size)})
    measured = usage.per(1) | usage.memory(1)
    assert answer.status_code == 201
    report(upload=measured | {"speed": size / measured["wall"]})


async def component() -> None:
    stream = Stream("jabber:component:accept")
    await stream.open_component()
    seen = {f"{crowds.user(number)}/gateway": 0 for number in range(crowds.USERS)}

    def take(element: Any) -> None:
        get = element.get
        archived = Archived(get("id"), "", get("from"), get("to"), element.findtext(stream.body))
        seen[archived.to] += 1

    def ask(what: str) -> Any:
        return stream.until_end(what, take)

    await ask("fan-out 200")
    usage = Usage()
    await ask(f"fan-out {NUMBER // (crowds.USERS // crowds.ROOMS)}")
    inbound = usage.per(NUMBER)
    assert sum(seen.values()) == NUMBER + crowds.USERS
    await ask("counted")
    usage = Usage()
    for batch in range(0, NUMBER, 64):
        await stream.say("".join(_messages(batch, min(batch + 64, NUMBER))))
    assert int(await ask("counted")) == NUMBER
    report(component_in=inbound, component_out=usage.per(NUMBER))


def _messages(first: int, last: int) -> Iterator[str]:
    for index in range(first, last):
        number = index * 7 % crowds.USERS
        yield (
            f"<message to='{crowds.room_of(number)}' from='{crowds.user(number)}/gateway' type='groupchat' "
            f"id='m{index}'><body>message {index} of a user</body></message>"
        )


if __name__ == "__main__":
    trio.run(globals()[SCENARIO])
