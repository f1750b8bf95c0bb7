"""Failures that end a stream: the signals, the last words to the server, and ends that are no failures."""

from __future__ import annotations

import pytest
import trio

from tests.dialogs import HI, R, message
from trioxmpp import (
    IQ,
    IQType,
    Message,
    SessionLost,
    StanzaState,
    StreamCondition,
    StreamError,
    StreamTimeout,
    XmlStream,
    XMPPCancelError,
)
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import memory_link
from trioxmpp.transport.tcp import StreamTransport

AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"


def stream_error(condition: str, text: str = "") -> str:
    return f"<stream:error><{condition} xmlns='{ns.STREAM_ERRORS}'/>{text}</stream:error>"


class Breaking(StreamTransport):
    """A link that breaks, in one way or another, when the test says so."""

    error: Exception | None = None

    async def send(self, data: bytes, *more: bytes) -> None:
        if self.error is not None:
            raise self.error
        await super().send(data, *more)


@pytest.fixture
async def breaking(scene):
    """The scene on a link whose transport raises what the test wants."""
    here, there = memory_link()
    transport = Breaking(here)
    xmlstream = XmlStream(transport, "example.test")
    await there.send_all(f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' version='1.0'>".encode())
    await there.send_all(b"<stream:features/>")
    await xmlstream.open()
    await scene.runs(xmlstream)
    return transport


# --- what is a failure


async def test_stanzas_before_an_error_in_the_same_read_are_processed(autojump_clock, scene):
    """And counted: the server would deliver it again."""
    peer, heard = await scene.starts(sm="sm-1"), []
    scene.stream.on_message_received.connect(heard.append)
    await peer.says_raw(f"{AY_ME}{AY_ME}</oops>".encode())
    error = await scene.outcome()
    assert isinstance(error, StreamError)
    assert [stanza.body for stanza in heard] == ["Ay me!", "Ay me!"]
    assert scene.stream.sm_inbound_ctr == 2


@pytest.mark.parametrize("breaks", ["reset", "close"])
async def test_a_link_that_breaks_is_a_connection_error(autojump_clock, scene, breaks):
    failures = []
    scene.stream.on_failure.connect(failures.append)
    peer = await scene.starts()
    getattr(peer, breaks)()
    failure = await scene.outcome()
    assert isinstance(failure, ConnectionError)
    assert failures == [failure]
    assert not scene.stream.running


async def test_an_error_of_the_transport_is_raised_by_the_run(autojump_clock, scene, breaking):
    failures = []
    scene.stream.on_failure.connect(failures.append)
    breaking.error = ConnectionResetError("the cable was cut")
    token = scene.client.enqueue(message())
    assert await scene.outcome() is breaking.error
    assert failures == [breaking.error]
    assert token.state is StanzaState.DISCONNECTED


async def test_whatever_is_raised_comes_out_bare(autojump_clock, scene):
    xmlstream, peer = await scene.link()
    error = LookupError("what a filter raised")

    def breaks(stanza):
        raise error

    scene.stream.app_inbound_message_filter.register(breaks)
    await peer.says(AY_ME)
    with pytest.raises(LookupError) as raised:
        await scene.stream.run(xmlstream)
    assert raised.value is error
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


async def test_an_error_of_the_server_says_which(autojump_clock, scene):
    peer = await scene.starts()
    text = f"<text xmlns='{ns.STREAM_ERRORS}'>Good night, good night!</text>"
    await peer.says(stream_error("system-shutdown", text))
    await peer.says_footer()
    failure = await scene.outcome()
    assert isinstance(failure, StreamError)
    assert (failure.condition, failure.text) == (StreamCondition.SYSTEM_SHUTDOWN, "Good night, good night!")
    assert not failure.by_us
    await peer.expects_footer()
    await peer.expects_end()


async def test_the_first_of_several_errors_counts(autojump_clock, scene):
    peer = await scene.starts()
    await peer.says(stream_error("reset") + stream_error("conflict"))
    peer.reset()
    failure = await scene.outcome()
    assert isinstance(failure, StreamError)
    assert failure.condition is StreamCondition.RESET


async def test_a_server_that_closes_the_stream_is_answered_with_our_footer(autojump_clock, scene):
    peer = await scene.starts()
    await peer.says_footer()
    failure = await scene.outcome()
    assert isinstance(failure, ConnectionError)
    assert "the server closed the stream" in str(failure)
    await peer.expects_footer()
    await peer.expects_end()


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (b"<message></body>", "not-well-formed"),
        (b"<!-- hello -->", "restricted-xml"),
        (b"<message>rock & roll</message>", "not-well-formed"),
        (b"hello", "bad-format"),
    ],
)
@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_octets_that_are_not_xmpp_end_the_stream_with_the_error_that_tells_so(
    autojump_clock, scene, sm, said, condition
):
    peer = await scene.starts(sm=sm)
    await peer.says_raw(said)
    failure = await scene.outcome()
    assert isinstance(failure, StreamError)
    assert failure.by_us
    assert failure.condition.value == condition
    heard = await peer.hears()
    assert heard.tag == f"{{{ns.STREAM}}}error"
    assert heard[0].tag == f"{{{ns.STREAM_ERRORS}}}{condition}"
    await peer.expects_footer()
    await peer.expects_end()


# --- how the XML stream is closed


@pytest.mark.parametrize("management", ["none", "not resumable", "resumable"])
async def test_a_crash_ends_in_a_footer_unless_the_session_is_to_be_resumed(autojump_clock, scene, management):
    peer = await scene.starts(sm=None if management == "none" else "sm-1", resumable=management == "resumable")
    with scene.stream.app_inbound_message_filter.context_register(lambda stanza: 1 / 0):
        await peer.says(AY_ME)
        assert isinstance(await scene.outcome(), ZeroDivisionError)
    if management != "resumable":
        await peer.expects_footer()
    await peer.expects_end()


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_stream_error_of_ours_is_said_even_if_the_session_can_be_resumed(autojump_clock, scene, resumable):
    """The server has to learn what was wrong with what it sent, or it sends it again."""
    peer = await scene.starts(sm="sm-1", resumable=resumable)
    await peer.says_raw(b"</oops>")
    assert isinstance(await scene.outcome(), StreamError)
    error = await peer.hears()
    assert error.tag == f"{{{ns.STREAM}}}error"
    await peer.expects_footer()
    await peer.expects_end()
    assert scene.stream.established is resumable


@pytest.mark.parametrize("management", ["none", "not resumable", "resumable"])
async def test_after_a_timeout_nothing_more_is_said(autojump_clock, scene, management):
    """Nothing gets through to a server that is silent."""
    peer = await scene.starts(sm=None if management == "none" else "sm-1", resumable=management == "resumable")
    scene.stream.soft_timeout, scene.stream.round_trip_time = 10, 10
    assert isinstance(await scene.outcome(), StreamTimeout)
    await peer.hears()  # the question whether it is still there
    await peer.expects_end()


async def test_the_failure_is_told_when_the_xml_stream_is_closed(autojump_clock, scene):
    peer = await scene.starts(capacity=10)
    told = []
    scene.stream.on_failure.connect(lambda cause: told.append(trio.current_time()))
    begun = trio.current_time()
    with scene.stream.app_inbound_message_filter.context_register(lambda stanza: 1 / 0):
        await peer.says_raw(b"<message/>")
        await scene.outcome()
    assert told == [begun + 1]  # the footer does not fit into the link, and is not waited for longer


async def test_an_error_of_the_farewell_does_not_hide_the_first_one(autojump_clock, scene):
    peer = await scene.starts()

    def breaks(stanza):
        peer.reset()
        raise LookupError("x")

    scene.stream.app_inbound_message_filter.register(breaks)
    await peer.says(AY_ME)
    assert isinstance(await scene.outcome(), LookupError)


async def test_a_failure_leaves_a_resumable_session_alone(autojump_clock, scene):
    told = []
    scene.stream.on_stream_destroyed.connect(told.append)
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    await peer.expects(HI)
    peer.reset()
    assert isinstance(await scene.outcome(), ConnectionError)
    assert not told
    assert scene.stream.established
    assert token.state is StanzaState.SENT
    peer = await scene.resumes(h=1)
    await token
    assert not told


async def test_a_failure_without_resumption_settles_what_was_waiting(autojump_clock, scene, nursery):
    errors = []
    peer = await scene.starts()

    async def ask():
        with pytest.raises(SessionLost) as raised:
            await scene.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
        errors.append(raised.value.__cause__)

    nursery.start_soon(ask)
    await peer.hears()
    peer.reset()
    failure = await scene.outcome()
    await trio.testing.wait_all_tasks_blocked()
    assert errors == [failure]


# --- no failures


@pytest.mark.parametrize("stanza", [Message(body="a\0b"), Message(body="\ud800"), Message(body="\x01")])
async def test_a_stanza_that_cannot_be_written_fails_alone(autojump_clock, scene, stanza):
    peer = await scene.starts()
    stanza.to = "juliet@example.test"
    with pytest.raises(ValueError, match=r"not allowed|surrogates"):
        await scene.client.send(stanza)
    token = scene.client.enqueue(message())
    await peer.expects(HI)
    await token
    assert scene.stream.running


async def test_a_stanza_that_cannot_be_written_is_not_counted(autojump_clock, scene, unwritable):
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message()) for _ in range(3)]
    unwritable(tokens[1])
    await peer.expects(HI)
    await peer.expects(HI)
    await peer.expects(R)
    assert [token.state for token in tokens] == [StanzaState.SENT, StanzaState.FAILED, StanzaState.SENT]
    assert isinstance(tokens[1].exception, ValueError)
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await tokens[2]


async def test_a_handler_that_raises_harms_no_other(autojump_clock, scene):
    peer = await scene.starts()

    def breaks(stanza):
        raise LookupError("x")

    def refuses(iq):
        raise XMPPCancelError

    scene.stream.on_message_received.connect(breaks)
    with (
        scene.client.messages.handler(None, None, breaks),
        scene.client.iq_handler(IQType.GET, Ping, refuses),
    ):
        await peer.says(AY_ME + "<iq type='get' id='1' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.expects(
            "<iq type='error' id='1' to='juliet@example.test'><error type='cancel'>"
            f"<undefined-condition xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
        )
    assert scene.stream.running


async def test_a_stanza_that_cannot_be_understood_harms_no_other(autojump_clock, scene):
    peer = await scene.starts()
    await peer.says("<message from='@'/><presence type='nonsense'/><iq/>")
    token = scene.client.enqueue(message())
    await peer.expects(HI)
    await token


async def test_a_callback_of_a_token_that_raises_harms_no_other(autojump_clock, scene, caplog):
    def breaks(token, state):
        raise LookupError("x")

    peer = await scene.starts()
    token = scene.client.enqueue(message(), on_state_change=breaks)
    await peer.expects(HI)
    await token
    assert "on_state_change" in caplog.text
    assert scene.stream.running
