"""The fault at one candidate, as a code that `advice_texts` has a text for."""

from __future__ import annotations

import errno
import socket

from ...errors import StreamCondition, StreamError, TLSFailure
from ...transport.tls import TLSProblem, tls_problem
from .findings import Certificate
from .target import Candidate, Target

__all__ = ["fault_of", "flaws"]

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)

_HANDSHAKE = {
    TLSProblem.NOT_TLS: "not-tls",
    TLSProblem.VERSION: "tls-too-old",
    TLSProblem.SNI: "host-unknown",
    TLSProblem.ALPN: "not-xmpp",
    TLSProblem.NAME: "certificate-name",
    TLSProblem.EXPIRED: "certificate-expired",
    TLSProblem.NOT_YET_VALID: "certificate-not-yet-valid",
    TLSProblem.SELF_SIGNED: "certificate-self-signed",
    TLSProblem.UNTRUSTED: "certificate-untrusted",
}

_CONDITIONS = {
    StreamCondition.HOST_UNKNOWN: "host-unknown",
    StreamCondition.HOST_GONE: "host-unknown",
    StreamCondition.SEE_OTHER_HOST: "see-other-host",
}


def fault_of(error: Exception, step: str | None, candidate: Candidate, target: Target) -> str:
    """Return the code for `error`, which ended `step`. A TimeoutError stands for silence."""
    if step in (None, "resolving"):
        return _resolving(error, candidate)
    if step == "connecting":
        return _connecting(error, candidate, target)
    if isinstance(error, TimeoutError):
        return "hangs"
    if isinstance(error, TLSFailure):
        return _tls(error, candidate)
    if isinstance(error, StreamError):
        return "not-xmpp" if error.by_us else _CONDITIONS.get(error.condition, "stream-error")
    if "HTTP is spoken here" in str(error):
        return "http"
    return "no-websocket" if step == "websocket" else "closed"


def _resolving(error: Exception, candidate: Candidate) -> str:
    if candidate.endpoint.is_onion:
        return "onion"
    knows = isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN
    return "name-not-found" if knows else "dns-silent"


def _connecting(error: Exception, candidate: Candidate, target: Target) -> str:
    if target.proxy is not None:
        return "proxy"
    if isinstance(error, socket.gaierror):
        return _resolving(error, candidate)
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, PermissionError):
        return "blocked"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return "unreachable"
    return "silent"


def _tls(error: TLSFailure, candidate: Candidate) -> str:
    if candidate.endpoint.scheme == "ws":
        return "insecure-websocket"
    if error.__cause__ is not None:
        return _HANDSHAKE.get(tls_problem(error), "tls-failed")
    return "tls-refused" if "refused" in str(error) else "no-tls"


def flaws(certificate: Certificate, now: str) -> list[str]:
    """Return all codes for a certificate: OpenSSL tells only the first problem that it finds."""
    found = []
    if certificate.covers is False:
        found.append("certificate-name")
    if certificate.not_after is not None and certificate.not_after < now:
        found.append("certificate-expired")
    if certificate.not_before is not None and certificate.not_before > now:
        found.append("certificate-not-yet-valid")
    if certificate.self_signed and not certificate.trusted:
        found.append("certificate-self-signed")
    return found
