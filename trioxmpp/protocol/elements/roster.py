"""RFC 6121 §2: the roster, and its two stream features."""

from __future__ import annotations

import enum
from typing import Final

from ... import xml
from ...jid import JID
from ..stanza import Get, Set

__all__ = ["PRE_APPROVAL", "VERSIONING", "Item", "Roster", "RosterQuery", "RosterSet", "Subscription"]

NS: Final = "jabber:iq:roster"
#: The tag of the stream feature for roster versions (§2.6.1).
VERSIONING: Final = "{urn:xmpp:features:rosterver}ver"
#: The tag of the stream feature for approvals before a request (§3.4).
PRE_APPROVAL: Final = "{urn:xmpp:features:pre-approval}sub"


class Subscription(enum.StrEnum):
    """The states of a subscription (§2.1.2.5), and the value that removes an item."""

    NONE = "none"
    TO = "to"
    FROM = "from"
    BOTH = "both"
    REMOVE = "remove"


@xml.element(NS, "item")
class Item:
    """A contact (§2.1.2). `ask` is "subscribe" while a subscription request of ours is pending."""

    jid: JID = xml.attr()
    name: str | None = xml.attr(default=None)
    subscription: Subscription | str | None = xml.attr(default=None)
    ask: str | None = xml.attr(default=None)
    approved: bool | None = xml.attr(default=None, codec=xml.lenient(bool))
    groups: tuple[str, ...] = xml.child_texts("group")


@xml.element(NS, "query")
class Roster:
    """The contacts of the account and the version of the list (§2.1.4)."""

    ver: str | None = xml.attr(default=None)
    items: tuple[Item, ...] = xml.children(lenient=True)


@xml.element(NS, "query")
class RosterQuery(Get[Roster | None]):
    """Asks for the roster. An empty answer means that version `ver`, which the client has, is current (§2.6.3)."""

    ver: str | None = xml.attr(default=None)


@xml.element(NS, "query")
class RosterSet(Set[None]):
    """Adds, changes or removes one contact (§2.3 to §2.5), or is the push that reports this (§2.1.6).

    A malformed item is not passed over: it would hide that the set has more than one.
    """

    ver: str | None = xml.attr(default=None)
    items: tuple[Item, ...] = xml.children()
