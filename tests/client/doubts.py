"""How to come into doubt about messages, and to see what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trioxmpp import Client, MemoryStore, Message, MessageType, xml
from trioxmpp.stream import Inbox
from trioxmpp.testing import Server

TO = "juliet@example.test/orchard"
ROMEO = "romeo@example.test/orchard"
MAM = "urn:xmpp:mam:2"


def chat(body: object, **more: object) -> Message:
    return Message(to=TO, type=MessageType.CHAT, body=str(body), **more)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.1)


async def reads(inbox, *bodies: object) -> None:
    """Exactly these come, and nothing behind them."""
    assert [(await anext(inbox)).body for _ in bodies] == [str(body) for body in bodies]
    with trio.move_on_after(100):
        pytest.fail(f"one too many: {(await anext(inbox)).body}")


def queries(server: Server) -> list[xml.Element]:
    """The questions that romeo's client has asked the archive."""
    return [each.stanza[0] for each in server.log if each.jid == ROMEO and each.stanza[0].tag == f"{{{MAM}}}query"]


def field(query: xml.Element, name: str) -> str | None:
    return query.findtext(f".//{{*}}field[@var='{name}']/{{*}}value")


async def loses_its_session(road, *posts: str, had: int, **how: object) -> tuple[MemoryStore, list[str | None]]:
    """A process posts messages of which the server gets the first `had`, and dies, as does its session. Return
    the content of its store, and the ids of the messages.
    """
    store = MemoryStore()
    async with road.connect(store=store) as old:
        road.session().link.black_hole("out")
        posted = [await old.post(chat(body, **how)) for body in posts[:had]]
        await settle()
        road.session().link.black_hole("in")
        posted += [await old.post(chat(body, **how)) for body in posts[had:]]
        await settle()
        left = MemoryStore(store.ticket)
        road.blocked = True
        road.server.expire(ROMEO)
        old.stream.stop()
        with trio.CancelScope() as scope:
            scope.cancel()
            await old.suspend()
    return left, [each.stanza.id for each in posted]


@asynccontextmanager
async def another_process(road, store: MemoryStore) -> AsyncIterator[Client]:
    road.blocked = False
    async with road.connect(store=store) as client:
        yield client


@asynccontextmanager
async def juliet(road) -> AsyncIterator[Inbox[Message]]:
    """She reads what comes, on a server that has an archive, and does not say what it had of a session."""
    road.server.policy.archive = True
    road.server.policy.resume_h_in_failed = False
    async with road.connect("juliet", endpoint=road.server.endpoint) as juliet, juliet.messages.subscribe() as inbox:
        yield inbox
