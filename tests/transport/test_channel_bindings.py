"""The channel bindings of a login over real TLS, and the certificates without one."""

from __future__ import annotations

import datetime
import hashlib
import ssl

import pytest
import trio
import trio.testing
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.transport.channelbinding import server_end_point
from trioxmpp.transport.tcp import StreamTransport

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def certificate(key, algorithm, **options) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now)
    return builder.sign(key, algorithm, **options).public_bytes(Encoding.DER)


def pss(algorithm) -> dict[str, padding.PSS]:
    return {"rsa_padding": padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)}


@pytest.mark.parametrize("algorithm", [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_the_hash_is_that_of_the_signature(algorithm):
    ders = [
        certificate(RSA, algorithm),
        certificate(RSA, algorithm, **pss(algorithm)),
        certificate(EC, algorithm),
    ]
    for der in ders:
        assert server_end_point(der) == hashlib.new(algorithm.name, der).digest()


def test_dsa():
    key = dsa.generate_private_key(1024)
    for algorithm in (hashes.SHA224(), hashes.SHA256()):
        der = certificate(key, algorithm)
        assert server_end_point(der) == hashlib.new(algorithm.name, der).digest()


# A signature that is too weak for any library to make: the identifier and the parameters (RFC 5912, RFC 4055).
WEAK = {
    "md5WithRSAEncryption": ("2a864886f70d010104", "0500"),
    "sha1WithRSAEncryption": ("2a864886f70d010105", "0500"),
    "ecdsa-with-SHA1": ("2a8648ce3d0401", ""),
    "dsa-with-SHA1": ("2a8648ce380403", ""),
    "RSASSA-PSS without parameters, which means SHA-1": ("2a864886f70d01010a", "3000"),
    "RSASSA-PSS with another salt and SHA-1": ("2a864886f70d01010a", "3005a203020114"),
    "RSASSA-PSS that says SHA-1": ("2a864886f70d01010a", "300da00b300906052b0e03021a0500"),
}


def element(tag: int, contents: bytes) -> bytes:
    length = len(contents)
    head = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + head + contents


def signed(identifier: str, parameters: str, body: bytes = b"\x02\x01\x00" * 60) -> bytes:
    """The skeleton of a certificate that is signed like this."""
    algorithm = element(0x30, element(0x06, bytes.fromhex(identifier)) + bytes.fromhex(parameters))
    return element(0x30, element(0x30, body) + algorithm + element(0x03, b"\x00signature"))


@pytest.mark.parametrize("name", WEAK)
def test_weak_hashes_are_replaced_by_sha_256(name):
    der = signed(*WEAK[name])
    assert server_end_point(der) == hashlib.sha256(der).digest()


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()])
def test_a_signature_without_a_hash_has_none(key):
    assert server_end_point(certificate(key, None)) is None


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: b"\x30\x82" + rest))
def test_data_that_is_no_certificate_has_no_end_point(data):
    assert server_end_point(data) is None


@given(st.integers(0, 400))
def test_half_a_certificate_has_none(length):
    der = signed("2a864886f70d01010b", "0500")
    if length < len(der):
        assert server_end_point(der[:length]) is None


# --- over TLS


class Ends:
    """Both ends of one TLS link."""

    def __init__(self, client: StreamTransport, server: trio.SSLStream[trio.abc.Stream], der: bytes) -> None:
        self.client, self.server, self.der = client, server, der


async def connected(version: ssl.TLSVersion) -> Ends:
    authority = trustme.CA()
    issued = authority.issue_cert("example.test")
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(server_context)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.maximum_version = version
    authority.configure_trust(client_context)
    ours, theirs = trio.testing.memory_stream_pair()
    client, server = StreamTransport(ours), trio.SSLStream(theirs, server_context, server_side=True)
    assert client.channel_bindings() == {}
    assert client.tls_version is None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        await client.start_tls(client_context, "example.test")
    return Ends(client, server, ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode()))


async def test_tls_1_2_has_tls_unique():
    ends = await connected(ssl.TLSVersion.TLSv1_2)
    assert ends.client.tls_version == "TLSv1.2"
    assert ends.client.channel_bindings() == {
        "tls-unique": ends.server.get_channel_binding("tls-unique"),
        "tls-server-end-point": hashlib.sha256(ends.der).digest(),
    }


async def test_tls_1_3_has_no_tls_unique_though_the_ssl_module_gives_some():
    ends = await connected(ssl.TLSVersion.TLSv1_3)
    assert ends.client.tls_version == "TLSv1.3"
    assert ends.client.channel_bindings() == {"tls-server-end-point": hashlib.sha256(ends.der).digest()}
