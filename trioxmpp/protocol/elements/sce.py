"""XEP-0420: Stanza Content Encryption."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ... import xml
from ...jid import JID

__all__ = ["NS", "Content", "Envelope"]

NS: Final = "urn:xmpp:sce:1"


@xml.element(NS, "content")
class Content:
    """The children of a stanza that only its recipient may read."""

    elements: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "envelope")
class Envelope:
    """Content with its affixes (§4). It stands in no stanza; an encryption carries it as text.

    `from_` and `to` are bare JIDs, `stamp` is when the sender encrypted it, and `rpad` hides the length of the content.
    """

    content: Content = xml.child()
    rpad: str | None = xml.child_text(default=None)
    stamp: datetime | None = xml.attr(inside="time", default=None, codec=xml.lenient(datetime))
    to: JID | None = xml.attr("jid", inside="to", default=None)
    from_: JID | None = xml.attr("jid", inside="from", default=None)
