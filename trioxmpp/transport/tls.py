"""TLS contexts, and what a failed TLS handshake means.

The trust is decided by an `ssl.SSLContext`: the application's, or `shared_context`. A context of the application is
used as it is, never changed: other code may use it, too.

OpenSSL tells in two ways why a handshake failed: by the code that X.509 verification ended with, or by the name of a
reason. `tls_problem` reduces both to a `TLSProblem`, from which `tls_failure` makes a sentence for an exception, and
others their own advice.
"""

from __future__ import annotations

import enum
import ssl

import trio

from ..errors import TLSFailure
from ..text import printable
from .endpoint import is_address

__all__ = ["TLSProblem", "check_names", "default_context", "shared_context", "tls_failure", "tls_problem", "untrusted"]

ALPN = "xmpp-client"
ALPN_WEBSOCKET = "http/1.1"

#: The code of X.509 for a certificate that does not name the host.
HOSTNAME_MISMATCH = 62


class TLSProblem(enum.Enum):
    """Why a handshake failed, as far as it is known."""

    NOT_TLS = "not TLS"
    VERSION = "version"
    CIPHER = "cipher"
    ALPN = "ALPN"
    SNI = "SNI"
    NAME = "name"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    SELF_SIGNED = "self-signed"
    UNTRUSTED = "untrusted"
    CLOSED = "closed"
    OTHER = "other"
    """OpenSSL knows better; its own words have to do."""
    BROKEN = "broken"
    """It was not TLS that failed, but the link below it."""


#: By the code of X.509, ``X509_V_ERR_…``: those that are not a plain lack of trust.
_CODES = {
    9: TLSProblem.NOT_YET_VALID,
    10: TLSProblem.EXPIRED,
    18: TLSProblem.SELF_SIGNED,
    HOSTNAME_MISMATCH: TLSProblem.NAME,
    63: TLSProblem.NAME,  # an address of email
    64: TLSProblem.NAME,  # an IP address
}

#: By OpenSSL's name of the reason. If the peer does not speak TLS, its first bytes make no sense as a TLS record.
_REASONS = {
    "WRONG_VERSION_NUMBER": TLSProblem.NOT_TLS,
    "RECORD_LAYER_FAILURE": TLSProblem.NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": TLSProblem.NOT_TLS,
    "UNKNOWN_PROTOCOL": TLSProblem.NOT_TLS,
    "UNSUPPORTED_PROTOCOL": TLSProblem.VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": TLSProblem.VERSION,
    "VERSION_TOO_LOW": TLSProblem.VERSION,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": TLSProblem.CIPHER,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": TLSProblem.CIPHER,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": TLSProblem.ALPN,
    "TLSV1_UNRECOGNIZED_NAME": TLSProblem.SNI,
}

_NO_TLS = "no TLS with the server for {domain}: "
_UNTRUSTED = (
    "the server's certificate for {domain} is not trusted ({reason}); if the server has a certificate authority of its "
    "own, use a context that trusts it: tls=ssl.create_default_context(cafile=...)"
)

_SENTENCES = {
    TLSProblem.NOT_TLS: f"{_NO_TLS}it does not speak TLS on this port; perhaps it wants STARTTLS (xmpp://), or the "
    "port belongs to another service",
    TLSProblem.VERSION: f"{_NO_TLS}it knows no version of TLS that is safe enough for us; it needs an update",
    TLSProblem.CIPHER: f"{_NO_TLS}it has no cipher in common with us",
    TLSProblem.ALPN: f"{_NO_TLS}it does not want to speak XMPP on this port (ALPN)",
    TLSProblem.SNI: f"{_NO_TLS}it says that it does not serve this domain (SNI)",
    TLSProblem.NAME: "the server's certificate is not for {domain}; it must name the domain of the address, wherever "
    "the server runs ({reason})",
    TLSProblem.EXPIRED: "the server's certificate for {domain} has expired, or this machine's clock is wrong "
    "({reason})",
    TLSProblem.NOT_YET_VALID: "the server's certificate for {domain} is not valid yet, or this machine's clock is "
    "wrong ({reason})",
    TLSProblem.SELF_SIGNED: _UNTRUSTED,
    TLSProblem.UNTRUSTED: _UNTRUSTED,
    TLSProblem.CLOSED: "the server for {domain} closed the connection during the TLS handshake",
    TLSProblem.OTHER: f"{_NO_TLS}{{reason}}",
}


def default_context(protocol: str = ALPN) -> ssl.SSLContext:
    """Return a context that trusts what the system trusts, and demands TLS 1.2 (RFC 7590) and a certified name.

    It offers one protocol (RFC 7301): ``xmpp-client`` is for XMPP over TCP (XEP-0368 §3), ``http/1.1`` for WebSocket.
    It reads the certificates of the system, which takes some time: call it in a thread.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525 §2: only subjectAltName names a server
    context.set_alpn_protocols([protocol])
    return context


_usual: dict[str, ssl.SSLContext] = {}


async def shared_context(protocol: str = ALPN) -> ssl.SSLContext:
    """Return the `default_context` that all links share which were given none: it is large, and slow to make.

    Cancelling is safe.
    """
    if protocol in _usual:
        await trio.lowlevel.checkpoint()
    else:
        _usual[protocol] = await trio.to_thread.run_sync(default_context, protocol, abandon_on_cancel=True)
    return _usual[protocol]


def check_names(stream: trio.SSLStream[trio.abc.Stream], context: object, host: str) -> None:
    """Refuse a certificate that names `host` nowhere but in its common name (RFC 9525 §2).

    The default context refuses it during the handshake. A context of the application may accept it. OpenSSL looks at
    the common name only if there is no DNS name in subjectAltName. Raises `ssl.SSLCertVerificationError`, as the
    handshake would.
    """
    if not isinstance(context, ssl.SSLContext) or not context.check_hostname or is_address(host):
        return
    names = (stream.getpeercert() or {}).get("subjectAltName", ())
    if not any(kind == "DNS" for kind, _ in names):
        raise untrusted(HOSTNAME_MISMATCH, "it has a common name only, and no DNS name in subjectAltName")


def untrusted(code: int, message: str) -> ssl.SSLCertVerificationError:
    """Return the error that the ssl module raises for a certificate; `code` is that of X.509."""
    error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, message)
    error.verify_code = code
    error.verify_message = message
    return error


def tls_problem(exc: BaseException) -> TLSProblem:
    """Return what made a handshake fail, by the exception that it raised or that is the cause of this one."""
    cause = _ssl_error(exc)
    if cause is None:
        return TLSProblem.BROKEN
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _CODES.get(getattr(cause, "verify_code", None) or 0, TLSProblem.UNTRUSTED)
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return TLSProblem.CLOSED
    return _REASONS.get(_reason(cause), TLSProblem.OTHER)


def tls_failure(exc: BaseException, domain: str) -> TLSFailure:
    """Return the TLSFailure that tells a person what went wrong in a handshake, and what to do about it."""
    problem, cause = tls_problem(exc), _ssl_error(exc)
    if cause is None:
        while exc.__cause__ is not None:
            exc = exc.__cause__
        broken = f"the connection to the server for {domain} broke during the TLS handshake"
        return TLSFailure(f"{broken}: {exc}" if isinstance(exc, OSError) else broken)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = getattr(cause, "verify_message", None) or str(cause)
    else:
        reason = _reason(cause).replace("_", " ").lower() or str(cause)
    return TLSFailure(_SENTENCES[problem].format(domain=domain, reason=printable(reason)))


def _ssl_error(exc: BaseException | None) -> ssl.SSLError | None:
    while exc is not None and not isinstance(exc, ssl.SSLError):
        exc = exc.__cause__
    return exc


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's name of the reason. An error that was made by other code than the ssl module may have none."""
    return getattr(error, "reason", None) or ""
