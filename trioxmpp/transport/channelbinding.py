"""Channel bindings (RFC 5056): data that both ends of one TLS link know, and a man in the middle does not.

A login that proves this data, too, fails on any other link. There are three types: ``tls-exporter`` (RFC 9266),
``tls-unique`` and ``tls-server-end-point`` (RFC 5929).
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any, Protocol

import trio

__all__ = ["OLD", "TLSLink", "channel_bindings", "server_end_point"]

#: The versions of TLS with ``tls-unique``.
OLD = ("TLSv1", "TLSv1.1", "TLSv1.2")


class TLSLink(Protocol):
    """The part of an `ssl.SSLObject` that is needed here. A `trio.SSLStream` passes the calls on to one."""

    def version(self) -> str | None:
        """Return the version of TLS, for example ``TLSv1.3``."""
        ...

    def getpeercert(self, binary_form: bool = False) -> object:
        """Return the peer's certificate; as DER, if `binary_form` is True."""
        ...

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """Return the data of one type, or None. Raises ValueError for a type that it does not know."""
        ...


def channel_bindings(link: TLSLink | trio.SSLStream[Any]) -> dict[str, bytes]:
    """Return the data that a login on an established TLS link can be bound to, by the registered names of the types.

    The ssl module cannot export ``tls-exporter`` (RFC 9266); see `exporter` for links that can.
    """
    # RFC 5929 defines tls-unique for these versions only; the ssl module answers for later ones, too. TLS 1.2 exports
    # keys as well, but safely only with an extension that OpenSSL does not tell us about (RFC 9266 §4.2). Without that
    # extension, tls-unique is not unique on links that go on with one session (RFC 7627 §1).
    is_old = link.version() in OLD
    name = "tls-unique" if is_old else "tls-exporter"
    bindings, data = {}, None
    if not (is_old and getattr(link, "session_reused", False)):  # those of `exporter` never are
        with suppress(ValueError):
            data = link.get_channel_binding(name)
    if data:
        bindings[name] = data
    certificate = link.getpeercert(binary_form=True)
    if isinstance(certificate, bytes) and (data := server_end_point(certificate)):
        bindings["tls-server-end-point"] = data
    return bindings


def server_end_point(certificate: bytes) -> bytes | None:
    """Return the data of ``tls-server-end-point`` for a certificate in DER (RFC 5929 §4.1).

    That is its hash, by the function that it was signed with, or by SHA-256 in place of MD5 and SHA-1. None for a
    signature without a hash function, or with several, such as Ed25519: the type is not defined for it.
    """
    try:
        name = _signature_hash(certificate)
    except (IndexError, ValueError):
        return None  # not a certificate
    return None if name is None else hashlib.new(name, certificate).digest()


# --- the part of X.509 (RFC 5280) and DER that this needs

_SEQUENCE, _OBJECT_IDENTIFIER, _FIRST_PARAMETER = 0x30, 0x06, 0xA0
_RSA, _ECDSA, _DSA, _NIST = "2a864886f70d0101", "2a8648ce3d04", "2a8648ce3804", "60864801650304"

_HASHES = {
    f"{_RSA}04": "sha256",  # with MD5
    f"{_RSA}05": "sha256",  # with SHA-1
    f"{_RSA}0e": "sha224",
    f"{_RSA}0b": "sha256",
    f"{_RSA}0c": "sha384",
    f"{_RSA}0d": "sha512",
    f"{_ECDSA}01": "sha256",  # with SHA-1
    f"{_ECDSA}0301": "sha224",
    f"{_ECDSA}0302": "sha256",
    f"{_ECDSA}0303": "sha384",
    f"{_ECDSA}0304": "sha512",
    f"{_DSA}03": "sha256",  # with SHA-1
    f"{_NIST}0301": "sha224",  # DSA
    f"{_NIST}0302": "sha256",  # DSA
}
"""The hash function by the algorithm of a signature, for those that have one."""

_RSA_PSS = f"{_RSA}0a"
_PSS_HASHES = {
    "2b0e03021a": "sha256",  # SHA-1
    f"{_NIST}0204": "sha224",
    f"{_NIST}0201": "sha256",
    f"{_NIST}0202": "sha384",
    f"{_NIST}0203": "sha512",
}


def _signature_hash(certificate: bytes) -> str | None:
    """Return the hash function that the certificate was signed with. Raises ValueError or IndexError if malformed."""
    contents, _ = _read(certificate, _SEQUENCE)
    _, after = _read(contents, _SEQUENCE)  # the part that was signed
    algorithm, _ = _read(after, _SEQUENCE)
    identifier, parameters = _read(algorithm, _OBJECT_IDENTIFIER)
    if identifier.hex() != _RSA_PSS:
        return _HASHES.get(identifier.hex())
    # The parameters of RSASSA-PSS (RFC 4055 §3.1) tell the hash first, or leave it out, which means SHA-1.
    parameters, _ = _read(parameters, _SEQUENCE)
    if not parameters or parameters[0] != _FIRST_PARAMETER:
        return "sha256"
    explicit, _ = _read(parameters, _FIRST_PARAMETER)
    algorithm, _ = _read(explicit, _SEQUENCE)
    identifier, _ = _read(algorithm, _OBJECT_IDENTIFIER)
    return _PSS_HASHES.get(identifier.hex())


def _read(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the contents of the element of DER that `data` begins with, and the octets behind it."""
    if data[0] != tag:
        raise ValueError("another element was expected")
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise ValueError("the element is cut off")
    return data[start : start + length], data[start + length :]
