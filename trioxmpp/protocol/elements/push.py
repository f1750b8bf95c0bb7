"""XEP-0357: Push Notifications."""

from __future__ import annotations

from typing import Final

from ... import xml
from ...jid import JID
from ..stanza import Set
from .forms import DataForm

__all__ = ["Disable", "Enable", "Notification"]

NS: Final = "urn:xmpp:push:0"


@xml.element(NS, "enable")
class Enable(Set[None]):
    """Asks the server to notify the app server `jid` at this node; the form may hold a secret (§5)."""

    jid: JID = xml.attr()
    node: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "disable")
class Disable(Set[None]):
    """Asks the server for no more notifications to the app server, or to one node of it (§6)."""

    jid: JID = xml.attr()
    node: str | None = xml.attr(default=None)


@xml.element(NS, "notification")
class Notification:
    """The item that the server publishes, with an optional summary (§7)."""

    form: DataForm | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()
