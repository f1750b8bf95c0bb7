"""Answers of a server to a login and to binding: addresses of others, and the client's own secrets."""

from __future__ import annotations

import base64

import pytest
import trio

from trioxmpp import JID, StreamError, StreamNegotiationFailure
from trioxmpp.protocol import ns
from trioxmpp.protocol.auth import SASLExchange
from trioxmpp.protocol.features import StreamFeatures
from trioxmpp.protocol.loginstate import LoginState
from trioxmpp.protocol.sasl import Channel, Credentials, MechanismOffer, choose
from trioxmpp.stream.negotiation.credentials import run_exchange
from trioxmpp.stream.negotiation.negotiate import bind
from trioxmpp.stream.xmlstream import XmlStream
from trioxmpp.testing import ScriptedPeer
from trioxmpp.transport.tcp import StreamTransport

PLAIN = base64.b64encode(b"\0romeo\0montague").decode()


async def opened(peer: ScriptedPeer, nursery: trio.Nursery) -> XmlStream:
    xmlstream = XmlStream(StreamTransport(peer.stream), "example.test")

    async def open_() -> None:
        await peer.expects_header()
        await peer.says_header()

    nursery.start_soon(open_)
    await xmlstream.open()
    return xmlstream


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("romeo@other.test/x", "another domain"),
        ("romeo@example.test", "without a resource"),
        ("\n  romeo@example.test/x\n", "white space"),
        ("@", "does not tell what it bound"),
        ("romeo@example.test/x", None),
    ],
)
async def test_the_bound_address_must_be_ours(autojump_clock, nursery, told, words):
    peer = ScriptedPeer("example.test")
    xmlstream = await opened(peer, nursery)

    async def answer() -> None:
        request = await peer.hears()
        await peer.says(
            f"<iq type='result' id='{request.get('id')}'><bind xmlns='{ns.BIND}'><jid>{told}</jid></bind></iq>"
        )

    nursery.start_soon(answer)
    features = StreamFeatures(bind=True)
    if words is None:
        assert await bind(xmlstream, features, None) == JID.parse(told)
    else:
        with pytest.raises(StreamNegotiationFailure, match=words):
            await bind(xmlstream, features, None)
    await xmlstream.aclose()


async def test_a_stream_error_that_repeats_the_password_does_not_show_it(autojump_clock, nursery):
    peer = ScriptedPeer("example.test")
    xmlstream = await opened(peer, nursery)
    credentials = Credentials("romeo", "montague", allow_plain=True)
    attempt = choose(MechanismOffer(("PLAIN",)), credentials, Channel(secure=True), nonce="n")

    async def answer() -> None:
        await peer.hears()
        text = f"<text xmlns='{ns.STREAM_ERRORS}'>what is {PLAIN}, montague?</text>"
        await peer.says(f"<stream:error><bad-format xmlns='{ns.STREAM_ERRORS}'/>{text}</stream:error>")

    nursery.start_soon(answer)
    with pytest.raises(StreamError, match="what is …, …") as failure:
        await run_exchange(xmlstream, SASLExchange(attempt), LoginState())
    assert failure.value.__cause__ is None
    assert "montague" not in repr(failure.value)
    await xmlstream.aclose()
