"""The TLS session of a link serves the next link to the same place, unless it is of no use."""

from __future__ import annotations

import datetime
import ssl
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
import trustme

from trioxmpp import TLSFailure
from trioxmpp.transport import tlssessions
from trioxmpp.transport.tcp import StreamTransport
from trioxmpp.transport.tlssessions import TLSSessionCache

OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH = pytest.mark.parametrize("version", [OLD, NEW])


class Place:
    """A server, and a client that comes back: each call of `link` is one link, from the handshake to its end."""

    def __init__(self, version: ssl.TLSVersion = NEW, until: datetime.datetime | None = None) -> None:
        self.authority = trustme.CA()
        self.certificate = self.authority.issue_cert("example.test", "other.test", not_after=until)
        self.version = version
        self.theirs = self.server_context()
        self.ours = self.client_context()
        self.memory = TLSSessionCache()

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = self.version
        self.certificate.configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context

    @asynccontextmanager
    async def link(self, host: str = "example.test", place: str = "here"):
        ours, theirs = trio.testing.memory_stream_pair()
        resumption = self.memory.at(place)
        client = StreamTransport(ours, resumption)
        server = trio.SSLStream(theirs, self.theirs, server_side=True, https_compatible=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            await client.start_tls(self.ours, host)
        await server.send_all(b"hello")  # with which the tickets of TLS 1.3 come
        assert await client.receive() == b"hello"
        assert resumption.resumed == server.session_reused
        try:
            yield client, server, resumption
        finally:
            await client.aclose()

    async def resumes(self, host: str = "example.test", place: str = "here") -> bool:
        async with self.link(host, place) as (_, _, resumption):
            return resumption.resumed


@BOTH
async def test_the_next_link_resumes_the_session(version):
    place = Place(version)
    assert [await place.resumes() for _ in range(4)] == [False, True, True, True]


@BOTH
async def test_a_session_is_resumed_after_a_link_that_was_closed_in_order(version):
    place = Place(version)
    for expected in (False, True):
        async with place.link() as (client, server, resumption):
            assert resumption.resumed == expected
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.unwrap)
                await client.close_gracefully()


@BOTH
async def test_a_session_is_resumed_after_a_link_that_broke(version):
    place = Place(version)
    async with place.link() as (client, server, _):
        await trio.aclose_forcefully(server.transport_stream)
        assert await client.receive() == b""
    assert await place.resumes()


@BOTH
async def test_both_ends_have_the_certificate_of_the_first_link(version):
    place = Place(version)
    async with place.link() as (client, _, _):
        bindings, certificate = client.channel_bindings(), client.certificate
    async with place.link() as (client, _, resumption):
        assert resumption.resumed
        assert client.certificate == certificate
        assert client.channel_bindings()["tls-server-end-point"] == bindings["tls-server-end-point"]


async def test_a_resumed_link_of_tls_1_2_has_no_tls_unique():
    place = Place(OLD)
    async with place.link() as (client, _, _):
        assert set(client.channel_bindings()) == {"tls-unique", "tls-server-end-point"}
    async with place.link() as (client, _, _):
        assert set(client.channel_bindings()) == {"tls-server-end-point"}


@pytest.mark.parametrize(("version", "expected"), [(OLD, False), (NEW, True)])
async def test_the_sessions_of_tls_1_2_can_be_forgotten(version, expected):
    place = Place(version)
    await place.resumes()
    place.memory.forget_old()
    assert await place.resumes() == expected


@BOTH
async def test_a_server_without_the_session_makes_a_whole_handshake(version):
    place = Place(version)
    await place.resumes()
    place.theirs = place.server_context()
    async with place.link() as (_, _, resumption):
        assert resumption.offered
        assert not resumption.resumed
    assert await place.resumes()


# --- where it must not be used


@BOTH
async def test_another_place_has_its_own(version):
    place = Place(version)
    await place.resumes(place="here")
    assert not await place.resumes(place="there")
    assert await place.resumes(place="here")


@BOTH
async def test_another_name_in_the_certificate_is_checked(version):
    """It is the very same server, whose certificate is for both; but the first link has checked one name alone."""
    place = Place(version)
    await place.resumes("example.test")
    async with place.link("other.test") as (_, _, resumption):
        assert not resumption.offered


@BOTH
async def test_another_context_trusts_others(version):
    place = Place(version)
    await place.resumes()
    place.ours = place.client_context()
    async with place.link() as (_, _, resumption):
        assert not resumption.offered
    place.ours = ssl.create_default_context()  # which trusts no certificate here
    with pytest.raises(BaseExceptionGroup) as failure:
        await place.resumes()
    assert failure.group_contains(TLSFailure, match="is not trusted")


@BOTH
@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_context_that_has_become_stricter_checks_it_all(version, meanwhile):
    place = Place(version)
    place.ours.check_hostname = False
    place.ours.verify_mode = ssl.CERT_NONE
    async with place.link("wrong.test"):
        if meanwhile:
            place.ours.verify_mode = ssl.CERT_REQUIRED
    place.ours.verify_mode = ssl.CERT_REQUIRED
    async with place.link("wrong.test") as (_, _, resumption):
        assert not resumption.offered
    place.ours.check_hostname = True
    with pytest.raises(BaseExceptionGroup) as failure:
        await place.resumes("wrong.test")
    assert failure.group_contains(TLSFailure, match=r"is not for wrong\.test")


@BOTH
async def test_a_certificate_that_has_expired_meanwhile_is_not_valid_for_longer(version, monkeypatch):
    now = datetime.datetime.now(datetime.UTC)
    place = Place(version, until=now + datetime.timedelta(hours=1))
    await place.resumes()
    assert await place.resumes()
    monkeypatch.setattr(tlssessions.time, "time", lambda: now.timestamp() + 3700)
    async with place.link() as (_, _, resumption):
        assert not resumption.offered


@BOTH
async def test_a_session_is_not_offered_again_where_it_failed(version):
    place = Place(version)
    await place.resumes()
    async with place.link() as (_, _, resumption):
        resumption.forget()
    assert [await place.resumes() for _ in range(2)] == [False, False]


async def test_the_oldest_places_are_forgotten():
    place = Place()
    for number in range(tlssessions.MAX_PLACES + 1):
        await place.resumes(place=str(number))
    assert not await place.resumes(place="0")
    assert await place.resumes(place="2")


async def test_a_link_without_tls_leaves_nothing():
    ours, _ = trio.testing.memory_stream_pair()
    await StreamTransport(ours, TLSSessionCache().at("here")).aclose()


# --- the end of a link that was not closed in order


class Watched(ssl.SSLContext):
    """A context that keeps where OpenSSL reads what arrives."""

    incoming: ssl.MemoryBIO | None = None

    def wrap_bio(self, incoming, *args, **options):
        self.incoming = incoming
        return super().wrap_bio(incoming, *args, **options)


@BOTH
async def test_openssl_is_not_told_that_a_link_broke(version):
    """From OpenSSL 3.5 on, a session is not to be resumed if OpenSSL is told so."""
    place = Place(version)
    place.ours = Watched(ssl.PROTOCOL_TLS_CLIENT)
    place.authority.configure_trust(place.ours)
    async with place.link() as (client, server, _):
        await trio.aclose_forcefully(server.transport_stream)
        assert [await client.receive() for _ in range(3)] == [b""] * 3
        with pytest.raises(ConnectionError):
            await client.send(b"to whom?")
    assert place.ours.incoming is not None
    assert not place.ours.incoming.eof
    assert await place.resumes()


async def test_a_link_that_ends_during_the_handshake_is_explained():
    ours, theirs = trio.testing.memory_stream_pair()
    client = StreamTransport(ours)

    async def hang_up() -> None:
        await theirs.receive_some()
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hang_up)
        with pytest.raises(TLSFailure, match="closed the connection during the TLS handshake"):
            await client.start_tls(ssl.create_default_context(), "example.test")
    await client.aclose()
