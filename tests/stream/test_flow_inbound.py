"""How much may wait on the way in: consumers that keep up, consumers that do not, and requests without end."""

from __future__ import annotations

import contextlib
import math
import time

import pytest
import trio
import trio.testing

from tests.dialogs import R
from trioxmpp import InboxOverflow, IQType, Liveness, Message, MessageType, StanzaStream
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream.inbound.handled import LIMIT, UNTAKEN
from trioxmpp.stream.inbound.inbox import DEFAULT_CAPACITY, Inbox
from trioxmpp.stream.inbound.turns import GIVEN_SECONDS
from trioxmpp.testing import open_peer_pair

ALIVE = "<iq type='get' id='alive' from='example.test'><ping xmlns='urn:xmpp:ping'/></iq>"


def flood(count: int, body: str = "Hi") -> bytes:
    """Return messages of these numbers as one segment."""
    return b"".join(
        f"<message id='{n}' type='chat' from='juliet@example.test/balcony'><body>{body}</body></message>".encode()
        for n in range(count)
    )


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("capacity", [DEFAULT_CAPACITY, 100, 1])
async def test_an_echo_loop_keeps_up_with_any_burst(autojump_clock, scene, managed, capacity):
    """F9: the whole burst is there before the first turn of the loop."""
    peer, count = await scene.starts(sm="sm-1" if managed else None), 20_000
    echoed, done = [], trio.Event()

    async def echo(*, task_status):
        async with scene.client.messages.subscribe(MessageType.CHAT, capacity=capacity) as inbox:
            task_status.started()
            async for message in inbox:
                scene.client.enqueue(message.reply(message.body))
                echoed.append(message.id)
                if len(echoed) == count:
                    break
        done.set()

    await scene.nursery.start(echo)
    await peer.says_raw(flood(count))
    await done.wait()
    assert echoed == [str(n) for n in range(count)]


async def test_a_process_that_stands_still_for_a_moment_loses_no_consumer(autojump_clock, scene):
    """The seconds that the reader waits for may all pass while the system runs something else."""
    peer, count, got = await scene.starts(), 1_000, []

    async def consume(*, task_status):
        async with scene.client.messages.subscribe(MessageType.CHAT, capacity=1) as inbox:
            task_status.started()
            async for message in inbox:
                got.append(message.id)
                await trio.lowlevel.checkpoint()  # the next message arrives
                if len(got) in (300, 700):
                    time.sleep(GIVEN_SECONDS)  # noqa: ASYNC251 - the system stops the whole process
                await trio.lowlevel.checkpoint()
                if len(got) == count:
                    break

    async with trio.open_nursery() as nursery:
        await nursery.start(consume)
        await peer.says_raw(flood(count))
    assert got == [str(n) for n in range(count)]


async def test_a_loop_that_awaits_each_send_keeps_up_with_a_burst(autojump_clock, scene):
    peer, count, echoed, done = await scene.starts(), 15_000, [], trio.Event()

    async def echo(*, task_status):
        async with scene.client.messages.subscribe(MessageType.CHAT) as inbox:
            task_status.started()
            async for message in inbox:
                await scene.client.send(Message(to=message.from_, type=MessageType.CHAT, body=message.body))
                echoed.append(message.id)
                if len(echoed) == count:
                    break
        done.set()

    await scene.nursery.start(echo)
    await peer.says_raw(flood(count))
    await done.wait()
    assert echoed == [str(n) for n in range(count)]


async def test_a_loop_that_awaits_a_reply_behind_a_burst_gets_it(autojump_clock, scene):
    """The reader gives turns, and never waits: the reply stands behind the burst that overflows the loop's inbox."""
    peer, got = await scene.starts(), []

    async def consume(*, task_status):
        async with scene.client.messages.subscribe(MessageType.CHAT, capacity=50, overflow="drop_newest") as inbox:
            task_status.started()
            await anext(inbox)
            got.append(await scene.client.request(Ping(), to="juliet@example.test"))
            got.append((await anext(inbox)).id)

    await scene.nursery.start(consume)
    await peer.says_raw(flood(1))
    await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
    await peer.says_raw(flood(2_000))
    await peer.says("<iq type='result' id='$1' from='juliet@example.test'/>")
    await trio.testing.wait_all_tasks_blocked()
    assert got == [None, "0"]


async def test_a_consumer_chooses_what_it_loses(autojump_clock, scene, caplog):
    peer = await scene.starts()
    subscribe = scene.client.messages.subscribe
    async with (
        subscribe(capacity=10) as ends,
        subscribe(capacity=10, overflow="drop_oldest") as drops_oldest,
        subscribe(capacity=10, overflow="drop_newest") as drops_newest,
    ):
        await peer.says_raw(flood(1_000) + ALIVE.encode())
        await peer.hears()
        assert [message.id for message in drops_oldest.take_all()] == [str(n) for n in range(990, 1000)]
        assert [message.id for message in drops_newest.take_all()] == [str(n) for n in range(10)]
        assert (drops_oldest.dropped, drops_newest.dropped, ends.dropped) == (990, 990, 0)
        assert [(await anext(ends)).id for _ in range(10)] == [str(n) for n in range(10)]
        with pytest.raises(InboxOverflow):
            await anext(ends)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("dropped 990" in text for text in warnings) == 2
    assert len(warnings) < 30


def test_a_policy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="overflow"):
        Inbox(overflow="explode")  # type: ignore[arg-type]


async def test_an_inbox_is_bounded_in_octets_too(autojump_clock, scene):
    """F10: ten thousand messages of 200 kB would be 2 GB."""
    peer = await scene.starts()
    async with (
        scene.client.messages.subscribe() as usual,
        scene.client.messages.subscribe(octets=math.inf) as boundless,
        scene.client.messages.subscribe(octets=1) as tiny,
    ):
        body = "x" * 200_000
        for _ in range(100):
            await peer.says_raw(flood(1, body))
        await peer.says(ALIVE)
        await peer.hears()
        assert len(boundless) == 100
        assert 16 * 2**20 - 400_000 < 200_000 * len(usual) < 16 * 2**20
        assert len(tiny) == 1  # one is always let in
        await anext(tiny)
        with pytest.raises(InboxOverflow):
            await anext(tiny)


async def test_taking_large_stanzas_makes_room_for_others(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.messages.subscribe(octets=500_000) as inbox:
        for _ in range(20):
            await peer.says_raw(flood(2, "x" * 200_000))
            assert [len((await anext(inbox)).body) for _ in range(2)] == [200_000] * 2


async def test_stanzas_that_nothing_wants_yet_are_bounded_in_octets(autojump_clock, scene, caplog):
    peer = await scene.starts()
    scene.client.messages.retain_unclaimed(defers=False)
    for _ in range(100):
        await peer.says_raw(flood(1, "x" * 300_000))
    await peer.says(ALIVE)
    await peer.hears()
    async with scene.client.messages.subscribe(octets=math.inf) as inbox:
        assert 16 * 2**20 - 600_000 < 300_000 * len(inbox) < 16 * 2**20
    losses = [record.getMessage() for record in caplog.records if "lost so far" in record.getMessage()]
    assert 0 < len(losses) < 10


# --- with stream management


async def asks(peer) -> int:
    """Have the server ask how many stanzas were handled; return the answer."""
    await peer.says(R)
    answer = await peer.hears()
    assert answer.tag == f"{{{ns.SM}}}a"
    return int(answer.get("h"))


async def test_stanzas_that_a_slow_consumer_has_not_taken_are_not_acknowledged(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    async with scene.client.messages.subscribe() as inbox:
        await peer.says_raw(flood(300))
        acknowledged = await asks(peer)
        assert acknowledged <= 64
        for number in range(300):
            assert (await anext(inbox)).id == str(number)
        while acknowledged < 300:  # the count that was asked for is reported as it grows
            acknowledged = int((await peer.hears(within=1)).get("h"))
    assert acknowledged == 300


async def test_no_more_than_servers_allow_stays_unacknowledged(autojump_clock, scene):
    """ejabberd ends a session with 5,000 unacknowledged stanzas, Prosody does not resume one with more than 500."""
    peer = await scene.starts(sm="sm-1")
    async with scene.client.messages.subscribe():
        for _ in range(10):
            await peer.says_raw(flood(600))
        assert await asks(peer) == 6_000 - UNTAKEN
    assert await asks(peer) == 6_000
    assert UNTAKEN < 500
    assert LIMIT < 5_000


async def test_stanzas_that_wait_are_had_once_though_the_server_sends_them_again(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    async with scene.client.messages.subscribe() as inbox:
        await peer.says_raw(flood(200))
        handled = await asks(peer)
        peer.reset()
        await scene.outcome()
        peer = await scene.resumes(handled=handled)
        await peer.says_raw(b"".join(flood(200).partition(f"<message id='{handled}'".encode())[1:]))
        await peer.says("<message id='new' type='chat' from='juliet@example.test/balcony'/>")
        await trio.testing.wait_all_tasks_blocked()
        assert [message.id for message in inbox.take_all()] == [*map(str, range(200)), "new"]
        assert await asks(peer) == 201


@pytest.mark.parametrize("limit", [1, 10])
async def test_the_application_says_how_many_stanzas_wait_for_one_that_it_has_not_finished(autojump_clock, limit):
    """F14: the server keeps the others, and sends them when the session is resumed."""
    async with open_peer_pair() as (xmlstream, peer), trio.open_nursery() as nursery:
        stream = StanzaStream("romeo@example.test", liveness=Liveness(None, None), max_unhandled=limit)
        failures = []
        stream.on_failure.connect(failures.append)

        async def run(task_status):
            with contextlib.suppress(ConnectionError):
                await stream.run(xmlstream, task_status=task_status)

        await nursery.start(run)
        nursery.start_soon(stream.start_sm)
        await peer.hears()
        await peer.says(f"<enabled xmlns='{ns.SM}' id='sm-1' resume='true'/>")
        async with stream.messages.subscribe(ack="manual") as inbox:
            await peer.says_raw(flood(limit))
            await trio.testing.wait_all_tasks_blocked()
            assert not failures
            await peer.says_raw(flood(1))
            await trio.testing.wait_all_tasks_blocked()
            assert f"{limit} stanzas wait" in str(failures[0])
            assert len(inbox) == limit
    with pytest.raises(ValueError, match="one at least"):
        StanzaStream(max_unhandled=0)


# --- requests


def request(number: int, sender: str) -> str:
    return f"<iq type='get' id='{number}' from='{sender}'><ping xmlns='urn:xmpp:ping'/></iq>"


async def answers(peer, count: int) -> tuple[list[str], list[str]]:
    """Return the senders whose requests were refused since there are too many, and all others that got an answer."""
    refused, others = [], []
    for _ in range(count):
        answer = await peer.hears()
        error = answer.find("{jabber:client}error")
        if error is not None and error[0].tag.endswith("resource-constraint"):
            assert error.get("type") == "wait"
            refused.append(answer.get("to"))
        else:
            others.append(answer.get("to"))
    return refused, others


@pytest.mark.parametrize("plain", [False, True])
async def test_one_sender_has_a_bounded_number_of_handlers(autojump_clock, scene, plain):
    """F11: each request beyond that is answered at once; those of other senders are not concerned."""
    peer, running = await scene.starts(), []

    async def slow(iq):
        running.append(iq.from_)
        await trio.sleep(60)

    handler = (lambda iq: slow(iq)) if plain else slow
    with scene.client.iq_handler(IQType.GET, Ping, handler):
        senders = [f"mallory@example.test/{n % 7}" for n in range(1_000)] + ["juliet@example.test/balcony"]
        for number, sender in enumerate(senders):
            await peer.says(request(number, sender))
        refused, _ = await answers(peer, 900)
        assert len(refused) == 900
        assert len(running) == 101
        assert "juliet@example.test/balcony" in map(str, running)
        assert len((await answers(peer, 101))[1]) == 101
        await peer.says(request(0, "mallory@example.test/0"))  # there is room again
        assert await answers(peer, 1) == ([], ["mallory@example.test/0"])


async def test_all_senders_have_a_bounded_number_of_handlers(autojump_clock, scene):
    peer = await scene.starts()

    async def slow(iq):
        await trio.sleep(60)

    with scene.client.iq_handler(IQType.GET, Ping, slow):
        for number in range(1_100):
            await peer.says(request(number, f"mallory-{number}@example.test/x"))
        assert len((await answers(peer, 100))[0]) == 100
        assert len((await answers(peer, 1_000))[1]) == 1_000


async def test_requests_that_were_taken_and_not_answered_are_bounded(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.GET, Ping, capacity=10) as inbox:
        for number in range(30):
            await peer.says(request(number, "juliet@example.test/balcony"))
            await trio.testing.wait_all_tasks_blocked()
            inbox.take_all()
        assert len((await answers(peer, 20))[0]) == 20
