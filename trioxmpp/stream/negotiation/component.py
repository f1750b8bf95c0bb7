"""The handshake of a component (XEP-0114 §3): a header, a hash that shows that we know the secret, and its answer."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from ...errors import AuthenticationFailure, StreamCondition, StreamError, StreamNegotiationFailure
from ...protocol import ns
from ..xmlstream import XmlStream

__all__ = ["handshake"]

_HANDSHAKE = f"{{{ns.CLIENT}}}handshake"


async def handshake(xmlstream: XmlStream, secret: str) -> None:
    """Open the stream as the component of its domain, and prove that we know the `secret`.

    Raises AuthenticationFailure if the server does not take it, and ConnectionError: in particular the StreamError
    *conflict* if another link speaks for this domain, and *host-unknown* if the server does not know it. Cancelling
    leaves a stream that is useless but for `XmlStream.aclose`.
    """
    header = await xmlstream.open_without_features()
    if not header.id:
        await xmlstream.receive_element()  # most likely a stream error, as Prosody's for a domain that it does not know
        raise StreamNegotiationFailure("the server gives its stream no id, without which there is no handshake")
    proof = hashlib.sha1(f"{header.id}{secret}".encode(), usedforsecurity=False).hexdigest()
    try:
        with suppress(ConnectionError):  # a server that has closed the link may have said before why
            await xmlstream.send(f"<handshake>{proof}</handshake>".encode())
        answer = await xmlstream.receive_element()
    except StreamError as exc:
        if exc.condition is not StreamCondition.NOT_AUTHORIZED or exc.by_us:
            raise
        text = f"the server does not take {xmlstream.domain} with this secret for one of its components"
        raise AuthenticationFailure(text, "not-authorized") from exc
    if answer.tag != _HANDSHAKE:
        raise StreamError(StreamCondition.UNSUPPORTED_STANZA_TYPE, "the answer to the handshake was due", by_us=True)
