"""XEP-0202: Entity Time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from ... import xml
from ..stanza import Get

__all__ = ["Time", "TimeQuery"]

NS: Final = "urn:xmpp:time"


@xml.element(NS, "time")
class Time:
    """The time at an entity: `utc`, and the offset of its own time zone (§3)."""

    tzo: timezone | None = xml.child_text(default=None, codec=xml.lenient(timezone))
    utc: datetime | None = xml.child_text(default=None, codec=xml.lenient(datetime))


@xml.element(NS, "time")
class TimeQuery(Get[Time]):
    """Asks an entity for its time."""
