"""XEP-0424: Message Retraction, with the mark of XEP-0425: Moderated Message Retraction."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ... import xml
from ...jid import JID
from .occupant_id import OccupantId

__all__ = ["Moderated", "Retract", "Retracted"]

NS: Final = "urn:xmpp:message-retract:1"
MODERATION: Final = "urn:xmpp:message-moderate:1"


@xml.element(MODERATION, "moderated")
class Moderated:
    """A moderator of the room, not the author, retracted the message (XEP-0425 §5). Only the room may say so."""

    by: JID | None = xml.attr(default=None)
    occupant_id: OccupantId | None = xml.child(default=None)


@xml.structure
class _Retraction:
    id: str | None = xml.attr(default=None)
    moderated: Moderated | None = xml.child(default=None)
    reason: str | None = xml.child_text(default=None)
    moderation_reason: str | None = xml.child_text("reason", ns=MODERATION, default=None)
    """The reason in the namespace of moderation: ejabberd writes it there, beside the mark (as XEP-0425 does not)."""

    @property
    def stated_reason(self) -> str | None:
        """The reason in whichever of the two namespaces it is written."""
        return self.moderation_reason if self.reason is None else self.reason


@xml.element(NS, "retract")
class Retract(_Retraction):
    """Retracts the message with this id (§4)."""


@xml.element(NS, "retracted")
class Retracted(_Retraction):
    """A tombstone: the archive has this in place of a message that was retracted at `stamp` (§5)."""

    stamp: datetime | None = xml.attr(default=None, codec=xml.lenient(datetime))
