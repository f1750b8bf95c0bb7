"""XEP-0425: Moderated Message Retraction."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Set
from .retraction import Retract

__all__ = ["Moderate"]

NS: Final = "urn:xmpp:message-moderate:1"


@xml.element(NS, "moderate")
class Moderate(Set[None]):
    """Asks a room to retract the message to which it gave this id (§4). A `retract` is ``Retract()``."""

    id: str = xml.attr()
    retract: Retract | None = xml.child(default=None)
    reason: str | None = xml.child_text(default=None)
