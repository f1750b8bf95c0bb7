"""From the header to ready (RFC 6120 §4.3): what is said in the clear, what may follow <proceed/>, and binding."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from trioxmpp import JID, Credentials, StreamCondition, StreamError, StreamNegotiationFailure, TLSFailure, XmlStream
from trioxmpp.protocol import ns
from trioxmpp.stream.negotiation.negotiate import NegotiationOptions, bind, negotiate
from trioxmpp.testing import ScriptedPeer
from trioxmpp.transport.tcp import StreamTransport

STARTTLS = f"<starttls xmlns='{ns.TLS}'/>"
PROCEED = f"<proceed xmlns='{ns.TLS}'/>"
PLAIN = f"<mechanisms xmlns='{ns.SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
TERMS = NegotiationOptions(JID.parse("romeo@example.test"), Credentials("romeo", "secret", allow_plain=True))


class Secure(StreamTransport):
    """A link that passes for one under TLS."""

    secure = True  # type: ignore[assignment]


class Negotiation:
    """One negotiation in the background, and how it ended."""

    def __init__(self, peer: ScriptedPeer, xmlstream: XmlStream) -> None:
        self.peer, self.xmlstream = peer, xmlstream
        self.error: Exception | None = None

    async def run(self) -> None:
        try:
            await negotiate(self.xmlstream, TERMS)
        except ConnectionError as exc:
            self.error = exc
            await self.xmlstream.aclose()


@asynccontextmanager
async def negotiating(transport: type[StreamTransport]) -> AsyncIterator[Negotiation]:
    """A block that speaks as the server while the client negotiates; both have ended behind it."""
    peer = ScriptedPeer()
    negotiation = Negotiation(peer, XmlStream(transport(peer.stream), "example.test"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(negotiation.run)
        yield negotiation
        peer.close()
    await negotiation.xmlstream.aclose()


async def test_the_client_does_not_give_its_address_in_the_clear(autojump_clock):
    async with negotiating(StreamTransport) as negotiation:
        header = await negotiation.peer.expects_header()
        assert header.to == "example.test"
        assert header.from_ is None


async def test_the_client_gives_its_address_under_tls(autojump_clock):
    """RFC 6120 §4.7.1: then the server can tell which offer is for whom."""
    async with negotiating(Secure) as negotiation:
        header = await negotiation.peer.expects_header()
        assert header.from_ == "romeo@example.test"


async def test_an_offer_without_tls_is_refused_before_anything_else_is_said(autojump_clock):
    async with negotiating(StreamTransport) as negotiation:
        await negotiation.peer.expects_header()
        await negotiation.peer.says_header(PLAIN)
        await negotiation.peer.expects_end()
    assert isinstance(negotiation.error, TLSFailure)


@pytest.mark.parametrize("injected", ["<stream:features/>", "<message/>", " ", "\x16\x03\x01"])
async def test_octets_that_follow_proceed_in_the_clear_are_refused(autojump_clock, injected):
    """An attacker on the path puts it there, to have it taken for what the server says under TLS (CVE-2011-0411)."""
    async with negotiating(StreamTransport) as negotiation:
        await negotiation.peer.expects_header()
        await negotiation.peer.says_header(STARTTLS)
        await negotiation.peer.expects(STARTTLS)
        await negotiation.peer.says_raw((PROCEED + injected).encode())
        await negotiation.peer.expects_end()
    error = negotiation.error
    assert isinstance(error, StreamError)
    assert error.by_us
    assert error.condition is StreamCondition.POLICY_VIOLATION


# --- binding


SESSION = f"<session xmlns='{ns.SESSION}'/>"
OPTIONAL = f"<session xmlns='{ns.SESSION}'><optional/></session>"
BOUND = f"<bind xmlns='{ns.BIND}'><jid>romeo@example.test/orchard</jid></bind>"


@asynccontextmanager
async def binding(session: str) -> AsyncIterator[tuple[ScriptedPeer, list[object]]]:
    """A block that speaks as the server while the client binds a resource; what comes of it is in the list."""
    peer, outcome = ScriptedPeer(), list[object]()
    xmlstream = XmlStream(Secure(peer.stream), "example.test")

    async def run() -> None:
        features = await xmlstream.open()
        try:
            outcome.append(await bind(xmlstream, features, "orchard"))
        except StreamNegotiationFailure as exc:
            outcome.append(exc)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await peer.expects_header()
        await peer.says_header(f"<bind xmlns='{ns.BIND}'/>{session}")
        await peer.expects(f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind></iq>")
        await peer.says(f"<iq type='result' id='{peer.met['1']}'>{BOUND}</iq>")
        yield peer, outcome
    peer.close()
    await xmlstream.aclose()


async def test_a_legacy_session_that_is_required_is_established(autojump_clock):
    """RFC 3921 §3: some old servers route nothing without it."""
    async with binding(SESSION) as (peer, outcome):
        await peer.expects(f"<iq type='set' id='$2'>{SESSION}</iq>")
        assert not outcome
        await peer.says(f"<iq type='result' id='{peer.met['2']}'/>")
    assert [str(jid) for jid in outcome] == ["romeo@example.test/orchard"]


async def test_a_legacy_session_that_is_refused_is_a_failure(autojump_clock):
    async with binding(SESSION) as (peer, outcome):
        await peer.expects(f"<iq type='set' id='$2'>{SESSION}</iq>")
        forbidden = f"<error type='auth'><forbidden xmlns='{ns.STANZA_ERRORS}'/></error>"
        await peer.says(f"<iq type='error' id='{peer.met['2']}'>{forbidden}</iq>")
    assert isinstance(outcome[0], StreamNegotiationFailure)


@pytest.mark.parametrize("session", ["", OPTIONAL])
async def test_a_legacy_session_that_is_optional_is_left_alone(autojump_clock, session):
    async with binding(session) as (peer, outcome):
        await peer.expects_nothing(10)
    assert [str(jid) for jid in outcome] == ["romeo@example.test/orchard"]
