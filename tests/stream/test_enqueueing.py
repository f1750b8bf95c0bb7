"""Putting stanzas into the queue: what is accepted, in which order it goes out, and in which pieces."""

from __future__ import annotations

import re

import pytest
import trio

from tests.dialogs import R, message
from trioxmpp import (
    IQ,
    IQType,
    JIDError,
    Message,
    MessageType,
    Presence,
    StanzaState,
    StanzaStream,
    StanzaToken,
    XmlStream,
)
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import Script, memory_link
from trioxmpp.transport.tcp import StreamTransport


def written(body: str = "Hi") -> str:
    return f"<message to='juliet@example.test' type='chat'><body>{body}</body></message>"


@pytest.mark.parametrize(
    "name",
    [
        "send",
        "enqueue",
        "enqueue_stanza",
        "send_and_wait_for_sent",
        "send_iq_and_wait_for_reply",
    ],
)
def test_a_stream_itself_does_not_send(name) -> None:
    assert not hasattr(StanzaStream(), name)


# --- what is accepted


async def test_a_token_is_there_at_once(autojump_clock, scene):
    await scene.starts()
    stanza = message()
    token = scene.client.enqueue(stanza)
    assert isinstance(token, StanzaToken)
    assert token.stanza is stanza
    assert token.state is StanzaState.ACTIVE
    assert scene.client.enqueue(stanza) is not token


async def test_the_token_gets_the_callback(autojump_clock, scene):
    states = []
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message(), on_state_change=lambda token, state: states.append((token, state)))
    await peer.expects(written())
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token
    assert states == [(token, StanzaState.SENT), (token, StanzaState.ACKED)]


@pytest.mark.parametrize("id", [None, ""])
async def test_a_stanza_without_an_id_gets_one_that_cannot_be_guessed(autojump_clock, scene, id):
    peer = await scene.starts()
    ids = set()
    for _ in range(100):
        stanza = message()
        stanza.id = id
        scene.client.enqueue(stanza)
        ids.add(stanza.id)
        heard = await peer.hears()
        assert heard.get("id") == stanza.id
    assert len(ids) == 100
    for value in ids:
        assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", value)  # 6 bits each, and an NMTOKEN


async def test_an_id_is_kept(autojump_clock, scene):
    peer = await scene.starts()
    scene.client.enqueue(Presence(id="mine"))
    await peer.expects("<presence id='mine'/>")


@pytest.mark.parametrize(
    "stanza",
    [
        IQ(type=IQType.ERROR),
        IQ(type=IQType.GET),
        IQ(type=IQType.SET),
        Message(type=MessageType.ERROR),
        Presence(priority=128),
    ],
    ids=repr,
)
async def test_an_invalid_stanza_is_refused_and_nothing_is_queued(autojump_clock, scene, stanza):
    peer = await scene.starts()
    with pytest.raises(ValueError, match=r"RFC 612[01]"):
        scene.client.enqueue(stanza)
    with pytest.raises(ValueError, match=r"RFC 612[01]"):
        await scene.client.send(stanza)
    await peer.expects_nothing(1)


async def test_an_address_may_be_set_as_a_string_and_is_checked(autojump_clock, scene):
    peer = await scene.starts()
    stanza = message()
    stanza.to = "juliet@example.test"
    scene.client.enqueue(stanza)
    await peer.expects(written())
    stanza.to = "@"
    with pytest.raises(JIDError):
        scene.client.enqueue(stanza)
    await peer.expects_nothing(1)


async def test_nothing_is_accepted_without_a_session(autojump_clock, scene):
    with pytest.raises(ConnectionError, match="no session"):
        scene.client.enqueue(message())
    assert not scene.client.established
    await scene.starts()
    assert scene.client.established
    await scene.stream.wait_stop()
    with pytest.raises(ConnectionError, match="no session"):
        scene.client.enqueue(message())
    with pytest.raises(ConnectionError):
        await scene.client.send(message())
    assert not scene.client.established


async def test_a_session_that_waits_for_a_link_accepts_and_keeps_the_order(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    first = scene.client.enqueue(message("1"))
    await peer.expects(written("1"))
    peer.reset()
    await scene.outcome()
    assert scene.client.established
    scene.client.enqueue(message("2"))
    scene.client.enqueue(message("3"))
    peer = await scene.resumes()
    for body in "123":
        await peer.expects(written(body))
    await peer.expects(R)
    assert first.state is StanzaState.SENT


async def test_changes_by_the_sender_until_the_writing_are_written(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    await scene.stream.wait_stop()
    stanza = message("first thought")
    scene.client.enqueue(stanza)
    stanza.body = "second thought"
    peer = await scene.resumes()
    await peer.expects(written("second thought"))


# --- order, and pieces


async def test_the_order_on_the_wire_is_the_order_of_the_calls(autojump_clock, scene):
    peer = await scene.starts()
    order = []

    async def chatter(name):
        for number in range(100):
            body = f"{name} {number}"
            scene.client.enqueue(message(body))
            order.append(body)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for name in range(10):
            nursery.start_soon(chatter, name)
        heard = [(await peer.hears())[0].text for _ in range(1000)]
    assert heard == order


async def test_messages_presences_and_iqs_are_in_one_queue(autojump_clock, scene):
    peer = await scene.starts()
    scene.client.enqueue(Presence())
    scene.client.enqueue(IQ(type=IQType.GET, payload=Ping()))
    scene.client.enqueue(message())
    await peer.expects("<presence/>")
    await peer.expects("<iq type='get' id='$1'><ping xmlns='urn:xmpp:ping'/></iq>")
    await peer.expects(written())


@pytest.fixture
async def wire(scene):
    """The raw end of a link on which the stream runs: one read gives what one write gave."""
    here, there = memory_link()
    xmlstream = XmlStream(StreamTransport(here), "example.test")
    await there.send_all(
        f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' version='1.0'><stream:features/>".encode()
    )
    await xmlstream.open()
    await scene.runs(xmlstream)
    await Script(there).expects_header()
    return there


async def test_queued_stanzas_go_out_in_one_piece(autojump_clock, scene, wire):
    tokens = [scene.client.enqueue(message(str(number))) for number in range(50)]
    piece = await wire.receive_some()
    assert piece.count(b"<message") == 50
    await trio.testing.wait_all_tasks_blocked()
    assert {token.state for token in tokens} == {StanzaState.SENT_WITHOUT_SM}


async def test_a_very_long_queue_goes_out_in_several_pieces(autojump_clock, scene, wire):
    tokens = [scene.client.enqueue(message("x" * 1000)) for _ in range(1000)]
    pieces = []
    while sum(piece.count(b"</message>") for piece in pieces) < 1000:
        pieces.append(await wire.receive_some())
    assert len(pieces) >= 1000 / 64
    assert max(map(len, pieces)) < 70_000
    await tokens[-1]


async def test_a_request_for_an_ack_is_in_the_piece_that_it_is_about(autojump_clock, scene, wire):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.stream.start_sm)
        assert b"<enable" in await wire.receive_some()
        await wire.send_all(b"<enabled xmlns='urn:xmpp:sm:3'/>")
    scene.client.enqueue(message())
    scene.client.enqueue(message())
    assert (await wire.receive_some()).endswith(b"</message><r xmlns='urn:xmpp:sm:3'/>")
