"""The events of an XML stream: its header, its first-level elements, and its footer (RFC 6120 §4).

An element that cannot be taken comes out as `Skipped`. So the reader of the stream can count it (XEP-0198 §4), answer
it, or fail the request that it answers, though nothing else of the element was kept.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from .. import xml
from ..errors import StreamCondition
from ..record import record
from . import ns
from .pullparser import refuse

__all__ = ["Event", "Skipped", "StreamFooter", "StreamHeader", "read_header"]

_LANG: Final = f"{{{ns.XML}}}lang"
_VERSION: Final = re.compile(r"0*1(\.[0-9]+)?")


@record
class StreamHeader:
    """The opening tag of a stream (RFC 6120 §4.7), or ``<open/>`` (RFC 7395 §3.4). An absent attribute is None.

    If there is a version, its major number is 1.
    """

    to: str | None
    from_: str | None
    id: str | None
    version: str | None
    lang: str | None


@record
class StreamFooter:
    """The closing tag of a stream (RFC 6120 §4.4), or ``<close/>`` (RFC 7395 §3.6)."""


@record
class Skipped:
    """A first-level element that was passed over.

    `tag` is ``{namespace}name``; it is empty if the name or the namespace is too long to be kept. An attribute is None
    if it is absent or too long to be kept; no address is checked.
    """

    tag: str
    type: str | None
    id: str | None
    from_: str | None
    to: str | None
    reason: str
    """Why it was not taken, in words. It names the limit that was exceeded."""
    octets: int
    """Its length."""

    @property
    def is_stanza(self) -> bool:
        """Whether it was a message, a presence or an IQ, which stream management counts."""
        return self.tag in ns.STANZA_TAGS


Event: TypeAlias = StreamHeader | xml.Element | Skipped | StreamFooter


def read_header(element: xml.Element) -> StreamHeader:
    """Read the attributes of a stream header. Raises StreamError for a version of XMPP that is not 1 (§4.7.5)."""
    version = element.get("version")
    if version is not None and not _VERSION.fullmatch(version):
        raise refuse(StreamCondition.UNSUPPORTED_VERSION, f"version {version!r:.40}")
    return StreamHeader(
        to=element.get("to"),
        from_=element.get("from"),
        id=element.get("id"),
        version=version,
        lang=element.get(_LANG),
    )
