"""XEP-0377: Spam Reporting."""

from __future__ import annotations

from typing import Final

from ... import xml
from .stanza_ids import StanzaId

__all__ = ["ABUSE", "SPAM", "Report"]

NS: Final = "urn:xmpp:reporting:1"
#: The two reasons that the specification defines (§3).
ABUSE: Final = "urn:xmpp:reporting:abuse"
SPAM: Final = "urn:xmpp:reporting:spam"


@xml.element(NS, "report")
class Report:
    """A report of an address that is blocked (§3): the reason, ids of the messages, and a text for people."""

    reason: str = xml.attr()
    stanza_ids: tuple[StanzaId, ...] = xml.children(lenient=True)
    text: str | None = xml.child_text(default=None)
