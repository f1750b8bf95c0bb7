"""The mistakes of a newcomer that type checkers find. Read, not run; the comments are as in `declared.py`."""

# pyright: strict
# ruff: noqa: B007, B018, F841

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

import trio

import trioxmpp
from trioxmpp import IQ, JID, Client, IQType, Message, MessageType, Presence, PresenceShow, PresenceType, xml
from trioxmpp.protocol.stanza import Get, Set
from trioxmpp.testing import open_server

NS = "https://example.org/weather"


@xml.element(NS, "report")
class Report:
    celsius: float = xml.attr()


@xml.element(NS, "query")
class Query(Get[Report]):
    place: str = xml.attr()


@xml.element(NS, "forget")
class Forget(Set[None]):
    place: str | None = xml.attr(default=None)


# 1. A default that is not of the type of the field.


@xml.element(NS, "defaults")
class Defaults:
    place: str = xml.attr(default="Ulm")
    note: str | None = xml.child_text(default=None)
    show: PresenceShow | None = xml.child_text(default=PresenceShow.AWAY)
    celsius: float = xml.attr(default=0)
    days: int = xml.attr(default="3")  # wrong
    name: str = xml.child_text(default=None)  # wrong
    text: str = xml.text(default=b"")  # wrong
    report: Report | None = xml.child(default=Query(place="Ulm"))  # wrong


# 2. A handler that returns something else than the answer to the request.


def report(iq: IQ) -> Report:
    return Report(celsius=20)


async def report_later(iq: IQ) -> Report:
    return Report(celsius=20)


def text(iq: IQ) -> str:
    return "20 degrees"


async def text_later(iq: IQ) -> str:
    return "20 degrees"


def forget(iq: IQ) -> None:
    pass


def either(iq: IQ) -> Report | Awaitable[Report]:
    return report_later(iq) if iq.to else report(iq)


def handlers(client: Client) -> None:
    with client.answer(Query, report), client.answer(Query, report_later), client.answer(Query, either):
        pass
    with client.answer(Forget, forget), client.answer(Query, lambda iq: Report(celsius=20)):
        pass
    client.answer(Query, text)  # wrong
    client.answer(Query, text_later)  # wrong
    client.answer(Query, forget)  # wrong
    client.answer(Forget, text)  # wrong
    client.answer(Query, lambda iq: 20)  # wrong
    client.answer(Report, report)  # wrong
    client.answer(Query, report(IQ.request(Query(place="Ulm"))))  # wrong


async def handlers_of_a_server() -> None:
    async with open_server() as server:
        server.answer(Query, report)
        server.answer(Query, text)  # wrong


# 3. A request of the wrong type, or with something in it that is no element.


def requests(client: Client, to: JID, kind: IQType) -> None:
    client.enqueue(IQ.request(Query(place="Ulm"), to=to))
    client.enqueue(IQ(type=IQType.GET, payload=Query(place="Ulm"), to="station@example.org"))
    client.enqueue(IQ(type=IQType.SET, payload=Forget()))
    client.enqueue(IQ(type=IQType.SET, payload=xml.fromstring("<query xmlns='urn:example'/>")))
    client.enqueue(IQ(type=IQType.RESULT, payload=Report(celsius=20), to=to, id="1"))
    IQ(type=IQType.SET, payload=Query(place="Ulm"))  # wrong
    IQ(type=IQType.GET, payload=Forget())  # wrong
    IQ(type=IQType.GET, payload="<query/>")  # wrong
    IQ(type=IQType.RESULT, payload="20 degrees")  # wrong
    IQ(type="get", payload=Query(place="Ulm"))  # wrong
    IQ(type=MessageType.CHAT, payload=Query(place="Ulm"))  # wrong
    IQ(payload=Query(place="Ulm"))  # wrong
    IQ.request(Report(celsius=20))  # wrong


async def asking(client: Client) -> None:
    await client.request(Query(place="Ulm"), timeout=5)
    await client.request(Query(place="Ulm"), tiemout=5)  # wrong
    await client.request(Query)  # wrong
    await client.request("weather")  # wrong
    await client.request(Query("Ulm"))  # wrong
    answer = await client.request(Query(place="Ulm"))
    answer.place  # wrong
    celsius: str = answer.celsius  # wrong


# 4. Messages and presences.


async def sending(client: Client) -> None:
    await client.send(Message(to="juliet@example.org", type=MessageType.CHAT, body="Hi", payloads=[Report(celsius=20)]))
    await client.send("Hi")  # wrong
    client.send(Message(to="juliet@example.org", body="Hi"))  # wrong
    Message("juliet@example.org", "Hi")  # wrong
    Message(to="juliet@example.org", text="Hi")  # wrong
    Message(to="juliet@example.org", body=20)  # wrong
    Message(to="juliet@example.org", type="chat")  # wrong
    Message(to="juliet@example.org", type=PresenceType.AVAILABLE)  # wrong
    Message(to="juliet@example.org", payloads=["<report/>"])  # wrong
    Message(to="juliet@example.org", payloads=Report(celsius=20))  # wrong
    Presence(show=PresenceShow.AWAY, payloads=(Report(celsius=20),))
    Presence(show="away")  # wrong
    Presence(type=MessageType.CHAT)  # wrong


# 5. Subscriptions and callbacks: a type of another kind of stanza, a forgotten subscription, another kind of stanza.


def on_message(message: Message) -> None:
    message.reply(message.boddy)  # wrong


def on_presence(presence: Presence) -> None:
    pass


async def receiving(client: Client) -> None:
    async with client.messages.subscribe(MessageType.CHAT, None, payload=Report) as inbox:
        async for message in inbox:
            message.reply(message.body)
    client.messages.subscribe(PresenceType.SUBSCRIBE)  # wrong
    client.presences.subscribe(MessageType.CHAT)  # wrong
    client.messages.subscribe("chat")  # wrong
    client.messages.subscribe(overflow="drop")  # wrong
    with client.messages.handler(MessageType.CHAT, None, on_message):
        pass
    client.messages.handler(MessageType.CHAT, None, on_presence)  # wrong
    client.messages.handler(PresenceType.SUBSCRIBE, None, on_message)  # wrong
    client.presences.handler(PresenceType.SUBSCRIBE, "juliet@example.org", on_presence)
    async for message in client.messages:  # wrong
        pass


# 6. The front doors: options that do not exist, or get a value of another type; a block of the wrong kind.


async def appear(client: Client) -> None:
    client.enqueue(Presence())


def appear_now(client: Client) -> None:
    client.enqueue(Presence())


async def connecting(nursery: trio.Nursery) -> None:
    async with trioxmpp.connect("romeo@example.org", "secret", allow_plaintext=True) as client, client.maintain(appear):
        client.maintain(appear_now)  # wrong
        client.maintain(appear(client))  # wrong
    with trioxmpp.connect("romeo@example.org", "secret"):  # wrong
        pass
    trioxmpp.connect("romeo@example.org", "secret", reconect=None)  # wrong
    trioxmpp.connect("romeo@example.org", "secret", store="sessions")  # wrong
    trioxmpp.connect("romeo@example.org", "secret", endpoint=5222)  # wrong
    trioxmpp.connect("romeo@example.org", "secret", sm=True)  # wrong
    trioxmpp.connect("romeo@example.org", "secret", inline=["urn:xmpp:carbons:2"])  # wrong
    await trioxmpp.serve("romeo@example.org", "secret", allow_plaintext=True, store=trioxmpp.MemoryStore())
    await trioxmpp.serve("romeo@example.org", "secret", allow_plain_text=True)  # wrong
    await trioxmpp.serve("romeo@example.org", "secret", reconnect=True)  # wrong
    await nursery.start(partial(trioxmpp.serve, "romeo@example.org", "secret", lang="de"))
    await nursery.start(partial(trioxmpp.serve, "romeo@example.org", "secret", langs="de"))  # wrong
