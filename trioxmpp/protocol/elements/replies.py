"""XEP-0461: Message Replies."""

from __future__ import annotations

from typing import Final

from ... import xml
from ...jid import JID

__all__ = ["Reply"]

NS: Final = "urn:xmpp:reply:0"


@xml.element(NS, "reply")
class Reply:
    """The message replies to the one with this id, of the author `to` (§3)."""

    to: JID | None = xml.attr(default=None)
    id: str = xml.attr()
