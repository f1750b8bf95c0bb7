"""XEP-0280: Message Carbons."""

from __future__ import annotations

from ... import xml
from .. import ns
from ..stanza import Set
from .forward import Forwarded

__all__ = ["Disable", "Enable", "Private", "Received", "Sent"]


@xml.element(ns.CARBONS, "enable")
class Enable(Set[None]):
    """Asks the server for copies of the messages that other resources of the account send and receive (§4)."""


@xml.element(ns.CARBONS, "disable")
class Disable(Set[None]):
    """Asks the server for no more copies (§5)."""


@xml.element(ns.CARBONS, "received")
class Received:
    """A copy of a message that another resource received (§7). Only our own bare JID may send it (§11)."""

    forwarded: Forwarded = xml.child()


@xml.element(ns.CARBONS, "sent")
class Sent:
    """A copy of a message that another resource sent (§8). Only our own bare JID may send it (§11)."""

    forwarded: Forwarded = xml.child()


@xml.element(ns.CARBONS, "private")
class Private:
    """Asks servers not to copy this message (§9)."""
