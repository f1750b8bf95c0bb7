"""XML streams, sessions and clients over WebSocket (RFC 7395), in memory."""

from __future__ import annotations

import contextlib
from collections import deque

import pytest
import trio

import trioxmpp
from trioxmpp import (
    Liveness,
    Message,
    MessageType,
    Resumed,
    StanzaState,
    StreamCondition,
    StreamError,
    Suspended,
    TLSFailure,
)
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.sasl import Credentials
from trioxmpp.stream.negotiation.negotiate import NegotiationOptions, negotiate
from trioxmpp.stream.xmlstream import XmlStream
from trioxmpp.testing import Faults, open_server

JID = "romeo@example.test/orchard"
HEADER = f"<open xmlns='{ns.FRAMING}' from='example.test' id='1' version='1.0'/>"
FEATURES = f"<stream:features xmlns:stream='{ns.STREAM}'/>"


class Messages:
    """A transport that keeps messages: what the test lets the server say, and what the client said."""

    is_message_based = True
    secure = False
    tls_version = None

    def __init__(self) -> None:
        self.said: list[str] = []
        self.along: deque[bytes] = deque()
        """Messages that come along with the next one."""
        self.heard = trio.current_time()
        self._send, self._receive = trio.open_memory_channel[bytes](100)

    def says(self, *messages: str) -> None:
        for message in messages:
            self._send.send_nowait(message.encode())

    def channel_bindings(self) -> dict[str, bytes]:
        return {}

    async def send(self, data: bytes, *more: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.said += [message.decode() for message in (data, *more)]

    async def receive(self) -> bytes:
        return await self._receive.receive()

    def receive_nowait(self) -> bytes | None:
        return self.along.popleft() if self.along else None

    async def close_gracefully(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def opened(*features: str) -> tuple[XmlStream, Messages]:
    wire = Messages()
    stream = XmlStream(wire, "example.test", lang="de")
    wire.says(HEADER, FEATURES)
    await stream.open()
    wire.said.clear()
    return stream, wire


@contextlib.asynccontextmanager
async def connected(server, name="romeo", **options):
    async with trioxmpp.connect(
        f"{name}@example.test/orchard",
        "secret",
        endpoint=server.websocket_endpoint,
        allow_plaintext=True,
        **options,
    ) as client:
        yield client


def message(body: str, to: str = "juliet@example.test/orchard") -> Message:
    return Message(to=to, type=MessageType.CHAT, body=body)


# --- one stream


async def test_each_piece_is_a_message_that_stands_alone(autojump_clock):
    stream, wire = await opened()
    await stream.send(b"<presence/>", f"<r xmlns='{ns.SM}'/>".encode())
    await stream.say_goodbye()
    assert wire.said == [
        "<presence xmlns='jabber:client' xml:lang='de'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    ]


async def test_a_stream_error_of_ours_is_a_message_before_the_close(autojump_clock):
    stream, wire = await opened()
    await stream.say_goodbye(StreamError(StreamCondition.BAD_FORMAT, by_us=True))
    assert len(wire.said) == 2
    assert f"xmlns:stream='{ns.STREAM}'" in wire.said[0]
    assert wire.said[1] == f"<close xmlns='{ns.FRAMING}'/>"


async def test_a_stream_begins_again_without_a_close(autojump_clock):
    """RFC 7395 §3.7."""
    stream, wire = await opened()
    wire.says(HEADER, FEATURES)
    await stream.open(from_="romeo@example.test")
    (said,) = wire.said
    assert said.startswith(f"<open xmlns='{ns.FRAMING}' to='example.test' from='romeo@example.test'")


async def test_a_second_header_ends_a_running_stream(autojump_clock, scene):
    """Over TCP it would be an element in the stream; here it is a message as any other (RFC 7395 §3.4)."""
    stream, wire = await opened()
    await scene.runs(stream)
    wire.says(HEADER)
    error = await scene.outcome()
    assert isinstance(error, StreamError)
    assert error.condition is StreamCondition.BAD_FORMAT
    assert "bad-format" in wire.said[0]


async def test_a_send_that_is_cancelled_is_followed_by_nothing(autojump_clock):
    stream, wire = await opened()
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.send(b"<presence/>", b"<presence/>")
    with pytest.raises(ConnectionAbortedError):
        await stream.send(b"<presence/>")
    assert wire.said == []


@pytest.mark.parametrize("junk", ["<presence/><presence/>", "<presence>", "</stream:stream>"])
async def test_a_message_that_is_not_one_element_ends_the_stream(autojump_clock, junk):
    stream, wire = await opened()
    wire.says("<presence/>", junk)
    assert len(await stream.receive()) == 1
    assert await stream.receive() == []
    with pytest.raises(StreamError) as error:
        await stream.receive()
    assert error.value.condition is StreamCondition.BAD_FORMAT


async def test_messages_that_came_together_are_read_together_up_to_one_that_ends_the_stream(autojump_clock):
    stream, wire = await opened()
    wire.says("<presence/>")
    wire.along.extend([b"<message/>", b"<r xmlns='urn:xmpp:sm:3'/>", b"<presence>", b"<message/>"])
    assert len(await stream.receive()) == 3
    assert stream.elements_received == 3
    with pytest.raises(StreamError) as error:
        await stream.receive()
    assert error.value.condition is StreamCondition.BAD_FORMAT


async def test_the_octets_of_messages_that_came_together_are_all_counted(autojump_clock):
    """The bounds of an inbox count on it."""
    stream, wire = await opened()
    wire.says("<presence/>")
    wire.along.extend([b"<message>" + b" " * 1000 + b"</message>"] * 3)
    events = await stream.receive()
    first, others = stream.octets
    assert first + others * (len(events) - 1) >= 3000


async def test_a_close_that_sends_us_elsewhere_tells_where(autojump_clock):
    stream, wire = await opened()
    wire.says(f"<close xmlns='{ns.FRAMING}' see-other-uri='ws://other.example.test/'/>")
    with pytest.raises(StreamError) as error:
        await stream.receive_element()
    assert error.value.condition is StreamCondition.SEE_OTHER_HOST
    assert error.value.text == "ws://other.example.test/"


# --- a client


async def test_two_clients_talk(autojump_clock):
    async with open_server() as server, connected(server) as romeo, connected(server, "juliet") as juliet:
        assert str(romeo.jid) == JID
        async with juliet.messages.subscribe(MessageType.CHAT) as inbox:
            tokens = [romeo.enqueue(message(f"{n} <&> ü")) for n in range(100)]
            assert [(await anext(inbox)).body for _ in range(100)] == [f"{n} <&> ü" for n in range(100)]
        await romeo.drain()
        assert {token.state for token in tokens} == {StanzaState.ACKED}
        await romeo.request(Ping())


async def test_the_stream_is_closed_on_both_sides_and_then_the_websocket(autojump_clock):
    async with open_server() as server:
        async with connected(server):
            pass
        assert server.sessions == {}
        before = trio.current_time()
        await server.until(lambda: not server.links)
        assert trio.current_time() - before < 1


@pytest.mark.parametrize("harm", ["reset", "close", "black_hole", "stall"])
async def test_a_websocket_that_ends_without_a_close_is_resumed(autojump_clock, harm):
    """RFC 7395 §3.10: the session lives on, whatever became of its link."""
    async with open_server() as server, connected(server) as romeo, connected(server, "juliet") as juliet:
        got, happened = [], []
        juliet.on_message.connect(lambda message: got.append(message.body))
        romeo.on_event.connect(lambda event: happened.append(type(event)))
        for n in range(10):
            if n == 5:
                getattr(server.sessions[JID].link, harm)()
            romeo.enqueue(message(str(n)))
        await romeo.drain()
        await trio.sleep(10)
        assert got == [str(n) for n in range(10)]
        assert happened == [Suspended, Resumed]
        assert server.sessions[JID].resumptions == 1


@pytest.mark.parametrize("cut", range(0, 400, 57))
@pytest.mark.parametrize("direction", ["cut_in", "cut_out"])
async def test_wherever_the_wire_is_cut_nothing_is_lost_or_doubled(autojump_clock, cut, direction):
    """The first link breaks after that many bytes of the session, those of frames and masks included."""
    async with open_server() as server, connected(server) as romeo, connected(server, "juliet") as juliet:
        got = []
        juliet.on_message.connect(lambda message: got.append(message.body))
        server.sessions[JID].link.cut_after(cut, "in" if direction == "cut_in" else "out")
        for n in range(10):
            await romeo.send(message(str(n)))
        await trio.sleep(10)
        assert got == [str(n) for n in range(10)]


async def test_silence_is_noticed(autojump_clock):
    async with open_server() as server, connected(server, liveness=Liveness(10, 5)) as romeo:
        causes = []
        romeo.on_event.connect(lambda event: causes.append(getattr(event, "cause", None)))
        before = trio.current_time()
        server.sessions[JID].link.black_hole("out")
        await server.until(lambda: server.sessions[JID].resumptions)
        assert 10 <= trio.current_time() - before <= 20
        assert isinstance(causes[0], trioxmpp.StreamTimeout)


async def test_a_stream_error_of_the_server_is_read(autojump_clock):
    async with open_server() as server:
        with pytest.raises(StreamError) as error:
            async with connected(server), connected(server):
                await trio.sleep_forever()
        assert error.value.condition is StreamCondition.CONFLICT


async def test_octets_that_are_not_xmpp_end_the_stream_but_not_the_client(autojump_clock):
    async with open_server() as server, connected(server) as romeo:
        server.sessions[JID].link.inject(b"<message><body></message>")
        await server.until(lambda: server.link_count == 2 and JID in server.sessions)
        await romeo.request(Ping())


async def test_without_tls_it_has_to_be_allowed(autojump_clock):
    async with open_server() as server:
        with pytest.raises(TLSFailure, match="wss://"):
            async with trioxmpp.connect(JID, "secret", endpoint=server.websocket_endpoint):
                pass
        assert not server.sessions


async def test_an_offer_of_starttls_is_ignored(autojump_clock):
    """RFC 7395 §3.9."""
    wire = Messages()
    stream = XmlStream(wire, "example.test")
    offer = f"<starttls xmlns='{ns.TLS}'><required/></starttls>"
    mechanisms = f"<mechanisms xmlns='{ns.SASL}'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>"
    wire.says(HEADER, f"<features xmlns='{ns.STREAM}'>{offer}{mechanisms}</features>")
    wire.says(f"<failure xmlns='{ns.SASL}'><not-authorized/></failure>")
    terms = NegotiationOptions(
        trioxmpp.JID.parse("romeo@example.test"), Credentials("romeo", "secret"), allow_plaintext=True
    )
    with pytest.raises(trioxmpp.AuthenticationFailure):
        await negotiate(stream, terms)
    assert "<auth " in wire.said[1]


async def test_cancelling_a_client_leaves_nothing(autojump_clock):
    async with open_server() as server:
        with trio.move_on_after(10):
            async with connected(server):
                await trio.sleep_forever()
        await server.until(lambda: not server.links)
        assert server.sessions == {}


async def test_a_server_that_never_answers_is_left_in_time(autojump_clock):
    async with open_server() as server:
        server.faults = Faults(silent=True)
        before = trio.current_time()
        with pytest.raises(trioxmpp.ConnectError, match="did not answer within 30 seconds"):
            async with connected(server, connect_timeout=30):
                pass
        assert trio.current_time() - before == 30
