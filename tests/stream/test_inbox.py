"""Where stanzas wait for a consumer: who gets which, and what a slow one loses."""

import math
import weakref

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

import trioxmpp
from trioxmpp import InboxOverflow, IQType, Message, MessageType, SessionLost, StanzaStream
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream import Inbox
from trioxmpp.testing import ScriptedServer


def messages(*ids):
    return "".join(f"<message id='{id}' type='chat' from='juliet@example.test/balcony'/>" for id in ids)


async def test_items_are_taken_in_the_order_of_arrival(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.messages.subscribe() as inbox:
        await peer.says(messages(*range(100)))
        for number in range(100):
            assert (await anext(inbox)).id == str(number)
        assert len(inbox) == 0


async def test_all_items_that_wait_can_be_taken_at_once(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.messages.subscribe() as inbox:
        await peer.says(messages("1", "2", "3"))
        await trio.testing.wait_all_tasks_blocked()
        batches = inbox.batches()
        assert [message.id for message in await anext(batches)] == ["1", "2", "3"]
        with trio.move_on_after(1) as patience:
            await anext(batches)
        assert patience.cancelled_caught
        await peer.says(messages("4"))
        assert [message.id for message in await anext(batches)] == ["4"]
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(batches)
    assert [batch async for batch in batches] == []


async def test_only_what_arrives_during_the_block_is_had(autojump_clock, scene):
    peer = await scene.starts()
    await peer.says(messages("before"))
    await trio.testing.wait_all_tasks_blocked()
    async with scene.client.messages.subscribe() as inbox:
        await peer.says(messages("during"))
        assert (await anext(inbox)).id == "during"
    await peer.says(messages("after"))
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(StopAsyncIteration):
        await anext(inbox)


async def test_a_consumer_that_makes_requests_is_no_deadlock(autojump_clock, scene):
    """B315: the reader never waits for a consumer, not even for one that waits for the reader."""
    peer = await scene.starts()

    async def consume():
        async with scene.client.messages.subscribe(MessageType.CHAT) as inbox:
            async for message in inbox:
                await scene.client.request(Ping(), to=message.from_)
                scene.client.enqueue(message.reply(body="pong"))

    scene.nursery.start_soon(consume)
    await trio.testing.wait_all_tasks_blocked()
    await peer.says(messages(*range(10)))
    for _ in range(10):
        await peer.expects("<iq type='get' id='$1' to='juliet@example.test/balcony'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.says("<iq type='result' id='$1' from='juliet@example.test/balcony'/>")
        await peer.expects("<message type='chat' to='juliet@example.test/balcony'><body>pong</body></message>")


async def test_a_consumer_that_does_not_read_ends_its_own_subscription_only(autojump_clock, scene):
    """B314: neither the stream, nor a handler, nor another subscription suffers."""
    peer, handled = await scene.starts(), []
    scene.client.messages.register_callback(None, None, lambda message: handled.append(message.id))
    async with (
        scene.client.messages.subscribe(capacity=10) as slow,
        scene.client.messages.subscribe(capacity=1000) as patient,
    ):
        await peer.says(messages(*range(500)))
        await peer.says("<iq type='get' id='alive' from='example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.hears()
        assert len(handled) == len(patient) == 500
        for number in range(10):
            assert (await anext(slow)).id == str(number)
        for _ in range(2):
            with pytest.raises(InboxOverflow, match="more than 10"):
                await anext(slow)
        assert (await anext(patient)).id == "0"


async def test_an_inbox_may_be_boundless(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.messages.subscribe(capacity=math.inf) as inbox:
        await peer.says(messages(*range(20_000)))
        await peer.says("<iq type='get' id='alive' from='example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.hears()
        assert len(inbox) == 20_000


@pytest.mark.parametrize("capacity", [0, -1, 0.5, math.nan])
def test_an_inbox_has_room_for_one_at_least(capacity):
    with pytest.raises(ValueError, match="room"):
        StanzaStream().messages.subscribe(capacity=capacity)


async def test_several_consumers_share_an_inbox(autojump_clock):
    """Each item goes to one of them, and none is lost."""
    inbox, had = Inbox[int](), []

    async def consume(seconds):
        async for item in inbox:
            had.append(item)
            await trio.sleep(seconds)

    async with trio.open_nursery() as nursery:
        for seconds in (1, 2, 3):
            nursery.start_soon(consume, seconds)
        await trio.testing.wait_all_tasks_blocked()
        for item in range(100):
            inbox.put(item)
            if item % 10 == 0:
                await trio.sleep(1)
        inbox.close()
    assert sorted(had) == list(range(100))


async def test_a_task_that_is_cancelled_while_it_waits_loses_nothing(autojump_clock):
    inbox = Inbox[str]()
    with trio.move_on_after(1):
        await anext(inbox)
    inbox.put("here")
    assert await anext(inbox) == "here"


@pytest.mark.parametrize("item_first", [True, False])
async def test_an_item_that_comes_together_with_the_cancellation_is_not_lost(autojump_clock, item_first):
    inbox, had, scope = Inbox[str](), [], trio.CancelScope()

    async def consume():
        with scope:
            had.append(await anext(inbox))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await trio.testing.wait_all_tasks_blocked()
        if item_first:
            inbox.put("item")
        scope.cancel()
        if not item_first:
            inbox.put("item")
    assert had == ["item"] or await anext(inbox) == "item"


@given(plan=st.lists(st.sampled_from(["put", "start", "cancel"]), max_size=30), seed=st.randoms())
async def test_nothing_is_lost_or_taken_twice_as_tasks_come_and_go(plan, seed):
    inbox, had, sent, scopes = Inbox[int](), [], 0, []

    async def consume(scope):
        with scope:
            async for item in inbox:
                had.append(item)

    async with trio.open_nursery() as nursery:
        for step in plan:
            if step == "put":
                inbox.put(sent)
                sent += 1
            elif step == "start":
                scopes.append(trio.CancelScope())
                nursery.start_soon(consume, scopes[-1])
            elif scopes:
                scopes.pop(seed.randrange(len(scopes))).cancel()
            if seed.random() < 0.5:
                await trio.lowlevel.checkpoint()
        inbox.close()
        nursery.start_soon(consume, trio.CancelScope())
    assert sorted(had) == list(range(sent))


async def test_a_closed_inbox_gives_what_is_in_it_and_then_its_reason(autojump_clock):
    inbox = Inbox[int]()
    inbox.put(1)
    inbox.put(2)
    inbox.close(SessionLost("gone"))
    inbox.put(3)
    inbox.close()
    assert [await anext(inbox), await anext(inbox)] == [1, 2]
    for _ in range(2):
        with pytest.raises(SessionLost):
            await anext(inbox)


async def test_closing_wakes_every_consumer(autojump_clock):
    inbox, ended = Inbox[int](), []

    async def consume():
        async for _ in inbox:
            pass
        ended.append("ended")

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(consume)
        await trio.testing.wait_all_tasks_blocked()
        inbox.close()
    assert len(ended) == 3


@pytest.mark.parametrize("kind", ["messages", "presences"])
async def test_subscriptions_end_when_the_client_does(autojump_clock, kind):
    server, ended = ScriptedServer(), trio.Event()

    async def consume(client, task_status):
        async with getattr(client, kind).subscribe() as inbox:
            task_status.started()
            async for _ in inbox:
                pass
        ended.set()

    async def be_romeo(nursery):
        async with trioxmpp.connect(
            "romeo@example.test/orchard", "secret", endpoint=server.endpoint, allow_plaintext=True
        ) as client:
            await nursery.start(consume, client)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_romeo, nursery)
        peer = await server.accept()
        await peer.negotiates(sm=None)
        await peer.expects_footer()
        await peer.says_footer()
        await ended.wait()


async def test_entering_a_subscription_can_be_cancelled_and_has_begun_nothing(autojump_clock, scene):
    requests = scene.client.iq_requests(IQType.GET, Ping)
    with trio.CancelScope() as scope:
        scope.cancel()
        async with requests as inbox:
            raise AssertionError(f"entered: {inbox}")
    async with scene.client.iq_requests(IQType.GET, Ping):  # the slot is free
        pass


async def test_leaving_a_subscription_is_no_place_to_be_cancelled(autojump_clock, scene):
    with trio.CancelScope() as scope:
        async with scene.client.messages.subscribe():
            scope.cancel()
    assert not scope.cancelled_caught


async def test_a_subscription_that_has_ended_keeps_nothing_alive(autojump_clock, scene):
    async with scene.client.messages.subscribe() as inbox:
        pass
    gone = weakref.ref(inbox)
    del inbox
    assert gone() is None


async def test_subscriptions_live_through_sessions(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.messages.subscribe() as inbox:
        await peer.says(messages("1"))
        assert (await anext(inbox)).id == "1"
        peer.reset()
        await scene.outcome()
        peer = await scene.starts()
        await peer.says(messages("2"))
        message = await anext(inbox)
        assert isinstance(message, Message)
        assert message.id == "2"
