"""Starting and stopping a stanza stream, and what becomes of what was queued, in flight or just arriving."""

from __future__ import annotations

import logging

import pytest
import trio

from tests.dialogs import R, message
from trioxmpp import (
    IQ,
    JID,
    DestructionRequested,
    IQType,
    StanzaState,
    StanzaStream,
    XmlStream,
)
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.framing import header
from trioxmpp.testing import ScriptedPeer
from trioxmpp.transport.tcp import StreamTransport

AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"
PING = "<iq type='get' id='$1' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"


def written(body: str = "Hi") -> str:
    return f"<message to='juliet@example.test' type='chat'><body>{body}</body></message>"


def ping() -> IQ:
    return IQ(type=IQType.GET, to="juliet@example.test", payload=Ping())


# --- construction


def test_a_new_stream_is_inert_and_needs_no_event_loop() -> None:
    stream = StanzaStream()
    assert (stream.running, stream.established, stream.sm_enabled) == (False, False, False)
    assert stream.local_jid is None
    assert stream.undelivered == ()


def test_the_address_is_kept_and_may_be_changed() -> None:
    stream = StanzaStream("romeo@example.test")
    assert stream.local_jid == JID.parse("romeo@example.test")
    stream.local_jid = JID.parse("juliet@example.test")
    assert stream.local_jid == JID.parse("juliet@example.test")


def test_there_is_no_loop_to_choose() -> None:
    with pytest.raises(TypeError, match="loop"):
        StanzaStream(loop=None)


@pytest.mark.parametrize(("parent", "name"), [(None, "trioxmpp.StanzaStream"), ("app", "app.StanzaStream")])
async def test_a_stream_logs_below_the_logger_it_was_given(autojump_clock, scene, caplog, parent, name):
    caplog.set_level(logging.INFO)
    stream = StanzaStream(logger=None if parent is None else logging.getLogger(parent))
    xmlstream, peer = await scene.link()
    await scene.runs(xmlstream, stream.run)
    peer.reset()
    assert await scene.outcome() is not None
    assert [record for record in caplog.records if record.name == name and "failed" in record.message]


# --- starting


async def test_a_stream_that_has_started_works(autojump_clock, scene):
    peer = await scene.starts()
    assert scene.stream.running
    assert scene.stream.established
    token = scene.client.enqueue(message())
    await peer.expects(written())
    await token
    async with scene.client.messages.subscribe(None) as inbox:
        await peer.says(AY_ME)
        assert (await anext(inbox)).body == "Ay me!"


async def test_nothing_is_lost_of_what_came_with_the_end_of_the_negotiation(autojump_clock, scene):
    peer = ScriptedPeer()
    xmlstream = XmlStream(StreamTransport(peer.stream), "example.test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(xmlstream.open)
        await peer.expects_header()
        begin = header(to=None, from_="example.test", id="1").decode()
        await peer.says_raw(f"{begin}<stream:features/>{AY_ME}".encode())
    async with scene.client.messages.subscribe(None) as inbox:
        await scene.runs(xmlstream)
        assert (await anext(inbox)).body == "Ay me!"


async def test_a_task_that_subscribes_right_after_the_start_misses_nothing(autojump_clock, scene):
    xmlstream, peer = await scene.link()
    await peer.says(AY_ME)
    await scene.runs(xmlstream)
    seen = []
    scene.stream.on_message_received.connect(seen.append)
    await peer.expects_nothing(1)
    assert [stanza.body for stanza in seen] == ["Ay me!"]


async def test_established_is_told_before_the_start_is_reported(autojump_clock, scene):
    told = []
    scene.stream.on_stream_established.connect(lambda: told.append("established"))
    xmlstream, peer = await scene.link()
    await peer.says(AY_ME)
    scene.stream.on_message_received.connect(lambda stanza: told.append("message"))

    async def live(xmlstream, *, task_status):
        class Status:
            def started(self, value=None):
                told.append("started")
                task_status.started()

        await scene.stream.run(xmlstream, task_status=Status())

    await scene.runs(xmlstream, live)
    await peer.expects_nothing(1)
    assert told == ["established", "started", "message"]


async def test_a_running_stream_cannot_be_started_and_the_other_link_is_not_touched(autojump_clock, scene):
    peer = await scene.starts()
    other_link, other_peer = await scene.link()
    with pytest.raises(RuntimeError, match="already running"):
        await scene.stream.run(other_link)
    with pytest.raises(RuntimeError):
        await scene.stream.resume(other_link)
    await other_peer.expects_nothing(60)
    scene.client.enqueue(message())
    await peer.expects(written())
    await scene.stream.wait_stop()
    await scene.runs(other_link)
    scene.client.enqueue(message())
    await other_peer.expects(written())


# --- stopping


async def test_stop_from_a_plain_function_ends_the_run_without_an_error(autojump_clock, scene):
    peer = await scene.starts()
    with scene.client.messages.handler(None, None, lambda stanza: scene.stream.stop()):
        await peer.says(AY_ME)
        assert await scene.outcome() is None
    assert not scene.stream.running


async def test_nothing_is_written_after_stop(autojump_clock, scene):
    peer = await scene.starts()
    tokens = []

    def last_words(stanza):
        tokens.append(scene.client.enqueue(message()))
        scene.stream.stop()

    with scene.client.messages.handler(None, None, last_words):
        await peer.says(AY_ME)
        assert await scene.outcome() is None
    await peer.expects_nothing(60)
    assert tokens[0].state is StanzaState.DISCONNECTED


async def test_stop_leaves_the_link_as_it_is(autojump_clock, scene):
    xmlstream, peer = await scene.link()
    await scene.runs(xmlstream)
    scene.client.enqueue(message())
    await peer.expects(written())
    scene.stream.stop()
    assert await scene.outcome() is None
    await peer.expects_nothing(60)
    await xmlstream.send(b"<presence/>")
    await peer.expects("<presence/>")


async def test_an_ack_that_is_owed_is_not_written_after_stop_either(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    scene.stream.on_message_received.connect(lambda stanza: scene.stream.stop())
    await peer.says(R + AY_ME)
    assert await scene.outcome() is None
    await peer.expects_nothing(60)


async def test_stop_on_a_stream_that_does_not_run_does_nothing(autojump_clock, scene):
    told = []
    scene.stream.on_stream_destroyed.connect(told.append)
    scene.stream.on_failure.connect(told.append)
    for _ in range(3):
        scene.stream.stop()
    await scene.stream.wait_stop()
    assert not told
    await scene.starts()
    for _ in range(3):
        scene.stream.stop()
    await scene.stream.wait_stop()
    scene.stream.stop()
    assert len(told) == 1


async def test_a_stream_runs_until_all_has_ended(autojump_clock, scene):
    await scene.starts()
    scene.stream.stop()
    assert scene.stream.running
    await scene.stream.wait_stop()
    assert not scene.stream.running


async def test_waiting_for_the_end_raises_nothing_though_the_stream_has_failed(autojump_clock, scene, background):
    """The failure is known while the stream still says goodbye: who waits then, or later, is not told of it."""
    peer, waits = await scene.starts(), []
    scene.stream.on_stream_destroyed.connect(lambda reason: waits.append(background(scene.stream.wait_stop)))
    await peer.says_raw(b"</oops>")
    assert isinstance(await scene.outcome(), ConnectionError)
    (waiting,) = waits
    await waiting.outcome()
    await scene.stream.wait_stop()
    assert not scene.stream.running


async def test_stop_after_the_failure_does_not_hide_it(autojump_clock, scene):
    peer = await scene.starts()
    scene.stream.on_stream_destroyed.connect(lambda reason: scene.stream.stop())
    await peer.says_raw(b"<message></body>")
    assert isinstance(await scene.outcome(), ConnectionError)


async def test_a_break_after_stop_is_not_a_failure(autojump_clock, scene):
    failures = []
    scene.stream.on_failure.connect(failures.append)
    peer = await scene.starts()
    scene.stream.stop()
    peer.reset()
    assert await scene.outcome() is None
    assert not failures


async def test_an_error_of_a_filter_after_it_called_stop_is_not_a_failure(autojump_clock, scene):
    failures = []
    scene.stream.on_failure.connect(failures.append)

    def stop_and_raise(stanza):
        scene.stream.stop()
        raise LookupError

    scene.stream.app_inbound_message_filter.register(stop_and_raise)
    peer = await scene.starts()
    await peer.says("<message from='juliet@example.test'/>")
    assert await scene.outcome() is None
    assert not failures


async def test_a_stream_may_be_stopped_before_it_did_anything(autojump_clock, scene):
    scene.stream.on_stream_established.connect(scene.stream.stop)
    peer = await scene.starts()
    assert await scene.outcome() is None
    await peer.expects_nothing(60)


# --- what survives


async def test_without_stream_management_stop_settles_everything(autojump_clock, scene):
    reasons, errors, handler_ended = [], [], trio.Event()
    scene.stream.on_stream_destroyed.connect(reasons.append)
    peer = await scene.starts()

    async def handler(iq):
        try:
            await trio.sleep_forever()
        finally:
            handler_ended.set()

    async def ask():
        with pytest.raises(ConnectionError) as raised:
            await scene.client.send(ping())
        errors.append(raised.value)

    with scene.client.iq_handler(IQType.GET, Ping, handler):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
            await peer.says("<iq type='get' id='1' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
            await peer.expects_nothing(1)
            token = scene.client.enqueue(message())
            scene.stream.stop()
    await handler_ended.wait()
    assert token.state is StanzaState.DISCONNECTED
    (reason,) = reasons
    assert isinstance(reason, DestructionRequested)
    assert "stop() called" in str(reason)
    assert "not resumable" in str(reason)
    assert errors == reasons
    assert scene.stream.undelivered == (token,)
    with scene.stream.expect_iq_response("juliet@example.test", peer.met["1"]):
        pass  # the key is free again


async def test_a_session_that_cannot_be_resumed_is_destroyed_though_it_is_managed(autojump_clock, scene):
    reasons = []
    scene.stream.on_stream_destroyed.connect(reasons.append)
    peer = await scene.starts(sm="sm-1", resumable=False)
    token = scene.client.enqueue(message())
    await peer.expects(written())
    scene.stream.stop()
    assert await scene.outcome() is None
    assert token.state is StanzaState.SENT_WITHOUT_SM
    assert not scene.stream.sm_enabled
    assert isinstance(reasons[0], DestructionRequested)


async def test_a_resumable_session_survives_stop(autojump_clock, scene):
    told, answers = [], []
    scene.stream.on_stream_destroyed.connect(told.append)
    scene.stream.on_stream_established.connect(lambda: told.append("established"))
    peer = await scene.starts(sm="sm-1")
    assert told.pop() == "established"
    finish = trio.Event()

    async def handler(iq):
        await finish.wait()

    async def ask():
        answers.append(await scene.client.send(ping()))

    with scene.client.iq_handler(IQType.GET, Ping, handler):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
            await peer.expects(R)
            await peer.says("<iq type='get' id='theirs' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
            await peer.expects_nothing(1)
            before = scene.client.enqueue(message("before"))
            scene.stream.stop()
            after = scene.client.enqueue(message("after"))
            assert await scene.outcome() is None
            assert before.state is after.state is StanzaState.ACTIVE
            with pytest.raises(ValueError, match="only one listener"):
                scene.stream.expect_iq_response("juliet@example.test", peer.met["1"])
            finish.set()  # while there is no link
            await trio.sleep(60)
            assert not answers
            assert not told
            question = peer.met["1"]
            peer = await scene.resumes(h=1, handled=1)
            await peer.expects(written("before"))
            await peer.expects(written("after"))
            await peer.expects("<iq type='result' id='theirs' to='juliet@example.test'/>")
            await peer.says(f"<iq type='result' id='{question}' from='juliet@example.test'/>")
    assert answers == [None]
    assert not told


async def test_a_stanza_not_processed_when_the_stream_was_stopped_is_neither_delivered_nor_counted(
    autojump_clock, scene
):
    seen = []

    def one_is_enough(stanza):
        seen.append(stanza.body)
        scene.stream.stop()

    scene.stream.on_message_received.connect(one_is_enough)
    peer = await scene.starts(sm="sm-1")
    await peer.says(AY_ME + AY_ME.replace("Ay me!", "O Romeo!"))
    assert await scene.outcome() is None
    assert seen == ["Ay me!"]
    peer = await scene.resumes(handled=1)
    await peer.says(AY_ME.replace("Ay me!", "O Romeo!"))
    assert await scene.outcome() is None
    assert seen == ["Ay me!", "O Romeo!"]


async def test_a_fresh_start_begins_a_fresh_session(autojump_clock, scene):
    told = []
    scene.stream.on_stream_destroyed.connect(lambda reason: told.append("destroyed"))
    scene.stream.on_stream_established.connect(lambda: told.append("established"))
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    await peer.expects(written())
    await scene.stream.wait_stop()
    peer = await scene.starts()  # not a resumption
    assert told == ["established", "destroyed", "established"]
    assert token.state is StanzaState.SENT_WITHOUT_SM
    assert not scene.stream.sm_enabled
    await peer.expects_nothing(1)


# --- a writer that is stuck


@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_stop_does_not_wait_for_a_peer_that_does_not_read(autojump_clock, scene, sm):
    peer = await scene.starts(sm=sm, capacity=100)
    first, second = scene.client.enqueue(message("A" * 200)), scene.client.enqueue(message("B" * 200))
    await trio.testing.wait_all_tasks_blocked()
    begun = trio.current_time()
    await scene.stream.wait_stop()
    assert await scene.outcome() is None
    assert trio.current_time() == begun
    # Nothing can follow an element that was cut in half: the link is of no more use.
    await peer.expects_end()
    if sm is None:
        # The first may have arrived, for all we know; the second was not written as a whole.
        assert (first.state, second.state) == (StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED)
        assert scene.stream.undelivered == (first, second)
    else:
        assert first.state is second.state is StanzaState.SENT
        peer = await scene.resumes()
        await peer.expects(written("A" * 200))
        await peer.expects(written("B" * 200))


async def test_cancelling_the_run_is_stopping_it(autojump_clock, scene):
    xmlstream, peer = await scene.link()
    reasons = []
    scene.stream.on_stream_destroyed.connect(reasons.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.stream.run, xmlstream)
        await trio.testing.wait_all_tasks_blocked()
        token = scene.client.enqueue(message())
        nursery.cancel_scope.cancel()
    assert token.state is StanzaState.DISCONNECTED
    assert isinstance(reasons[0], DestructionRequested)
    assert not scene.stream.running
    await peer.expects_end()  # something was just being written, so nothing can follow it


async def test_an_error_of_the_run_comes_out_bare(autojump_clock, scene):
    xmlstream, peer = await scene.link()
    peer.reset()
    with pytest.raises(ConnectionError):
        await scene.stream.run(xmlstream)
