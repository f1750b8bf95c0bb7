"""Whatever is awaited is cancelled after each single step of the program in turn: nothing may break by that."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import trio

from tests.dialogs import R, message
from trioxmpp import IQ, IQType, StanzaState
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import cancelled_after

FINAL_WITHOUT_SM = {StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED}


class Peer:
    """The server in the background: acks, answers, closes its side, and notes what it got."""

    def __init__(self, peer, *, acks: bool = True) -> None:
        self.heard: list[str] = []
        self.footer = False
        self._uncounted = 0  # what came before stream management was on
        self._peer = peer
        self._acks = acks

    async def plays(self) -> None:
        """Until the link ends. Half an element followed by another one is not XMPP, and an AssertionError."""
        with contextlib.suppress(trio.ClosedResourceError):  # at the end of the test
            while (event := await self._peer.next_event()) is not None:
                with contextlib.suppress(trio.BrokenResourceError):
                    await self._hears(event)

    async def _hears(self, event) -> None:
        tag = getattr(event, "tag", None)
        if tag is None:
            self.footer = True
            await self._peer.says_footer()
        elif tag.endswith("}message"):
            self.heard.append(event[0].text)
        elif tag.endswith("}iq") and event.get("type") == "get":
            self.heard.append("iq")
            await self._peer.says(f"<iq type='result' id='{event.get('id')}' from='juliet@example.test'/>")
        elif tag.endswith("}r") and self._acks:
            await self._peer.says(f"<a xmlns='urn:xmpp:sm:3' h='{len(self.heard) - self._uncounted}'/>")
        elif tag.endswith("}enable"):
            self._uncounted = len(self.heard)
            await self._peer.says("<enabled xmlns='urn:xmpp:sm:3' id='sm-1' resume='true'/>")


async def works(scene) -> None:
    """Check that the stream, which runs, works in both directions, and that nothing is left over."""
    await scene.client.send(message("still works"))
    await scene.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
    assert len(scene.stream.core.session.replies) == 0
    await scene.client.drain()
    assert not scene.stream.core.session.unsettled()


async def starts_and_works(scene) -> None:
    """Check that the stream, which does not run, can run again."""
    assert not scene.stream.running
    xmlstream, end = await scene.link()
    peer = Peer(end)
    scene.nursery.start_soon(peer.plays)
    await scene.runs(xmlstream)
    await works(scene)
    assert peer.heard == ["still works", "iq"]
    await scene.stream.aclose()


async def test_run(autojump_clock, scene):
    for steps in itertools.count(1):
        scene = scene.another()
        xmlstream, end = await scene.link(capacity=200)
        peer = Peer(end)
        scene.nursery.start_soon(peer.plays)
        tokens = []

        async def talk(scene=scene, xmlstream=xmlstream, tokens=tokens):
            async with trio.open_nursery() as nursery:
                await nursery.start(scene.stream.run, xmlstream)
                tokens += [scene.client.enqueue(message(str(number))) for number in range(4)]
                await scene.client.drain()
                scene.stream.stop()

        was_cancelled = await cancelled_after(steps, talk)
        assert {token.state for token in tokens} <= FINAL_WITHOUT_SM
        unsent = {token.stanza.body for token in tokens if token.state is StanzaState.DISCONNECTED}
        await trio.testing.wait_all_tasks_blocked()
        assert peer.heard == ["0", "1", "2", "3"][: len(peer.heard)]
        assert not unsent.intersection(peer.heard)
        await starts_and_works(scene)
        if not was_cancelled:
            break
    assert steps > 20


@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_aclose(autojump_clock, scene, sm):
    for steps in itertools.count(1):
        scene = scene.another()
        end = await scene.starts(sm=sm)
        peer = Peer(end)
        scene.nursery.start_soon(peer.plays)
        token = scene.client.enqueue(message())
        was_cancelled = await cancelled_after(steps, scene.stream.aclose)
        assert peer.footer
        assert token.state.is_final
        assert not scene.stream.sm_enabled
        assert await scene.outcome() is None
        await starts_and_works(scene)
        if not was_cancelled:
            break
    assert steps > 5


@pytest.mark.parametrize("sm", [None, "sm-1"])
@pytest.mark.parametrize("stanza", ["message", "request"])
async def test_send(autojump_clock, scene, sm, stanza):
    sendable = {"message": message, "request": lambda: IQ(type=IQType.GET, to="juliet@example.test", payload=Ping())}
    for steps in itertools.count(1):
        scene = scene.another()
        peer = Peer(await scene.starts(sm=sm))
        scene.nursery.start_soon(peer.plays)
        was_cancelled = await cancelled_after(steps, scene.client.send, sendable[stanza]())
        await works(scene)
        assert peer.heard[-2:] == ["still works", "iq"]
        assert len(peer.heard) <= 3
        if not was_cancelled:
            break
    assert steps > 3


async def test_wait_stop(autojump_clock, scene):
    for steps in itertools.count(1):
        scene = scene.another()
        await scene.starts()
        was_cancelled = await cancelled_after(steps, scene.stream.wait_stop)
        assert await scene.outcome() is None  # cancelling stops the waiting, not the stopping
        await starts_and_works(scene)
        if not was_cancelled:
            break
    assert steps > 1


async def test_start_sm(autojump_clock, scene):
    for steps in itertools.count(1):
        scene = scene.another()
        peer = Peer(await scene.starts())
        scene.nursery.start_soon(peer.plays)
        before = scene.client.enqueue(message("before"))
        was_cancelled = await cancelled_after(steps, scene.stream.start_sm)
        after = scene.client.enqueue(message("after"))
        await trio.testing.wait_all_tasks_blocked()
        assert peer.heard == ["before", "after"]
        assert scene.stream.sm_enabled  # it was on its way
        await works(scene)
        assert {before.state, after.state} <= {StanzaState.SENT_WITHOUT_SM, StanzaState.ACKED}
        if not was_cancelled:
            break
    assert steps > 5


async def test_resume(autojump_clock, scene):
    for steps in itertools.count(1):
        scene = scene.another()
        first = Peer(await scene.starts(sm="sm-1"), acks=False)
        first_playing = scene.nursery.start_soon
        first_playing(first.plays)
        tokens = [scene.client.enqueue(message("1")), scene.client.enqueue(message("2"))]
        await trio.testing.wait_all_tasks_blocked()
        await scene.stream.wait_stop()
        tokens.append(scene.client.enqueue(message("3")))

        xmlstream, end = await scene.link()
        second = Peer(end, acks=False)

        async def serve(end=end, second=second):
            await end.expects("<resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='0'/>")
            await end.says("<resumed xmlns='urn:xmpp:sm:3' previd='sm-1' h='1'/>")
            await second.plays()

        scene.nursery.start_soon(silently, serve)

        async def resume(scene=scene, xmlstream=xmlstream):
            async with trio.open_nursery() as nursery:
                await nursery.start(scene.stream.resume, xmlstream)
                await trio.testing.wait_all_tasks_blocked()
                scene.stream.stop()

        was_cancelled = await cancelled_after(steps, resume)
        assert not scene.stream.running
        await trio.testing.wait_all_tasks_blocked()
        assert second.heard == ["2", "3"][: len(second.heard)]
        assert [token.state for token in tokens[1:]] != [StanzaState.ACKED] * 2

        handled = 1 + len(second.heard)
        third = await scene.resumes(h=handled)
        for body in "123"[handled:]:
            await third.expects(f"<message to='juliet@example.test' type='chat'><body>{body}</body></message>")
        if handled < 3:
            await third.expects(R)
            await third.says("<a xmlns='urn:xmpp:sm:3' h='3'/>")
        for token in tokens:
            await token
        if not was_cancelled:
            break
    assert steps > 10


async def silently(function) -> None:
    """Call `function`, whose link may break at any time."""
    with contextlib.suppress(AssertionError, trio.BrokenResourceError, trio.ClosedResourceError):
        await function()


async def test_drain_and_wait_established(autojump_clock, scene):
    peer = Peer(await scene.starts(sm="sm-1"))
    scene.nursery.start_soon(peer.plays)
    for function in (scene.client.drain, scene.client.wait_established):
        for steps in itertools.count(1):
            token = scene.client.enqueue(message())
            was_cancelled = await cancelled_after(steps, function)
            await token
            if not was_cancelled:
                break
    await works(scene)


async def test_the_block_of_a_stream(autojump_clock, scene):
    for steps in itertools.count(1):
        scene = scene.another()
        xmlstream, end = await scene.link()
        peer = Peer(end)
        scene.nursery.start_soon(peer.plays)

        async def block(scene=scene, xmlstream=xmlstream):
            async with scene.stream, trio.open_nursery() as nursery:
                await nursery.start(scene.stream.run, xmlstream)
                await scene.client.send(message())
                await scene.stream.aclose()

        was_cancelled = await cancelled_after(steps, block)
        await starts_and_works(scene)
        if not was_cancelled:
            break
    assert steps > 10
