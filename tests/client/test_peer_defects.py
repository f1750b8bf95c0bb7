"""Defects of other libraries, as dialogs that must not go that way here."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    IQ,
    Client,
    Destroyed,
    Established,
    IQType,
    Liveness,
    Message,
    MessageType,
    Resumed,
    StanzaState,
    Suspended,
)
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import ScriptedPeer, ScriptedServer

JULIET = "juliet@example.test/balcony"
ITEM_NOT_FOUND = f"<item-not-found xmlns='{ns.STANZA_ERRORS}'/>"


class Scene:
    """A client and its server's script."""

    def __init__(self, server: ScriptedServer, client: Client, peer: ScriptedPeer) -> None:
        self.server = server
        self.client = client
        self.peer = peer
        self.events: list[trioxmpp.Event] = []
        client.on_event.connect(self.events.append)

    def write(self, count: int, start: int = 0) -> list[trioxmpp.StanzaToken]:
        return [
            self.client.enqueue(Message(to=JULIET, type=MessageType.CHAT, body=str(number)))
            for number in range(start, start + count)
        ]

    async def hear(self, count: int) -> list[str]:
        """The bodies of the next messages, whatever is asked in between."""
        heard: list[str] = []
        while len(heard) < count:
            element = await self.peer.hears()
            if element.tag == f"{{{ns.CLIENT}}}message":
                heard.append(element[0].text or "")
            else:
                assert element.tag == f"{{{ns.SM}}}r"
        return heard

    async def breaks(self, handled: int = 0) -> None:
        """Break the link, and wait for the client on the next one, which wants to resume."""
        self.peer.reset()
        await self.returns(handled)

    async def returns(self, handled: int = 0) -> None:
        self.peer = await self.server.accept()
        await self.peer.authenticates()
        await self.peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='{handled}'/>")

    async def refuses(self, h: int | None) -> None:
        """Refuse to resume, and bind afresh."""
        count = "" if h is None else f" h='{h}'"
        await self.peer.says(f"<failed xmlns='{ns.SM}'{count}>{ITEM_NOT_FOUND}</failed>")
        request = await self.peer.hears()
        bound = f"<bind xmlns='{ns.BIND}'><jid>romeo@example.test/orchard</jid></bind>"
        await self.peer.says(f"<iq type='result' id='{request.get('id')}'>{bound}</iq>")
        await self.peer.expects(f"<enable xmlns='{ns.SM}' resume='true'/>")
        await self.peer.says(f"<enabled xmlns='{ns.SM}' id='sm-2' resume='true'/>")
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def open_scene(**options) -> AsyncIterator[Scene]:
    server = ScriptedServer()
    peers: list[ScriptedPeer] = []

    async def begin() -> None:
        peer = await server.accept()
        await peer.negotiates()
        peers.append(peer)

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            async with trioxmpp.connect(
                "romeo@example.test/orchard", "secret", endpoint=server.endpoint, allow_plaintext=True, **options
            ) as client:
                yield Scene(server, client, peers[0])
                scope.cancel()


def states(tokens) -> list[StanzaState]:
    return [token.state for token in tokens]


async def test_d1_what_is_sent_again_keeps_its_order(autojump_clock):
    """aioxmpp 0.13.3 reversed it at each resumption."""
    async with open_scene() as scene:
        tokens = scene.write(5)
        assert await scene.hear(5) == ["0", "1", "2", "3", "4"]
        await scene.breaks()
        await scene.peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='1'/>")
        assert await scene.hear(4) == ["1", "2", "3", "4"]
        await scene.breaks()
        await scene.peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='2'/>")
        tokens += scene.write(1, start=5)
        assert await scene.hear(4) == ["2", "3", "4", "5"]
        await scene.peer.says(f"<a xmlns='{ns.SM}' h='6'/>")
        await scene.client.drain()
        assert states(tokens) == [StanzaState.ACKED] * 6


async def test_d2_errors_of_the_stream_are_followed_by_a_pause_and_do_not_end_the_client(autojump_clock):
    """aioxmpp tried 100,000 times a second after a stream error, and gave up for good after a failed negotiation."""
    async with open_scene() as scene:
        times = [trio.current_time()]
        for number in range(10):
            if number % 2:
                scene.peer.close()  # in the middle of the negotiation
            else:
                await scene.peer.says(
                    f"<stream:error><internal-server-error xmlns='{ns.STREAM_ERRORS}'/></stream:error>"
                )
                await scene.peer.says_footer()
            scene.peer = await scene.server.accept()
            times.append(trio.current_time())
            if number % 2 == 0:
                await scene.peer.expects_header()
            else:
                await scene.peer.authenticates()
                await scene.peer.hears()
                await scene.peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))
        assert scene.client.established


async def test_d3_a_refusal_without_a_count_is_no_silent_loss(autojump_clock):
    """slixmpp 1.17 cleared its queue and said nothing."""
    async with open_scene() as scene:
        tokens = scene.write(3)
        await scene.hear(3)
        await scene.breaks()
        await scene.refuses(None)
        assert states(tokens) == [StanzaState.SENT_WITHOUT_SM] * 3
        assert [type(event) for event in scene.events] == [Suspended, Destroyed, Established]
        assert scene.events[1].undelivered == tuple(tokens)
        # A message that may have arrived may double when it is sent again. The application decides.
        await scene.peer.expects_nothing(5.0)


async def test_d4_a_refusal_with_a_count_tells_what_is_to_be_sent_again(autojump_clock):
    """nbxmpp 7.4 emptied its queue whatever the count said."""
    async with open_scene() as scene:
        tokens = scene.write(5)
        await scene.hear(5)
        await scene.breaks()
        await scene.refuses(2)
        assert states(tokens) == [StanzaState.ACKED] * 2 + [StanzaState.DISCONNECTED] * 3
        assert scene.events[1].undelivered == tuple(tokens[2:])
        for token in scene.events[1].undelivered:
            scene.client.enqueue(token.stanza)
        assert await scene.hear(3) == ["2", "3", "4"]


async def test_d5_a_refusal_with_a_count_does_not_report_what_arrived_as_lost(autojump_clock):
    """xmpp.js 0.14 reported all four, three of which had arrived."""
    async with open_scene() as scene:
        tokens = scene.write(4)
        await scene.hear(4)
        await scene.breaks()
        await scene.refuses(3)
        assert states(tokens) == [StanzaState.ACKED] * 3 + [StanzaState.DISCONNECTED]
        assert scene.events[1].undelivered == (tokens[3],)


async def test_d5_a_count_of_more_than_was_sent_is_answered_with_the_error_that_says_so(autojump_clock):
    """xmpp.js 0.14 threw a TypeError."""
    async with open_scene() as scene:
        scene.write(2)
        await scene.hear(2)
        await scene.peer.expects(f"<r xmlns='{ns.SM}'/>")
        await scene.peer.says(f"<a xmlns='{ns.SM}' h='99'/>")
        error = await scene.peer.hears()
        assert error.find(f"{{{ns.SM}}}handled-count-too-high").attrib == {"h": "99", "send-count": "2"}
        await scene.peer.expects_footer()
        assert [type(event) for event in scene.events][:1] in ([], [Suspended])


async def test_d6_only_who_was_asked_can_answer(autojump_clock):
    """xmpp.js 0.14 and nbxmpp 7.4 took any reply with the right id, the latter even a message."""
    async with open_scene() as scene, trio.open_nursery() as nursery:
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await scene.client.send(IQ(type=IQType.GET, to=JULIET, payload=Ping())))

        nursery.start_soon(ask)
        request = await scene.peer.hears()
        id = request.get("id")
        await scene.peer.says(f"<iq type='result' id='{id}' from='mallory@example.test'><evil xmlns='m'/></iq>")
        await scene.peer.says(f"<iq type='result' id='{id}'><evil xmlns='m'/></iq>")
        await scene.peer.says(f"<message id='{id}' from='{JULIET}'><body>evil</body></message>")
        await scene.peer.says(f"<presence id='{id}' from='{JULIET}'/>")
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        await scene.peer.says(f"<iq type='result' id='{id}' from='{JULIET}'/>")
        await trio.testing.wait_all_tasks_blocked()
        assert answers == [None]


async def test_d7_a_timeout_does_not_forfeit_the_session(autojump_clock):
    """QXmpp gave the session up whenever a ping was not answered."""
    async with open_scene(liveness=Liveness(10, 5)) as scene:
        (token,) = scene.write(1)
        await scene.returns()
        await scene.peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        assert await scene.hear(1) == ["0"]
        await scene.peer.says(f"<a xmlns='{ns.SM}' h='1'/>")
        await token
        assert [type(event) for event in scene.events] == [Suspended, Resumed]


async def test_d8_what_comes_in_is_counted(autojump_clock):
    """tokio-xmpp acknowledged 0 for ever, so that each resumption brought everything again."""
    async with open_scene() as scene:
        for number in range(3):
            await scene.peer.says(f"<message from='{JULIET}'><body>{number}</body></message>")
        await scene.peer.says(f"<presence from='{JULIET}'/><r xmlns='{ns.SM}'/>")
        await scene.peer.expects(f"<a xmlns='{ns.SM}' h='4'/>")
        await scene.breaks(handled=4)
        await scene.peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        await scene.peer.says(f"<message from='{JULIET}'/><r xmlns='{ns.SM}'/>")
        await scene.peer.expects(f"<a xmlns='{ns.SM}' h='5'/>")


@pytest.mark.parametrize("how", ["cancelled", "out of time"])
async def test_d9_a_request_that_is_given_up_leaves_nothing_behind(autojump_clock, how):
    """slixmpp 1.17 and aioxmpp kept a listener for each; so a second request of the same id was not possible."""
    async with open_scene() as scene:
        for number in range(100):
            request = IQ(type=IQType.GET, to=JULIET, payload=Ping(), id=f"r{number % 2}")
            if how == "cancelled":
                with trio.move_on_after(1) as scope:
                    await scene.client.send(request)
                assert scope.cancelled_caught
            else:
                with pytest.raises(TimeoutError):
                    await scene.client.send(request, timeout=1)
        assert trio.lowlevel.current_statistics().tasks_living < 30
