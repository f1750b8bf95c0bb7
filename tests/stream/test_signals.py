"""Signals: the events of a stream, when exactly they happen, and who hears of them."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import DestructionRequested, Message, Presence
from trioxmpp.stream import Signal

AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"
PRESENCE = "<presence from='juliet@example.test/balcony'/>"


# --- a signal by itself


def test_listeners_are_called_in_the_order_in_which_they_were_connected() -> None:
    signal: Signal[str] = Signal()
    called = []
    for letter in "abc":
        signal.connect(lambda event, letter=letter: called.append(letter + event))
    signal.emit("!")
    assert called == ["a!", "b!", "c!"]


def test_a_listener_that_raises_is_logged_and_stays_connected(caplog) -> None:
    signal: Signal[str] = Signal()
    called = []

    def breaks(event):
        called.append("breaks")
        raise LookupError("x")

    signal.connect(breaks)
    signal.connect(lambda event: called.append("next"))
    signal.emit("!")
    signal.emit("!")
    assert called == ["breaks", "next"] * 2
    assert "breaks" in caplog.text


@pytest.mark.parametrize("result", [True, False, None, "x"])
def test_the_result_of_a_listener_does_not_matter(result) -> None:
    signal: Signal[str] = Signal()
    called = []
    signal.connect(lambda event: (called.append(event), result)[1])
    signal.emit("a")
    signal.emit("b")
    assert called == ["a", "b"]


def test_a_disconnected_listener_is_not_called() -> None:
    signal: Signal[str] = Signal()
    called = []
    listener = signal.connect(called.append)
    signal.disconnect(listener)
    signal.emit("a")
    assert not called
    with pytest.raises(ValueError, match="not in list"):
        signal.disconnect(listener)


def test_a_listener_may_disconnect_itself() -> None:
    signal: Signal[str] = Signal()
    called = []

    @signal.connect
    def once(event):
        called.append(event)
        signal.disconnect(once)

    signal.connect(called.append)
    signal.emit("a")
    signal.emit("b")
    assert called == ["a", "a", "b"]


def test_a_block_connects_and_disconnects_and_swallows_nothing() -> None:
    signal: Signal[str] = Signal()
    called = []

    def block():
        with signal.context_connect(called.append):
            signal.emit("a")
            raise LookupError("x")

    with pytest.raises(LookupError):
        block()
    signal.emit("b")
    assert called == ["a"]


def test_an_async_listener_is_refused() -> None:
    async def listener(event):
        pass

    with pytest.raises(TypeError, match="subscribe"):
        Signal().connect(listener)


async def test_a_subscription_hears_what_happens_while_it_is_open(autojump_clock):
    one: Signal[str] = Signal()
    none: Signal[()] = Signal()
    two: Signal[str, int] = Signal()
    one.emit("missed")
    async with one.subscribe() as ones, none.subscribe() as nones, two.subscribe() as twos:
        one.emit("a")
        one.emit("b")
        none.emit()
        two.emit("c", 1)
        assert [await anext(ones), await anext(ones)] == ["a", "b"]
        assert await anext(nones) == ()
        assert await anext(twos) == ("c", 1)
    one.emit("missed")
    assert not len(ones)


# --- messages and presences


async def test_every_message_and_presence_is_heard_of_whether_or_not_it_is_handled(autojump_clock, scene):
    messages, presences = [], []
    scene.client.on_message.connect(messages.append)
    scene.client.on_presence.connect(presences.append)
    peer = await scene.starts()
    with scene.client.messages.handler(None, None, lambda stanza: None):
        await peer.says(AY_ME + PRESENCE)
        await peer.expects_nothing(1)
    await peer.says(AY_ME + PRESENCE)
    await peer.expects_nothing(1)
    assert [type(stanza) for stanza in messages] == [Message] * 2
    assert [type(stanza) for stanza in presences] == [Presence] * 2


async def test_a_task_may_subscribe_to_all_of_them(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.on_message.subscribe() as messages, scene.client.on_presence.subscribe() as presences:
        await peer.says(PRESENCE + AY_ME)
        assert (await anext(messages)).body == "Ay me!"
        assert str((await anext(presences)).from_) == "juliet@example.test/balcony"


async def test_a_listener_that_raises_harms_neither_the_stream_nor_the_dispatcher(autojump_clock, scene, caplog):
    called = []

    def breaks(stanza):
        called.append(stanza.body)
        raise LookupError("x")

    scene.stream.on_message_received.connect(breaks)
    peer = await scene.starts()
    async with scene.client.messages.subscribe(None) as inbox:
        for _ in range(2):
            await peer.says(AY_ME)
            assert (await anext(inbox)).body == "Ay me!"
    await peer.expects_nothing(1)
    assert called == ["Ay me!"] * 2
    assert "breaks" in caplog.text
    assert scene.stream.running


# --- the life of a session


@pytest.fixture
def told(scene):
    told: list[object] = []
    scene.stream.on_stream_established.connect(lambda: told.append("established"))
    scene.stream.on_stream_destroyed.connect(told.append)
    return told


async def test_each_start_without_stream_management_is_a_new_session(autojump_clock, scene, told):
    for _ in range(2):
        await scene.starts()
        await scene.stream.wait_stop()
    first, reason, second, _ = told
    assert first == second == "established"
    assert isinstance(reason, DestructionRequested)


async def test_a_session_is_established_once_however_often_it_is_resumed(autojump_clock, scene, told):
    await scene.starts(sm="sm-1")
    for _ in range(3):
        await scene.stream.wait_stop()
        await scene.resumes()
    assert told == ["established"]
    await scene.stream.wait_stop()
    assert told == ["established"]


async def test_enabling_stream_management_establishes_nothing(autojump_clock, scene, told):
    peer = await scene.starts()
    await scene.manages(peer)
    assert told == ["established"]


async def test_after_a_resumption_that_failed_the_next_start_is_a_new_session(autojump_clock, scene, told):
    await scene.starts(sm="sm-1")
    await scene.stream.wait_stop()
    xmlstream, peer = await scene.link()

    async def refuse():
        await peer.hears()
        await peer.says(
            "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        with pytest.raises(ConnectionError) as refusal:
            await scene.stream.resume(xmlstream)
    assert told == ["established", refusal.value]
    await scene.runs(xmlstream)
    assert told == ["established", refusal.value, "established"]


async def test_a_session_that_was_never_established_is_not_destroyed(autojump_clock, scene, told):
    scene.stream.stop()
    await scene.stream.wait_stop()
    await scene.stream.aclose()
    assert not told


async def test_a_listener_of_the_end_can_send_nothing(autojump_clock, scene):
    errors = []

    def tries(reason):
        with pytest.raises(ConnectionError) as raised:
            scene.client.enqueue(Message(to="juliet@example.test"))
        errors.append(raised.value)

    scene.stream.on_stream_destroyed.connect(tries)
    peer = await scene.starts()
    scene.stream.stop()
    assert await scene.outcome() is None
    assert len(errors) == 1
    await peer.expects_nothing(1)


async def test_a_listener_of_a_lost_stanza_can_send_nothing_either(autojump_clock, scene):
    errors = []

    def tries(token, state):
        with pytest.raises(ConnectionError) as raised:
            scene.client.enqueue(token.stanza)
        errors.append(raised.value)

    await scene.starts()
    scene.stream.stop()
    scene.client.enqueue(Message(to="juliet@example.test"), on_state_change=tries)
    assert await scene.outcome() is None
    assert len(errors) == 1


async def test_a_listener_of_a_new_session_can_send_at_once(autojump_clock, scene):
    scene.stream.on_stream_established.connect(lambda: scene.client.enqueue(Presence()))
    peer = await scene.starts()
    await peer.expects("<presence/>")


async def test_a_listener_of_a_failure_may_look_at_a_stream_that_has_stopped(autojump_clock, scene):
    seen = []
    scene.stream.on_failure.connect(lambda cause: seen.append(scene.stream.running))
    peer = await scene.starts()
    peer.reset()
    await scene.outcome()
    assert seen == [False]
