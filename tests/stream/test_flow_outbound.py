"""How much may be on the way out: slow links, servers that do not acknowledge, and stanzas that are too large."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.dialogs import R, ack, message
from tests.stream.slowlink import SlowLink
from trioxmpp import IQ, JID, Client, IQType, Liveness, Message, StanzaState, StanzaStream, StreamTimeout, XmlStream
from trioxmpp.errors import OutboxFull, StanzaTooLarge
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.framing import Framing
from trioxmpp.stream.outbound.channels import MAX_OUTGOING
from trioxmpp.stream.outbound.writer import WINDOW
from trioxmpp.transport.tcp import StreamTransport

HEADER = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'"
    " from='example.test'><stream:features/>"
)


class SilentServer:
    """A server that takes stanzas, answers what it must answer, and says nothing else."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.handled: list[str] = []

    async def run(self) -> None:
        framing = Framing()
        while data := await self._stream.receive_some(65536):
            for event in framing.feed(bytes(data))[0]:
                tag = getattr(event, "tag", "")
                if tag.endswith("}enable"):
                    await self._says(f"<enabled xmlns='{ns.SM}' id='sm-1' resume='true'/>")
                elif tag.endswith("}r"):
                    await self._says(ack(len(self.handled)))
                elif tag.endswith("}iq"):
                    await self._says(f"<iq type='result' id='{event.get('id')}'/>")
                elif tag.endswith("}message"):
                    self.handled.append(event.get("id"))

    async def _says(self, text: str) -> None:
        await self._stream.send_all(text.encode())


@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("buffers", [65536, 262144, 1_500_000, 4_000_000])
async def test_no_slow_link_is_given_up(autojump_clock, nursery, buffers, managed):
    """F13: 100 stanzas of 100 kB at 10 kB/s take 1,000 seconds, in which the server has nothing to say by itself."""
    link = SlowLink(10_000, buffers)
    server = SilentServer(link.far)
    nursery.start_soon(link.run)
    nursery.start_soon(server.run)
    await link.far.send_all(HEADER.encode())
    xmlstream = XmlStream(StreamTransport(link.near), "example.test")
    await xmlstream.open()
    stream = StanzaStream("romeo@example.test", liveness=Liveness())
    client = Client(stream, JID.parse("romeo@example.test/orchard"))
    await nursery.start(stream.run, xmlstream)
    if managed:
        await stream.start_sm()
    tokens = [client.enqueue(message("x" * 100_000)) for _ in range(100)]
    for token in tokens:
        await token
    if not managed:
        await trio.sleep(1200)
    assert stream.running
    assert server.handled == [token.stanza.id for token in tokens]
    if managed:
        assert link.most < 262_144 + 65_536
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("managed", [True, False])
async def test_one_large_stanza_takes_its_time_while_the_link_takes_it(autojump_clock, nursery, managed):
    """The question whether the server is there cannot be written before its end: 200 seconds."""
    link = SlowLink(10_000, 65536)
    server = SilentServer(link.far)
    nursery.start_soon(link.run)
    nursery.start_soon(server.run)
    await link.far.send_all(HEADER.encode())
    xmlstream = XmlStream(StreamTransport(link.near), "example.test")
    await xmlstream.open()
    stream = StanzaStream("romeo@example.test", liveness=Liveness())
    client = Client(stream, JID.parse("romeo@example.test/orchard"))
    await nursery.start(stream.run, xmlstream)
    if managed:
        await stream.start_sm()
    await client.send(message("x" * 2_000_000))
    await trio.sleep(300)
    assert stream.running
    assert len(server.handled) == 1
    nursery.cancel_scope.cancel()


async def test_a_dead_link_is_given_up_though_much_was_written(autojump_clock, scene):
    """A write that the transport takes at once proves nothing."""
    scene.stream.soft_timeout, scene.stream.round_trip_time = 45, 60
    await scene.starts(sm="sm-1")
    scene.client.enqueue(message("x" * 100_000))
    assert isinstance(await scene.outcome(), StreamTimeout)
    assert trio.current_time() < 45 + 60 + 20


async def test_at_most_a_window_is_on_the_way(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message("x" * 10_000)) for _ in range(50)]
    await trio.testing.wait_all_tasks_blocked()
    sent = [token for token in tokens if token.state is StanzaState.SENT]
    assert WINDOW <= sum(len(token.stanza.serialise()) for token in sent) < WINDOW + 20_000
    count = acknowledged = 0
    while count < 50:
        element = await peer.hears()
        if element.tag.endswith("}r"):
            acknowledged = count
            await peer.says(ack(count))
        else:
            count += 1
    assert count - acknowledged <= 14
    await peer.expects(R)
    await peer.says(ack(50))
    for token in tokens:
        await token


async def test_an_answer_to_the_server_goes_before_the_stanzas_that_wait(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1", capacity=1000)
    for _ in range(100):
        scene.client.enqueue(message("x" * 10_000))
    await peer.hears()
    await peer.says(R)
    before = 0
    while (await peer.hears()).tag != f"{{{ns.SM}}}a":
        before += 1
    assert before <= 10


async def test_the_stanzas_that_a_server_never_acknowledges_are_bounded(autojump_clock, scene, background):
    """F12: `enqueue` says so, and `send` waits for room."""
    peer = await scene.starts(sm="sm-1")
    enqueued = 0
    with pytest.raises(OutboxFull, match="wait to be sent"):
        while True:
            scene.client.enqueue(message("x" * 100_000))
            enqueued += 1
    assert MAX_OUTGOING <= enqueued * 100_000 + 20_000 < MAX_OUTGOING + 300_000
    sending = background(scene.client.send, message("late"))
    asking = background(scene.client.send, IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
    handled = 0
    while handled < enqueued + 2:
        assert not sending.ended.is_set()
        element = await peer.hears()
        if element.tag.endswith("}r"):
            await peer.says(ack(handled))
        else:
            handled += 1
            if element.tag.endswith("}iq"):
                await peer.says(f"<iq type='result' id='{element.get('id')}' from='juliet@example.test'/>")
    await peer.expects(R)
    await peer.says(ack(handled))
    await sending.outcome()
    await asking.outcome()


async def test_a_task_that_waits_for_room_learns_of_the_end_of_the_session(autojump_clock, scene, background):
    await scene.starts()
    scene.stream.stop()
    await scene.outcome()
    peer = await scene.starts(sm="sm-1")
    with pytest.raises(OutboxFull):
        while True:
            scene.client.enqueue(message("x" * 1_000_000))
    sending = background(scene.client.send, message("late"))
    await trio.testing.wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    scene.stream.stop_sm()
    with pytest.raises(ConnectionError):
        await sending.outcome()


@pytest.mark.parametrize("size", [65_000, 66_000, 100_000])
async def test_an_ack_is_asked_for_whenever_anything_was_sent_again(autojump_clock, scene, size):
    """F74"""
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message("x" * size)) for _ in range(2)]
    await trio.testing.wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes()
    count = 0
    while not all(token.state is StanzaState.ACKED for token in tokens):
        element = await peer.hears(within=1)
        if element.tag.endswith("}r"):
            await peer.says(ack(count))
            await trio.testing.wait_all_tasks_blocked()
        else:
            count += 1
    assert count == 2


# --- stanzas that are too large, or that end every link


async def limited(scene, max_bytes: int):
    """Run the scene on a link whose server announces a limit; return the peer."""
    from trioxmpp.testing import open_peer_pair

    limits = f"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{max_bytes}</max-bytes></limits>"
    xmlstream, peer = await scene._links.enter_async_context(open_peer_pair(features=(limits,)))
    await scene.runs(xmlstream)
    return peer


@pytest.mark.parametrize("body", ["x" * 9_990, "&" * 2_000, "ä" * 5_000], ids=["letters", "escaped", "not ASCII"])
async def test_a_stanza_larger_than_the_server_takes_is_refused_at_once(autojump_clock, scene, body):
    peer = await limited(scene, 10_000)
    with pytest.raises(StanzaTooLarge, match="takes 10,000") as caught:
        scene.client.enqueue(message(body))
    assert caught.value.limit == 10_000
    assert caught.value.octets > 10_000
    with pytest.raises(ValueError, match="XEP-0478"):
        await scene.client.send(message(body))
    scene.client.enqueue(message("x" * 9_000))
    assert len((await peer.hears())[0].text) == 9_000


async def test_a_filter_that_makes_a_stanza_too_large_makes_it_fail_alone(autojump_clock, scene):
    peer = await limited(scene, 10_000)

    def grow(stanza: Message) -> Message:
        if stanza.body == "small":
            stanza.body = "x" * 20_000
        return stanza

    scene.stream.app_outbound_message_filter.register(grow)
    token = scene.client.enqueue(message("small"))
    scene.client.enqueue(message("behind"))
    assert (await peer.hears())[0].text == "behind"
    with pytest.raises(StanzaTooLarge):
        await token


async def test_a_suspect_is_sent_alone_and_then_fails_alone(autojump_clock, scene):
    """F6: what ends every link is tried once more, alone; then it fails, and the rest goes on."""
    peer = await scene.starts(sm="sm-1")
    poison, *others = [scene.client.enqueue(message(body)) for body in ("poison", "one", "two")]
    await trio.testing.wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    session = scene.stream.core.session
    assert session.first_in_flight is poison
    session.suspect(poison)
    peer = await scene.resumes()
    assert (await peer.hears())[0].text == "poison"
    await peer.expects(R)
    await peer.expects_nothing(100)
    peer.reset()
    await scene.outcome()
    session.condemn(poison, ValueError("the server ends every link on which it gets this"))
    peer = await scene.resumes()
    for body in ("one", "two"):
        assert (await peer.hears())[0].text == body
    await peer.expects(R)
    with pytest.raises(ValueError, match="ends every link"):
        await poison
    await peer.says(ack(2))
    for token in others:
        await token


async def test_the_stanzas_behind_a_suspect_follow_when_it_is_acknowledged(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message(body)) for body in ("suspect", "one")]
    await trio.testing.wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    scene.stream.core.session.suspect(tokens[0])
    peer = await scene.resumes()
    tokens.append(scene.client.enqueue(message("two")))
    assert (await peer.hears())[0].text == "suspect"
    await peer.expects(R)
    await peer.says(ack(1))
    for body in ("one", "two"):
        assert (await peer.hears())[0].text == body


async def test_a_condemned_stanza_that_the_server_has_handled_is_acknowledged(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message(body)) for body in ("one", "two")]
    await trio.testing.wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    scene.stream.core.session.condemn(tokens[0], ValueError("no"))
    peer = await scene.resumes(h=1)
    assert (await peer.hears())[0].text == "two"
    await tokens[0]
