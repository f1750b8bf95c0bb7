"""Components (XEP-0114): programs that speak for a whole domain beside the server's.

A component opens a stream to the server, and proves by a hash that it knows the secret of its domain. From then on it
gets all stanzas for that domain, and sends stanzas from any address of it. There is no stream management.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition, StreamCondition, StreamError
from ...jid import JID
from ...protocol.framing import StreamFooter, StreamHeader, header
from .link import Link
from .post import Post
from .stanzas import NAMES, text_of

__all__ = ["Components"]


class Components:
    """The domains of components, and the links of those that are connected."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._dialect = post.dialect
        self._secrets: dict[str, str] = {}
        self.links: dict[str, list[Link]] = {}
        """The links of connected components by domain, the newest at the end."""

    def add(self, domain: str, secret: str) -> None:
        """Let a component with this secret speak for a domain."""
        self._secrets[domain] = secret
        self.links.setdefault(domain, [])
        self._post.hosts[domain] = self._deliver
        self._post.services.features.domain.items.append((domain, None))

    def _deliver(self, stanza: xml.Element) -> None:
        """Give a stanza to the component of its domain, or refuse it if none is connected."""
        domain = JID.parse(stanza.get("to", "")).domain
        if links := self.links[domain]:
            links[-1 if self._dialect.newest_component else 0].write(text_of(stanza))
        elif self._dialect.errors_have_by:
            self._post.refuse(stanza, StanzaCondition.REMOTE_SERVER_TIMEOUT, ErrorType.WAIT)
        else:
            self._post.refuse(stanza, StanzaCondition.REMOTE_SERVER_NOT_FOUND)

    async def converse(self, link: Link) -> None:
        """Serve one component. Raises StreamError for an error of the component; the `Link` sends it."""
        stream = link.start_component()
        domain, id = await self._open(link)
        given = await stream.read_handshake()
        if given is None:
            raise _refuse(StreamCondition.NOT_AUTHORIZED, "expected a handshake")
        secret = self._secrets.get(domain)
        proof = hashlib.sha1(f"{id}{secret}".encode()).hexdigest()
        if secret is None or not hmac.compare_digest(proof.encode(), given.encode()):
            raise _refuse(StreamCondition.NOT_AUTHORIZED, "the handshake is wrong")
        if self.links[domain] and not self._dialect.several_components:
            raise _refuse(StreamCondition.CONFLICT, "Component already connected")
        link.write("<handshake/>")
        self.links[domain].append(link)
        try:
            await self._serve(link, domain)
        finally:
            self.links[domain].remove(link)
        link.end()

    async def _open(self, link: Link) -> tuple[str, str]:
        """Exchange headers; return the domain and the id of the stream."""
        event = await link.receive()
        domain = event.to or "" if isinstance(event, StreamHeader) else ""
        id = secrets.token_hex(8)
        link.write(header(to=None, from_=domain or self._post.domain, id=id))
        if domain not in self._secrets and self._dialect.errors_have_by:
            raise _refuse(StreamCondition.HOST_UNKNOWN, "there is no component for this domain")
        return domain, id

    async def _serve(self, link: Link, domain: str) -> None:
        while not isinstance(event := await link.receive(), StreamFooter):
            if not isinstance(event, xml.Element) or str(event.tag) not in NAMES:
                raise _refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, "expected a stanza")
            try:
                sender = JID.parse(event.get("from", ""))
            except JIDError:
                raise _refuse(StreamCondition.INVALID_FROM, "from is not a JID") from None
            if sender.domain != domain:
                raise _refuse(StreamCondition.INVALID_FROM, "from is of another domain")
            self._post.send(event)


def _refuse(condition: StreamCondition, text: str) -> StreamError:
    return StreamError(condition, text, by_us=True)
