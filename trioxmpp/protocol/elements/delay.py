"""XEP-0203: Delayed Delivery."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ... import xml
from ...jid import JID
from .. import ns

__all__ = ["Delay"]


_STRIPPED: Final = xml.Codec(str.strip, str)


@xml.element(ns.DELAY, "delay")
class Delay:
    """The time at which a delayed stanza was sent, and the entity that delayed it.

    Any sender can write this element; only what `from_` adds itself is to be believed (§5).
    """

    stamp: datetime = xml.attr()
    from_: JID | None = xml.attr(default=None)
    reason: str | None = xml.text(default=None, codec=_STRIPPED)
