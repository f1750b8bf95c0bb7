"""Addresses (RFC 7622), dates, times and durations (XEP-0082), and SCRAM's messages (RFC 5802)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC
from typing import Any

from trioxmpp import JID
from trioxmpp.errors import AuthenticationFailure, JIDError
from trioxmpp.protocol.sasl import Credentials, Derivation
from trioxmpp.protocol.sasl.scram import SCRAMParameters, scram
from trioxmpp.xml import times

__all__ = ["dates", "jids", "sasl"]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def jids(data: bytes) -> None:
    """Read an address in both ways. An address that is read strictly is canonical."""
    text = _text(data)
    with contextlib.suppress(JIDError):
        inbound = JID.parse_inbound(text)
        assert JID.parse_inbound(str(inbound)) == inbound
        assert inbound.bare.is_bare
        hash(inbound)
    with contextlib.suppress(JIDError):
        jid = JID.parse(text)
        assert JID.parse(str(jid)) == jid
        assert JID(jid.local, jid.domain, jid.resource) == jid
        assert JID.parse_inbound(text) == jid
        assert not jid.is_lenient
        str(jid).encode()


WAYS: tuple[tuple[Callable[[str], Any], Callable[[Any], str]], ...] = (
    (times.decode_datetime, times.encode_datetime),
    (times.decode_date, times.encode_date),
    (times.decode_time, times.encode_time),
    (times.decode_offset, times.encode_offset),
    (times.decode_duration, times.encode_duration),
)


def dates(data: bytes) -> None:
    """Read a date, a time, an offset and a duration, write it, and read it again."""
    for decode, encode in WAYS:
        try:
            value = decode(_text(data))
        except ValueError:
            continue
        assert decode(encode(value)) == value
        if decode is times.decode_datetime:
            assert value.tzinfo is UTC


NONCE = "fyko+d2lbbFgONRv9qkxdawL"
PARAMETERS = SCRAMParameters(tls_version="TLSv1.3", binding=b"binding", flag="p=tls-exporter")
_OURS = re.compile(rb"r=([^,]*)")


def sasl(data: bytes) -> None:
    """Play the server of SCRAM: the first line is its first message, the second line its final one.

    In the second round the final message begins with the right signature. Only that may let us in.
    """
    first, _, final = data.partition(b"\n")
    assert not _log_in(first, final) or b"v=" in final
    _log_in(first, None, final)


def _log_in(first: bytes, final: bytes | None, behind: bytes = b"") -> bool:
    """Log in, and return whether that was possible. The right final message is made if `final` is None."""
    credentials = Credentials("user", "pencil")
    login = scram("sha1", credentials, NONCE, PARAMETERS, min_iterations=1, max_iterations=64)
    try:
        client_first = next(login)
        assert isinstance(client_first, bytes)
        derivation = login.send(first)
        assert isinstance(derivation, Derivation)
        assert 1 <= derivation.iterations <= 64
        salted = derivation.compute()
        client_final = login.send(salted)
        assert isinstance(client_final, bytes)
        unproven, _, _ = client_final.rpartition(b",p=")
        bare = client_first.split(b",", 2)[2]
        key = hmac.digest(salted, b"Server Key", "sha1")
        signature = hmac.digest(key, b",".join([bare, first, unproven]), hashlib.sha1)
        right = b"v=" + base64.b64encode(signature)
        login.send(right + behind if final is None else final)
    except StopIteration:
        return True
    except AuthenticationFailure:
        return False
    raise AssertionError("SCRAM has more than two messages")
