"""The TLS of pyOpenSSL in the clothes of the ssl module: as strict, and it can tell tls-exporter."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
import trustme

from trioxmpp.errors import TLSFailure
from trioxmpp.stream.bare import bare
from trioxmpp.transport.tcp import StreamTransport

pytest.importorskip("OpenSSL")
pytest.importorskip("service_identity")

from OpenSSL import SSL

from trioxmpp.transport.exporter import exporter_context

AUTHORITY = trustme.CA()


@pytest.fixture
def cafile(tmp_path):
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


def server_context(*names: str, issuer: trustme.CA = AUTHORITY, **options: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(*names, **options).configure_cert(context)
    return context


@asynccontextmanager
async def serving(
    client_context: ssl.SSLContext, context: ssl.SSLContext, host: str = "example.test"
) -> AsyncIterator[tuple[StreamTransport, trio.SSLStream]]:
    ours, theirs = trio.testing.memory_stream_pair()
    client = StreamTransport(ours)
    server = trio.SSLStream(theirs, context, server_side=True, https_compatible=True)

    async def be_the_server() -> None:
        try:
            await server.do_handshake()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(theirs)

    with bare():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_the_server)
            try:
                await client.start_tls(client_context, host)
                await server.do_handshake()  # which is done already, or waits for it
                yield client, server
            finally:
                await client.aclose()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_it_talks(cafile, version):
    context = server_context("example.test")
    context.maximum_version = version
    context.set_alpn_protocols(["xmpp-client"])
    async with serving(exporter_context(cafile=cafile), context) as (client, server):
        assert server.selected_alpn_protocol() == "xmpp-client"
        assert client.tls_version == server.version()
        assert client.secure
        data = bytes(range(256)) * 1000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, data)
            nursery.start_soon(server.send_all, data)
            for receive in (client.receive, server.receive_some):
                received = b""
                while len(received) < len(data):
                    received += await receive()
                assert received == data


async def test_the_end_is_heard_and_said(cafile):
    async with serving(exporter_context(cafile=cafile), server_context("example.test")) as (client, server):
        await server.send_all(b"farewell")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.unwrap)
            assert await client.receive() == b"farewell"
            assert await client.receive() == b""
            await client.close_gracefully()


async def test_a_link_that_ends_without_a_word(cafile):
    async with serving(exporter_context(cafile=cafile), server_context("example.test")) as (client, server):
        await trio.aclose_forcefully(server.transport_stream)
        assert await client.receive() == b""


async def test_tls_1_2_has_tls_unique(cafile):
    context = server_context("example.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(exporter_context(cafile=cafile), context) as (client, server):
        bindings = client.channel_bindings()
        assert set(bindings) == {"tls-unique", "tls-server-end-point"}
        assert bindings["tls-unique"] == server.get_channel_binding("tls-unique")


async def test_both_ends_of_tls_1_3_export_the_same(tmp_path, cafile):
    """The other end is pyOpenSSL, too: the ssl module cannot tell what it is."""
    issued = AUTHORITY.issue_cert("example.test")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(str(tmp_path / "server.pem"))
    context.use_privatekey_file(str(tmp_path / "server.pem"))
    server = SSL.Connection(context, None)
    server.set_accept_state()

    ours, theirs = trio.testing.memory_stream_pair()
    client = StreamTransport(ours)

    async def be_the_server() -> None:
        for _ in range(2):  # what a client of TLS 1.3 says comes in two parts
            server.bio_write(await theirs.receive_some())
            with suppress(SSL.WantReadError):
                server.do_handshake()
            await theirs.send_all(server.bio_read(65536))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_the_server)
        await client.start_tls(exporter_context(cafile=cafile), "example.test")
    bindings = client.channel_bindings()
    assert set(bindings) == {"tls-exporter", "tls-server-end-point"}
    assert bindings["tls-exporter"] == server.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    assert len(bindings["tls-exporter"]) == 32


# --- as strict as the default


@pytest.mark.parametrize("host", ["example.test", "EXAMPLE.test", "sub.wild.test", "bücher.test", "127.0.0.1", "[::1]"])
async def test_names_that_the_certificate_has(cafile, host):
    context = server_context("example.test", "*.wild.test", "xn--bcher-kva.test", "127.0.0.1", "::1")
    async with serving(exporter_context(cafile=cafile), context, host) as (client, _):
        assert client.secure


@pytest.mark.parametrize("host", ["other.test", "sub.example.test", "a.b.wild.test", "wild.test", "127.0.0.2", "::1"])
async def test_names_that_the_certificate_has_not(cafile, host):
    context = server_context("example.test", "*.wild.test", "127.0.0.1")
    with pytest.raises(TLSFailure, match="is not for") as failure:
        async with serving(exporter_context(cafile=cafile), context, host):
            pass
    assert host in str(failure.value)


async def test_a_common_name_is_no_name(cafile):
    context = server_context("other.test", common_name="example.test")
    with pytest.raises(TLSFailure, match="is not for"):
        async with serving(exporter_context(cafile=cafile), context):
            pass


async def test_an_unknown_authority_is_refused(cafile):
    context = server_context("example.test", issuer=trustme.CA())
    for client_context in (exporter_context(cafile=cafile), exporter_context()):
        with pytest.raises(TLSFailure, match=r"is not trusted \((unable to get|self-signed)"):
            async with serving(client_context, context):
                pass


async def test_a_certificate_out_of_its_time(cafile):
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(TLSFailure, match="expired, or this machine's clock is wrong"):
        async with serving(exporter_context(cafile=cafile), server_context("example.test", not_after=past)):
            pass


async def test_a_server_that_is_too_old(cafile):
    context = server_context("example.test")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(TLSFailure, match="handshake"):
        async with serving(exporter_context(cafile=cafile), context):
            pass


async def test_a_peer_that_does_not_speak_tls_is_explained(cafile):
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(TLSFailure, match="does not speak TLS on this port"):
        await StreamTransport(ours).start_tls(exporter_context(cafile=cafile), "example.test")


async def test_a_server_that_gives_up_in_the_middle(cafile):
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_eof()
    with pytest.raises(TLSFailure, match="during the TLS handshake"):
        await StreamTransport(ours).start_tls(exporter_context(cafile=cafile), "example.test")


async def test_a_client_certificate(tmp_path, cafile):
    issued = AUTHORITY.issue_cert("romeo@example.test")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for pem in issued.cert_chain_pems:
        pem.write_to_path(str(tmp_path / "cert.pem"), append=True)
    context = server_context("example.test")
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    ours = exporter_context(cafile=cafile, certificate=(tmp_path / "cert.pem", tmp_path / "key.pem"))
    async with serving(ours, context) as (client, server):
        await client.send(b"here I am")
        assert await server.receive_some() == b"here I am"
        assert ("email", "romeo@example.test") in server.getpeercert()["subjectAltName"]


def test_files_that_do_not_hold_a_certificate(tmp_path, cafile):
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    with pytest.raises(FileNotFoundError):
        exporter_context(cafile=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="cannot be used"):
        exporter_context(cafile=nonsense)
    with pytest.raises(ValueError, match="cannot be used"):
        exporter_context(certificate=(cafile, nonsense))
