"""A scripted peer: the other end of a client's stream, which sends and expects the elements that a test wrote down."""

from __future__ import annotations

import base64
import math
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from .. import xml
from ..jid import JID
from ..protocol import ns
from ..protocol.framing import header
from ..stream.bare import bare
from ..stream.xmlstream import XmlStream
from ..transport.tcp import StreamTransport
from .script import Script, describe
from .server.authentication import exchange
from .transcript import parse_script
from .virtual.clock import hold_clock_for_threads
from .virtual.memory import MemoryStream, memory_link

__all__ = ["ScriptedPeer", "ScriptedServer", "open_peer_pair"]

BIND = f"<bind xmlns='{ns.BIND}'/>"
SM = f"<sm xmlns='{ns.SM}'/>"


class ScriptedPeer(Script):
    """The server's end of one link in memory, played by the test; `stream` is the client's end.

        await peer.expects("<iq type='get' id='$1' to='juliet@example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.says("<iq type='result' id='$1' from='juliet@example.org'/>")

    `Script` describes the notation. `domain` is the domain of the server that it plays; `capacity` bounds the bytes
    that the link holds in each direction. Nothing runs in the background: the peer reads only while the test waits.
    """

    def __init__(self, domain: str = "example.test", *, capacity: float = math.inf, patience: float = 3600.0) -> None:
        hold_clock_for_threads()
        raw, stream = memory_link(capacity)
        super().__init__(raw, patience=patience)
        self.raw: MemoryStream = raw
        self.stream: MemoryStream = stream
        self.domain = domain

    # --- the stream, and the link

    async def says_header(self, *features: str, id: str = "scripted") -> None:
        """Send a stream header, and in the same segment the features, each as XML."""
        begin = header(to=None, from_=self.domain, id=id)
        offer = "".join(features)
        parse_script(offer)
        await self.says_raw(begin + f"<stream:features>{offer}</stream:features>".encode())

    async def starts_tls(self, context: ssl.SSLContext) -> None:
        """Take the server's side of a TLS handshake, after ``<proceed/>``. Raises as `trio.SSLStream` does."""
        tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(self.wire, context, server_side=True)
        await tls.do_handshake()
        self.wire = tls

    def close(self) -> None:
        """Close the link without closing the stream: the client reads the end."""
        self.raw.close()

    def reset(self) -> None:
        """Break the link: the client reads all that was sent before, and then fails."""
        self.raw.reset()

    # --- whole scenes

    async def authenticates(
        self, *features: str, name: str = "romeo", password: str = "secret", mechanism: str = "SCRAM-SHA-256"
    ) -> None:
        """Play the server until the client has logged in, and offer it `features`: bind and SM, if none are given.

        The next element of the client is ``<iq><bind/></iq>`` or ``<resume/>``.
        """
        await self.expects_header()
        await self.says_header(f"<mechanisms xmlns='{ns.SASL}'><mechanism>{mechanism}</mechanism></mechanisms>")
        dialogue = exchange(mechanism, {name: password})
        element = await self.hears()
        while True:
            try:
                answer = dialogue.send(base64.b64decode(element.text or ""))
            except StopIteration as stop:
                _, last_data = stop.value
                break
            await self.says(f"<challenge xmlns='{ns.SASL}'>{base64.b64encode(answer).decode()}</challenge>")
            element = await self.hears()
        additional = base64.b64encode(last_data or b"").decode()
        await self.says(f"<success xmlns='{ns.SASL}'>{additional}</success>")
        await self.expects_header()
        await self.says_header(*(features or (BIND, SM)))

    async def negotiates(
        self,
        jid: JID | str = "romeo@example.test/orchard",
        *,
        sm: str | None = "sm-1",
        resumable: bool = True,
        password: str = "secret",
        mechanism: str = "SCRAM-SHA-256",
    ) -> None:
        """Play the server until the client has a session as `jid`, with stream management of this id, or None.

        There is no TLS, so the client needs ``allow_plaintext=True``. PLAIN in place of SCRAM is for clients that use
        it in the clear, which `trioxmpp.connect` never does.
        """
        full = JID.parse(jid) if isinstance(jid, str) else jid
        features = (BIND,) if sm is None else (BIND, SM)
        await self.authenticates(*features, name=full.local or "", password=password, mechanism=mechanism)
        request = await self.hears()
        if request.find(f"{{{ns.BIND}}}bind") is None:
            raise AssertionError(f"a request to bind was expected, but {describe(request)}")
        bound = f"<bind xmlns='{ns.BIND}'><jid>{xml.escape(str(full))}</jid></bind>"
        await self.says(f"<iq type='result' id='{xml.escape_attr(request.get('id', ''))}'>{bound}</iq>")
        if sm is not None:
            enable = await self.hears()
            if enable.tag != f"{{{ns.SM}}}enable":
                raise AssertionError(f"<enable/> was expected, but {describe(enable)}")
            granted = f" id='{xml.escape_attr(sm)}' resume='true'" if resumable else ""
            await self.says(f"<enabled xmlns='{ns.SM}'{granted}/>")


class ScriptedServer:
    """An endpoint whose links are served by scripts, one for each link.

        server = ScriptedServer()
        ...connect("romeo@example.test/orchard", "secret", endpoint=server.endpoint, allow_plaintext=True)
        peer = await server.accept()
        await peer.negotiates()

    Each attempt of a client to connect makes another peer, to be accepted in that order.
    """

    def __init__(self, domain: str = "example.test", *, patience: float = 3600.0) -> None:
        hold_clock_for_threads()
        self.domain = domain
        self.patience = patience
        self.refusing = False
        """Whether connections are refused at the moment."""
        self._send, self._receive = trio.open_memory_channel[ScriptedPeer](math.inf)

    async def endpoint(self) -> trio.abc.Stream:
        """Return a new link, for ``connect(..., endpoint=server.endpoint)``. ConnectionRefusedError if `refusing`."""
        await trio.lowlevel.checkpoint()
        if self.refusing:
            raise ConnectionRefusedError("the scripted server refuses connections")
        peer = ScriptedPeer(self.domain, patience=self.patience)
        self._send.send_nowait(peer)
        return peer.stream

    async def accept(self) -> ScriptedPeer:
        """Wait for the next client; AssertionError after `patience` seconds without one. Cancelling loses nothing."""
        with trio.move_on_after(self.patience):
            return await self._receive.receive()
        raise AssertionError(f"a client was expected, but none came for {self.patience:g} seconds")


@asynccontextmanager
async def open_peer_pair(
    domain: str = "example.test", *, features: Sequence[str] = (BIND, SM), capacity: float = math.inf
) -> AsyncIterator[tuple[XmlStream, ScriptedPeer]]:
    """A block with an `XmlStream` that is open already, and the `ScriptedPeer` at its other end.

    Headers and `features` have been exchanged, as if the client had logged in: the stream is ready for
    ``StanzaStream.run`` or ``StanzaStream.resume``. Leaving the block closes both ends.
    """
    peer = ScriptedPeer(domain, capacity=capacity)
    xmlstream = XmlStream(StreamTransport(peer.stream), domain)
    try:
        with bare():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(xmlstream.open)
                await peer.expects_header()
                await peer.says_header(*features)
        yield xmlstream, peer
    finally:
        peer.close()
        with trio.CancelScope(shield=True):
            await xmlstream.aclose()
