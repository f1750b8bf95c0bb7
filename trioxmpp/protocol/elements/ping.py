"""XEP-0199: XMPP Ping, also used by XEP-0410: MUC Self-Ping. The watchdog uses it without stream management."""

from __future__ import annotations

from ... import xml
from .. import ns
from ..stanza import Get

__all__ = ["Ping"]


@xml.element(ns.PING, "ping")
class Ping(Get[None]):
    """Asks whether an entity is there. Any reply proves it, an error as well (§4.2)."""
