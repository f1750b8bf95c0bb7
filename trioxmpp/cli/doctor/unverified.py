"""A second handshake, which trusts any certificate, to read the one that the first handshake refused.

Nothing is sent on such a link: no address, and no password. It is closed as soon as TLS is established.
"""

from __future__ import annotations

import ssl

import trio

from ...protocol import starttls
from ...stream.xmlstream import XmlStream
from ...transport.endpoint import to_ascii
from ...transport.tcp import StreamTransport, open_link
from ...transport.tls import ALPN, ALPN_WEBSOCKET
from .certificate import read_certificate
from .findings import TLS, Certificate
from .target import Candidate, Target

__all__ = ["look_unverified"]


async def look_unverified(target: Target, candidate: Candidate) -> tuple[TLS, Certificate] | None:
    """Return the version of TLS and the certificate; None if they cannot be read. Cancelling leaves nothing open."""
    link = await _open(target, candidate)
    if link is None:
        return None
    name = candidate.named(target.domain)
    tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
        link, _context(ALPN_WEBSOCKET if candidate.is_websocket else ALPN), server_hostname=to_ascii(name)
    )
    try:
        await tls.do_handshake()
        certificate = tls.getpeercert(binary_form=True)
        seen = TLS(tls.version())
    except (trio.BrokenResourceError, ssl.SSLError, ValueError):
        return None
    finally:
        await trio.aclose_forcefully(link)
    return None if certificate is None else (seen, read_certificate(certificate, None, name, trusted=False))


async def _open(target: Target, candidate: Candidate) -> trio.abc.Stream | None:
    """Return a link on which a handshake may begin, or None."""
    try:
        link = await open_link(candidate.endpoint, candidate.address, target.proxy)
    except OSError:
        return None
    if candidate.endpoint.scheme != "xmpp":
        return link
    try:
        xmlstream = XmlStream(StreamTransport(link), target.domain)
        features = await xmlstream.open()
        if features.starttls:
            await xmlstream.send(starttls.REQUEST.encode())
            if (await xmlstream.receive_element()).tag == starttls.PROCEED and not xmlstream.unread():
                return link
    except OSError:
        pass
    except BaseException:
        await trio.aclose_forcefully(link)
        raise
    await trio.aclose_forcefully(link)
    return None


def _context(protocol: str) -> ssl.SSLContext:
    """Return a context that refuses nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols([protocol])
    return context
