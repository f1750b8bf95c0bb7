"""A stanza stream, or a client that logs in, and a scripted peer at the other end of each of the links."""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from trioxmpp import JID, Client, Credentials, Liveness, Message, StanzaStream, StanzaToken, XmlStream
from trioxmpp.protocol import ns, sm
from trioxmpp.protocol.elements import carbons, csi
from trioxmpp.protocol.features import StreamFeatures
from trioxmpp.protocol.loginstate import FastToken, LoginState
from trioxmpp.protocol.sasl2 import InlineResults
from trioxmpp.stream.negotiation.negotiate import NegotiationOptions, negotiate
from trioxmpp.stream.negotiation.sasl2 import InlineRequests
from trioxmpp.testing import ScriptedPeer, open_peer_pair
from trioxmpp.transport.tcp import StreamTransport


class Scene:
    """`client` sends on `stream`; both live through one link after another.

    The end of `stream.run` and `stream.resume` is kept for `outcome`. There is no watchdog, unless a test sets
    the limits of `stream`.
    """

    def __init__(self, nursery: trio.Nursery, links: AsyncExitStack) -> None:
        self.stream = StanzaStream("romeo@example.test", liveness=Liveness(None, None), nursery=nursery)
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


class Secure(StreamTransport):
    """A link that passes for one under TLS."""

    secure = True  # type: ignore[assignment]

    def channel_bindings(self) -> Mapping[str, bytes]:
        return {}


CARBONS, INACTIVE = carbons.Enable(), csi.Inactive()


class Known:
    """A session that can be resumed."""

    def __init__(self, request: sm.Resume | None) -> None:
        self._request = request

    @property
    def resumable(self) -> bool:
        return self._request is not None

    async def resume_request(self, *, in_login: bool = False) -> sm.Resume | None:
        return self._request


class Logins:
    """One client that logs in again and again, on one link after the other."""

    PLAIN = base64.b64encode(b"\0romeo\0secret").decode()
    CLASSIC = f"<mechanisms xmlns='{ns.SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
    INSIDE = f"<stream:features><bind xmlns='{ns.BIND}'/><sm xmlns='{ns.SM}'/></stream:features>"
    NONE = "HT-SHA-256-NONE"
    AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"

    def __init__(self) -> None:
        self.memory = LoginState(user_agent_id=self.AGENT)
        self.inline = InlineRequests()
        self.resuming: Known | None = None
        self.asked = 0
        self.features: StreamFeatures | None = None
        self.results: InlineResults | None = None
        self.error: Exception | None = None

    def asks(self, *, resume: sm.Resume | None = None, carbons: bool = False, inactive: bool = False, **more) -> None:
        """The inline requests of each login from now on."""
        features = [CARBONS] * carbons + [INACTIVE] * inactive
        self.inline, self.resuming = InlineRequests(features=tuple(features), **more), Known(resume)

    def credentials(self) -> Credentials:
        self.asked += 1
        return Credentials("romeo", "secret", allow_plain=True)

    @asynccontextmanager
    async def link(self, transport: type[StreamTransport] | None = None) -> AsyncIterator[ScriptedPeer]:
        """Log in on another link; the block speaks as the server. The result is kept."""
        peer = ScriptedPeer()
        xmlstream = XmlStream((transport or Secure)(peer.stream), "example.test")
        options = NegotiationOptions(
            JID.parse("romeo@example.test"), self.credentials, True, self.memory, self.inline, self.resuming
        )
        self.features = self.results = self.error = None

        async def log_in() -> None:
            try:
                self.features, self.results = (login := await negotiate(xmlstream, options)).features, login.results
            except ConnectionError as exc:
                self.error = exc
                await xmlstream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(log_in)
            yield peer
        peer.close()
        await xmlstream.aclose()

    async def logs_in(self, inline: str, asked: str, answer: str, after: str = INSIDE) -> None:
        """One login by the password."""
        async with self.link() as peer:
            header = await peer.expects_header()
            assert header.from_ == "romeo@example.test"
            await peer.says_header(self.offer(inline), self.CLASSIC)
            await peer.expects(self.authenticate(asked))
            await peer.says(answer + after)

    def authenticate(self, asked: str, mechanism: str = "PLAIN", initial: str = PLAIN) -> str:
        agent = f"<user-agent id='{self.AGENT}'><software>trioxmpp</software></user-agent>"
        return (
            f"<authenticate xmlns='{ns.SASL2}' mechanism='{mechanism}'><initial-response>{initial}</initial-response>"
            f"{agent}{asked}</authenticate>"
        )

    def by_token(self, text: str, asked: str = "") -> str:
        initial = base64.b64encode(b"romeo\0" + hmac.digest(text.encode(), b"Initiator", "sha256")).decode()
        return self.authenticate(f"{asked}<fast xmlns='{ns.FAST}'/>", self.NONE, initial)

    def has_token(self, text: str = "one", **fields) -> None:
        self.memory.fast_token = FastToken(self.NONE, "romeo", text, **fields)

    @staticmethod
    def offer(inline: str = "", mechanism: str = "PLAIN", rest: str = "") -> str:
        """The feature of SASL2."""
        inner = f"<mechanism>{mechanism}</mechanism><inline>{inline}</inline>{rest}"
        return f"<authentication xmlns='{ns.SASL2}'>{inner}</authentication>"


@pytest.fixture
def logins():
    """One client that logs in again and again, by SASL2 if it can."""
    return Logins()


@pytest.fixture
def unwritable() -> Callable[[StanzaToken], StanzaToken]:
    """Change a message after it was enqueued, and so was checked, such that it cannot be written."""

    def spoil(token: StanzaToken) -> StanzaToken:
        assert isinstance(token.stanza, Message)
        token.stanza.body = "\0"
        return token

    return spoil
