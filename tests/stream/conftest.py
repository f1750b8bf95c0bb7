"""A stanza stream, and a scripted peer at the other end of each of its links."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from trioxmpp import JID, Client, Liveness, StanzaStream, XmlStream
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedPeer, open_peer_pair


class Scene:
    """`client` sends on `stream`; both live through one link after another.

    What `stream.run` and `stream.resume` do at the end is kept for `outcome`. There is no watchdog, unless a test sets
    the limits of `stream`.
    """

    def __init__(self, nursery: trio.Nursery, links: AsyncExitStack) -> None:
        self.stream = StanzaStream("romeo@example.test", liveness=Liveness(None, None))
        self.client = Client(self.stream, JID.parse("romeo@example.test/orchard"))
        self.nursery = nursery
        self._links = links
        self._outcome: Exception | None = None
        self._ended = trio.Event()

    def another(self) -> Scene:
        """A fresh scene in the same test."""
        return Scene(self.nursery, self._links)

    async def link(self, *, capacity: float = math.inf) -> tuple[XmlStream, ScriptedPeer]:
        """Both ends of another link, authenticated, on which nothing runs yet."""
        return await self._links.enter_async_context(open_peer_pair(capacity=capacity))

    async def starts(
        self, *, sm: str | None = None, resumable: bool = True, capacity: float = math.inf
    ) -> ScriptedPeer:
        """Run the stream on another link, with stream management of this id; return the peer."""
        xmlstream, peer = await self.link(capacity=capacity)
        await self.runs(xmlstream)
        if sm is not None:
            await self.manages(peer, sm, resumable=resumable)
        return peer

    async def resumes(self, *, h: int = 0, previd: str = "sm-1", handled: int = 0) -> ScriptedPeer:
        """Resume on another link: the peer has handled `h` stanzas, we have `handled`; return the peer."""
        xmlstream, peer = await self.link()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.runs, xmlstream, self.stream.resume)
            await peer.expects(f"<resume xmlns='{ns.SM}' previd='{previd}' h='{handled}'/>")
            await peer.says(f"<resumed xmlns='{ns.SM}' previd='{previd}' h='{h}'/>")
        return peer

    async def runs(self, xmlstream: XmlStream, start=None) -> None:
        """Run the stream on this link, and return when it has started."""
        self._outcome, self._ended = None, trio.Event()
        await self.nursery.start(self.live, start or self.stream.run, xmlstream)

    async def manages(self, peer: ScriptedPeer, id: str = "sm-1", *, resumable: bool = True) -> None:
        """Enable stream management on the running stream."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.stream.start_sm)
            await peer.expects(f"<enable xmlns='{ns.SM}' resume='true'/>")
            granted = f" id='{id}' resume='true'" if resumable else ""
            await peer.says(f"<enabled xmlns='{ns.SM}'{granted}/>")

    async def outcome(self) -> Exception | None:
        """Wait until the run has ended, and return what it raised."""
        await self._ended.wait()
        return self._outcome

    async def live(self, start, xmlstream: XmlStream, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await start(xmlstream, task_status=task_status)
        except Exception as exc:
            self._outcome = exc
        finally:
            self._ended.set()


@pytest.fixture
async def scene(nursery):
    """For tests that ask for the `autojump_clock`, too: a clock is only used if the test itself names it."""
    assert isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock), "use the autojump_clock fixture, too"
    async with AsyncExitStack() as links:
        yield Scene(nursery, links)


class Background:
    """One call in a task of its own, and how it ended."""

    def __init__(self, nursery: trio.Nursery, function, *args, **kwargs) -> None:
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self._result: object = None
        self._error: Exception | None = None
        nursery.start_soon(self._run, function, args, kwargs)

    async def outcome(self) -> object:
        """Wait for the end; return or raise what the call did. None if it was cancelled."""
        await self.ended.wait()
        if self._error is not None:
            raise self._error
        return self._result

    async def _run(self, function, args, kwargs) -> None:
        with self.scope:
            try:
                self._result = await function(*args, **kwargs)
            except Exception as exc:
                self._error = exc
        self.ended.set()


@pytest.fixture
def background(nursery):
    """Call an async function in the background."""
    return lambda function, *args, **kwargs: Background(nursery, function, *args, **kwargs)


@pytest.fixture
def sends(scene, background):
    """Start a `send` of the scene's client in the background."""
    return lambda *args, **kwargs: background(scene.client.send, *args, **kwargs)
