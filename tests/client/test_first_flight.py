"""The first requests of a session are on the way together with that for stream management, and count (XEP-0198 §4)."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio

import trioxmpp
from tests.dialogs import HI, R, ack, message
from trioxmpp import Client, Liveness, MemoryStore, Session, StanzaState, StanzaToken, Step
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import ScriptedPeer, ScriptedServer

NAME = "romeo@example.test/orchard"
ASKS = "<iq type='get' id='$2' to='example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
ANSWER = "<iq type='result' id='$2' from='example.test'/>"
ENABLE = f"<enable xmlns='{ns.SM}' resume='true'/>"
ENABLED = f"<enabled xmlns='{ns.SM}' id='sm-1' resume='true'/>"
MESSAGE = f"{{{ns.CLIENT}}}message"
REFUSED = f"<failed xmlns='{ns.SM}'><unexpected-request xmlns='{ns.STANZA_ERRORS}'/></failed>"


class Asking:
    """A service whose first step sends a message, and asks the server something."""

    def __init__(self, bodies: int = 0, length: int = 2) -> None:
        self.tokens: list[StanzaToken] = []
        self.answered = 0
        self._bodies, self._length = bodies, length

    @asynccontextmanager
    async def open(self, client: Client):
        async def prepare(session: Session) -> None:
            self.tokens += [session.enqueue(message("Hi".ljust(self._length, "!"))) for _ in range(self._bodies)]
            await session.request(Ping(), to="example.test")
            self.answered += 1

        async with client.each_session(Step.SYNC, prepare):
            yield

    @property
    def states(self) -> list[StanzaState]:
        return [token.state for token in self.tokens]


@pytest.fixture
async def server():
    return ScriptedServer()


def connect(server: ScriptedServer, service: Asking, **options):
    defaults = {"endpoint": server.endpoint, "allow_plaintext": True, "liveness": Liveness(None, None)}
    defaults["services"] = [service.open]
    return trioxmpp.connect(NAME, "secret", **{**defaults, **options})


async def binds(server: ScriptedServer) -> ScriptedPeer:
    """Play the server until the client has a resource, and asks for stream management."""
    peer = await server.accept()
    await peer.authenticates()
    await peer.expects(f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind></iq>")
    await peer.says(f"<iq type='result' id='$1'><bind xmlns='{ns.BIND}'><jid>{NAME}</jid></bind></iq>")
    await peer.expects(ENABLE)
    return peer


async def hears(peer: ScriptedPeer, *elements: str) -> None:
    for element in elements:
        await peer.expects(element)


async def leaves(peer: ScriptedPeer, *acks: str) -> None:
    await hears(peer, *acks)
    await peer.expects_footer()
    await peer.says_footer()


async def test_stanzas_count_that_are_sent_before_the_server_has_agreed(autojump_clock, server, nursery):
    service, checked = Asking(1), trio.Event()

    async def play() -> None:
        peer = await binds(server)
        await hears(peer, HI, ASKS)
        assert service.states == [StanzaState.SENT]
        await peer.says(ENABLED + ANSWER + R)
        await hears(peer, ack(1), R)
        await peer.says(ack(2))
        checked.set()
        await leaves(peer, ack(1))

    nursery.start_soon(play)
    async with connect(server, service) as client:
        await checked.wait()
        await service.tokens[0]
        assert service.states == [StanzaState.ACKED]
        assert client.stream.sm_enabled
        assert client.counters().stanzas_sent == client.counters().stanzas_acked == 2


async def test_a_server_that_refuses_has_counted_nothing(autojump_clock, server, nursery):
    service = Asking(1)

    async def play() -> None:
        peer = await binds(server)
        await hears(peer, HI, ASKS)
        await peer.says(REFUSED + ANSWER)
        await leaves(peer)

    nursery.start_soon(play)
    async with connect(server, service) as client:
        assert not client.stream.sm_enabled
        assert service.states == [StanzaState.SENT_WITHOUT_SM]
        assert client.counters().in_flight_octets == 0
        assert client.counters().stanzas_sent == 2


async def test_a_link_that_ends_before_the_answer_leaves_the_fate_of_what_was_sent_unknown(
    autojump_clock, server, nursery
):
    service = Asking(1)

    async def play() -> None:
        peer = await binds(server)
        await hears(peer, HI, ASKS)
        peer.reset()
        peer = await binds(server)
        await hears(peer, HI, ASKS)
        await peer.says(ENABLED + ANSWER)
        await peer.expects(R)
        await peer.says(ack(2))
        await leaves(peer, ack(1))

    nursery.start_soon(play)
    reconnect = trioxmpp.ReconnectPolicy(first=True)
    async with connect(server, service, reconnect=reconnect):
        await service.tokens[1]
        assert service.states == [StanzaState.SENT_WITHOUT_SM, StanzaState.ACKED]
        assert service.answered == 1


async def test_no_more_than_a_window_is_on_the_way_before_the_answer(autojump_clock, server, nursery):
    service = Asking(40, length=8_000)

    async def play() -> None:
        peer = await binds(server)
        heard: list[str] = []
        with trio.move_on_after(5):
            while True:
                heard.append((await peer.hears()).tag)
        assert heard == [MESSAGE] * 17, "131,072 octets, and one stanza"
        await peer.says(ENABLED)
        while heard.count(MESSAGE) < 40:
            heard.append((await peer.hears()).tag)
            if heard[-1] != MESSAGE:
                await peer.says(ack(heard.count(MESSAGE)))
        await hears(peer, ASKS, R)
        await peer.says(ANSWER + ack(41))
        await leaves(peer, ack(1))

    nursery.start_soon(play)
    async with connect(server, service):
        assert service.answered == 1


async def test_a_ping_waits_for_the_answer_for_it_would_count(autojump_clock, server, nursery):
    service = Asking()

    async def play() -> None:
        peer = await binds(server)
        await peer.expects(ASKS)
        await peer.expects_nothing(15)
        await peer.says(ENABLED)
        await peer.expects(R)
        await peer.says(ANSWER + ack(1))
        await leaves(peer, ack(1))

    nursery.start_soon(play)
    async with connect(server, service, liveness=Liveness(10.0, 20.0)):
        assert service.answered == 1


async def test_the_store_has_what_was_sent_before_the_answer(autojump_clock, server, nursery):
    service, store, on_its_way = Asking(1), MemoryStore(), trio.Event()

    async def play() -> None:
        peer = await binds(server)
        await hears(peer, HI, ASKS)
        await peer.says(ENABLED + ANSWER)
        await peer.expects(R)
        on_its_way.set()
        peer = await server.accept()
        await peer.authenticates()
        await peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='1'/>")
        await peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        await hears(peer, HI, ASKS, R)
        await peer.says(ack(2))
        await leaves(peer, ack(1))

    nursery.start_soon(play)
    async with connect(server, service, store=store) as client:
        await on_its_way.wait()
        await client.suspend()
    async with connect(server, service, store=store, services=[]) as client:
        assert client.restored is not None
        assert client.restored.resumed
        await client.restored.tokens[0]
        assert client.restored.tokens[0].state is StanzaState.ACKED


@pytest.mark.parametrize("answer", [ENABLED, REFUSED])
async def test_an_answer_before_the_request_is_the_answer(autojump_clock, server, nursery, answer):
    """The client reads it before it has written the request, or just after: trio's order of tasks decides."""
    for _ in range(20):
        service = Asking(20, length=8_000)

        async def play() -> None:
            peer = await server.accept()
            await peer.authenticates()
            await peer.expects(
                f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind></iq>"
            )
            bound = f"<iq type='result' id='$1'><bind xmlns='{ns.BIND}'><jid>{NAME}</jid></bind></iq>"
            await peer.says(bound + answer)
            number = 0
            while True:
                heard = await peer.hears()
                number += heard.tag in ns.STANZA_TAGS
                if heard.tag == f"{{{ns.SM}}}r":
                    await peer.says(ack(number))
                elif heard.tag == f"{{{ns.CLIENT}}}iq":
                    await peer.says(f"<iq type='result' id='{heard.get('id')}' from='example.test'/>")
                    break
            if answer == ENABLED:
                await peer.expects(R)
                await peer.says(ack(number))
            await leaves(peer, *([ack(1)] if answer == ENABLED else []))

        nursery.start_soon(play)
        async with connect(server, service) as client:
            assert service.answered == 1
            await client.drain()
        assert set(service.states) == {StanzaState.ACKED if answer == ENABLED else StanzaState.SENT_WITHOUT_SM}
