"""XEP-0421: Occupant identifiers for semi-anonymous MUCs."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["OccupantId"]

NS: Final = "urn:xmpp:occupant-id:0"


@xml.element(NS, "occupant-id")
class OccupantId:
    """The stable id of an occupant. To be believed only if the room announces the feature (§5)."""

    id: str = xml.attr()
