"""Whom to trust, and how to say that somebody cannot be trusted."""

from __future__ import annotations

import ssl

import trio

from ..errors import TLSFailure

__all__ = ["default_context", "explain", "usual_context"]

ALPN = "xmpp-client"
ALPN_WEBSOCKET = "http/1.1"

_HOSTNAME_MISMATCH = (62, 63, 64)  # X509_V_ERR_HOSTNAME_MISMATCH and its kin for other kinds of names
_NOT_YET_VALID, _EXPIRED = 9, 10

# OpenSSL's names for what goes wrong in a handshake, and ours. Of TLS that is spoken to something else, OpenSSL can
# only say that the first bytes make no sense as a record.
_NOT_TLS = "it does not speak TLS on this port; perhaps it wants STARTTLS (xmpp://), or the port is of something else"
_NO_VERSION = "it knows no version of TLS that is safe enough for us; it needs an update"
_NO_CIPHER = "it has no cipher in common with us"
_REASONS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "UNKNOWN_PROTOCOL": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_VERSION,
    "VERSION_TOO_LOW": _NO_VERSION,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_CIPHER,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _NO_CIPHER,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "it does not want to speak XMPP on this port (ALPN)",
    "TLSV1_UNRECOGNIZED_NAME": "it says that it does not serve this domain (SNI)",
}


def default_context(protocol: str = ALPN) -> ssl.SSLContext:
    """A context that trusts what the system trusts, and demands TLS 1.2 (RFC 7590) and a name in the certificate.

    It offers one protocol (RFC 7301): ``xmpp-client`` (XEP-0368 §3) is for XMPP over TCP only, and ``http/1.1`` for
    WebSocket. Reads the certificates of the system, which takes some time: to be called in a thread.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525 §2: only subjectAltName names a server
    context.set_alpn_protocols([protocol])
    return context


_usual: dict[str, ssl.SSLContext] = {}


async def usual_context(protocol: str = ALPN) -> ssl.SSLContext:
    """The one `default_context` that all links share which were given none: it is large, and slow to make.

    Cancelling is safe.
    """
    if protocol in _usual:
        await trio.lowlevel.checkpoint()
    else:
        _usual[protocol] = await trio.to_thread.run_sync(default_context, protocol, abandon_on_cancel=True)
    return _usual[protocol]


def explain(exc: BaseException, domain: str) -> TLSFailure:
    """The TLSFailure that tells a person what went wrong in a handshake, and what to do about it."""
    cause = exc
    while not isinstance(cause, ssl.SSLError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TLSFailure(_untrusted(cause, domain))
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return TLSFailure(f"the server for {domain} closed the connection during the TLS handshake")
    if isinstance(cause, ssl.SSLError):
        # An error that was not made by the ssl module, but by one that looks like it, has no attributes.
        name = getattr(cause, "reason", None) or ""
        return TLSFailure(f"no TLS with the server for {domain}: {_REASONS.get(name) or _in_words(name) or cause}")
    broken = f"the connection to the server for {domain} broke during the TLS handshake"
    return TLSFailure(f"{broken}: {cause}" if isinstance(cause, OSError) else broken)


def _in_words(reason: str) -> str:
    return reason.replace("_", " ").lower()


def _untrusted(error: ssl.SSLCertVerificationError, domain: str) -> str:
    code = getattr(error, "verify_code", None)
    reason = getattr(error, "verify_message", None) or str(error)
    if code in _HOSTNAME_MISMATCH:
        return (
            f"the server's certificate is not for {domain}; it must name the domain of the address, wherever the "
            f"server runs ({reason})"
        )
    if code == _EXPIRED:
        return f"the server's certificate for {domain} has expired, or this machine's clock is wrong ({reason})"
    if code == _NOT_YET_VALID:
        return f"the server's certificate for {domain} is not valid yet, or this machine's clock is wrong ({reason})"
    return (
        f"the server's certificate for {domain} is not trusted ({reason}); if the server has a certificate authority "
        "of its own, use a context that trusts it: tls=ssl.create_default_context(cafile=...)"
    )
