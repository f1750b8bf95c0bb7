"""XEP-0359: Unique and Stable Stanza IDs."""

from __future__ import annotations

from ... import xml
from ...jid import JID
from .. import ns

__all__ = ["OriginId", "StanzaId"]


@xml.element(ns.SID, "origin-id")
class OriginId:
    """The id that the sender gave the message. A service that changes the attribute keeps this one (§3.2)."""

    id: str = xml.attr()


@xml.element(ns.SID, "stanza-id")
class StanzaId:
    """The id that the archive `by` gave the message. To be believed only if `by` announces the feature (§5)."""

    id: str = xml.attr()
    by: JID = xml.attr()
