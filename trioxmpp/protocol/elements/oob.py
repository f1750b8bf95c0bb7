"""XEP-0066: Out of Band Data."""

from __future__ import annotations

from ... import xml
from ..stanza import Set

__all__ = ["OutOfBand", "OutOfBandQuery"]


@xml.structure
class _Link:
    url: str = xml.child_text()
    desc: str | None = xml.child_text(default=None)


@xml.element("jabber:x:oob", "x")
class OutOfBand(_Link):
    """A link in a message (§3)."""


@xml.element("jabber:iq:oob", "query")
class OutOfBandQuery(_Link, Set[None]):
    """Asks the recipient to fetch a file (§2)."""
