"""The contents of a certificate, trusted or not."""

from __future__ import annotations

import hashlib
import math
import ssl
import warnings
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...transport.endpoint import to_ascii
from .findings import Certificate

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["read_certificate"]

_SRV_NAME, _XMPP_ADDR = "1.3.6.1.5.5.7.8.7", "1.3.6.1.5.5.7.8.5"
_DAY = 86400


def read_certificate(der: bytes, told: Mapping[str, Any] | None, name: str, *, trusted: bool) -> Certificate:
    """Read a certificate in DER, which should be for `name`; `told` is what the ssl module tells of it, if it does.

    The ssl module reads only certificates that it trusts, and no names of RFC 6120 §13.7.1.2. The package cryptography,
    if it is installed, reads all. Never raises.
    """
    found = Certificate(trusted, hashlib.sha256(der).hexdigest())
    try:
        _by_cryptography(found, der)
    except (ImportError, ValueError):
        if told:
            _by_ssl(found, told)
        else:
            found.readable = False
    if found.readable:
        # The check of the ssl module counts: its rules may be finer than ours.
        found.covers = trusted or _covers(found, name)
    return found


def _by_cryptography(found: Certificate, der: bytes) -> None:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of odd certificates, which are our subject
        certificate = x509.load_der_x509_certificate(der)
        found.self_signed = certificate.issuer == certificate.subject
        found.issuer = _names(certificate.issuer, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        found.common_name = _names(certificate.subject, NameOID.COMMON_NAME)
        _dates(found, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        # An extension that cannot be read is treated as missing.
        with suppress(ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
            _alternative_names(found, certificate)


def _alternative_names(found: Certificate, certificate: x509.Certificate) -> None:
    from cryptography import x509

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found.dns = tuple(names.get_values_for_type(x509.DNSName))
    found.ip = tuple(map(str, names.get_values_for_type(x509.IPAddress)))
    others = names.get_values_for_type(x509.OtherName)
    found.srv = tuple(_string(each.value) for each in others if each.type_id.dotted_string == _SRV_NAME)
    found.xmpp = tuple(_string(each.value) for each in others if each.type_id.dotted_string == _XMPP_ADDR)


def _string(der: bytes) -> str:
    """Return the text of an IA5String or a UTF8String."""
    length = der[1] if len(der) > 1 else 0
    return der[2 + (length & 0x7F if length & 0x80 else 0) :].decode("utf-8", "replace")


def _names(name: x509.Name, *kinds: x509.ObjectIdentifier) -> str | None:
    values = [str(attribute.value) for kind in kinds for attribute in name.get_attributes_for_oid(kind)]
    return ", ".join(values) or None


def _by_ssl(found: Certificate, told: Mapping[str, Any]) -> None:
    """See `ssl.SSLSocket.getpeercert`."""
    names = told.get("subjectAltName", ())
    found.dns = tuple(value for kind, value in names if kind == "DNS")
    found.ip = tuple(value for kind, value in names if kind == "IP Address")
    subject, issuer = (dict(pair for rdn in told.get(whose, ()) for pair in rdn) for whose in ("subject", "issuer"))
    found.common_name = subject.get("commonName")
    issued_by = filter(None, (issuer.get("organizationName"), issuer.get("commonName")))
    found.issuer = ", ".join(issued_by) or None
    found.self_signed = told.get("issuer") == told.get("subject")
    before, after = (ssl.cert_time_to_seconds(told[when]) for when in ("notBefore", "notAfter"))
    _dates(found, datetime.fromtimestamp(before, UTC), datetime.fromtimestamp(after, UTC))


def _dates(found: Certificate, before: datetime, after: datetime) -> None:
    found.not_before, found.not_after = (f"{when:%Y-%m-%dT%H:%M:%SZ}" for when in (before, after))
    found.days_left = math.floor((after - datetime.now(UTC)).total_seconds() / _DAY)


def _covers(certificate: Certificate, name: str) -> bool:
    """Tell whether one of its names is `name`, or a wildcard for it (RFC 9525 §6.3)."""
    wanted = to_ascii(name).lower()
    if wanted in certificate.ip:
        return True
    _, dot, parent = wanted.partition(".")
    return any(each.lower() in (wanted, f"*{dot}{parent}") for each in certificate.dns)
