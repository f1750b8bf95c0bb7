"""XEP-0319: Last User Interaction in Presence."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ... import xml

__all__ = ["Idle"]

NS: Final = "urn:xmpp:idle:1"


@xml.element(NS, "idle")
class Idle:
    """The time of the last interaction of a person with the client (§3)."""

    since: datetime = xml.attr()
