"""A component for ten thousand users in two hundred rooms, on one link that breaks."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest
import trio

from tests.client.test_component import DOMAIN, Scripted, connect, hi
from trioxmpp import Destroyed, Established, Message, StanzaState, Suspended

USERS, ROOMS = 10_000, 200
IN_DOUBT = 7


def user(number: int) -> str:
    return f"u{number}@{DOMAIN}"


def room(number: int) -> str:
    return f"room{number % ROOMS}@conference.example.test"


def speech(number: int) -> bytes:
    """A message of an occupant of its room to a user."""
    return f"<message from='{room(number)}/n' to='{user(number)}/r'><body>{number}</body></message>".encode()


@pytest.mark.item("D12.6")
async def test_many_users_on_a_link_that_breaks_are_not_mixed_up(autojump_clock):
    server = Scripted()
    got: Counter[tuple[int, str | None]] = Counter()
    claimed = trio.Event()
    arrived = {USERS // 2: trio.Event(), USERS: trio.Event()}

    async def play() -> None:
        peer = await server.welcomes()
        await claimed.wait()
        for number in range(USERS // 2):
            await peer.says_raw(speech(number))
        for _ in range(IN_DOUBT):
            assert (await peer.hears()).tag.endswith("message")
        await trio.sleep(1)
        peer.reset()  # the server starts anew
        peer = await server.welcomes()
        for number in range(USERS // 2, USERS):
            await peer.says_raw(speech(number))
        await peer.expects_footer()
        await peer.says_footer()

    def taker(number: int):
        def take(message: Message) -> None:
            got[number, message.body] += 1
            if len(got) in arrived:
                arrived[len(got)].set()

        return take

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        async with connect(server) as component, component.events() as events:
            with ExitStack() as claims:
                for number in range(USERS):
                    claims.enter_context(component.claim(room(number), taker(number), print, user=user(number)))
                claimed.set()
                await arrived[USERS // 2].wait()
                for number in range(IN_DOUBT):
                    component.enqueue(hi(str(number), from_=user(number)))
                told = [await anext(events) for _ in range(3)]
                assert [type(event) for event in told] == [Suspended, Destroyed, Established]
                assert isinstance(told[1], Destroyed)
                doubtful = {str(token.stanza.from_): token.state for token in told[1].undelivered}
                await arrived[USERS].wait()
    assert got == {(number, str(number)): 1 for number in range(USERS)}
    assert doubtful == {user(number): StanzaState.SENT_WITHOUT_SM for number in range(IN_DOUBT)}
