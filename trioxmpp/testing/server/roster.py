"""A roster: the contacts of one account, and how a subscription changes state (RFC 6121 §2, §3, appendix A).

A subscription has two directions. ``to``: the account sees the contact's presence. ``from``: the contact sees the
account's. ``both`` and ``none`` are what they say. Beside that there are requests that wait: ours for their answer
(``ask``), and theirs for ours (`Item.pending_in`), which no roster shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ... import xml
from .stanzas import build

__all__ = ["ROSTER", "Item", "Roster", "Subscription"]

ROSTER = "jabber:iq:roster"


@dataclass(slots=True)
class Subscription:
    """Both directions of a subscription."""

    to: bool = False
    from_: bool = False

    def __str__(self) -> str:
        return {(0, 0): "none", (1, 0): "to", (0, 1): "from", (1, 1): "both"}[self.to, self.from_]


@dataclass(slots=True)
class Item:
    """One contact."""

    jid: str
    name: str | None = None
    groups: tuple[str, ...] = ()
    subscription: Subscription = field(default_factory=Subscription)
    ask: bool = False
    """Whether our request for a subscription waits for its answer."""
    approved: bool = False
    """Whether a request of the contact will be approved at once (RFC 6121 §3.4)."""
    pending_in: xml.Element | None = None
    """The request of the contact that waits for our answer."""
    listed: bool = False
    """Whether the roster shows the item. A request alone does not make it do so."""

    def element(self) -> xml.Element:
        """Return the ``<item/>``."""
        ns = ROSTER
        return build(
            ns, "item", *(build(ns, "group", text=group) for group in self.groups),
            jid=self.jid, subscription=str(self.subscription), ask="subscribe" if self.ask else None,
            name=self.name, approved="true" if self.approved else None,
        )  # fmt: skip


class Roster:
    """The items of one account by bare JID, and the version that they have together."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._changes = 0

    def __iter__(self) -> Iterator[Item]:
        return iter([item for item in self._items.values() if item.listed])

    def get(self, jid: str) -> Item | None:
        """Return the item of a contact, listed or not, or None."""
        return self._items.get(jid)

    def item(self, jid: str) -> Item:
        """Return the item of a contact; it is created, unlisted, if there is none."""
        return self._items.setdefault(jid, Item(jid))

    def discard(self, jid: str) -> None:
        """Forget a contact."""
        self._items.pop(jid, None)

    def changed(self) -> None:
        """Note that the roster has changed, so that it gets another version."""
        self._changes += 1

    def add(self, jid: str, name: str | None = None) -> None:
        """Have a mutual subscription with a contact."""
        item = self.item(jid)
        item.subscription, item.listed, item.name = Subscription(True, True), True, name
        self.changed()

    def version(self, kind: str) -> str:
        """Return the version: the number of changes, or a hash of it and of the items."""
        if kind == "count":
            return str(self._changes)
        return hashlib.sha1(f"{self._changes} {[*self]}".encode()).hexdigest()

    def watchers(self) -> list[str]:
        """Return the bare JIDs that see the account's presence."""
        return [item.jid for item in self._items.values() if item.subscription.from_]

    def watched(self) -> list[str]:
        """Return the bare JIDs whose presence the account sees."""
        return [item.jid for item in self._items.values() if item.subscription.to]

    def requests(self) -> list[xml.Element]:
        """Return the requests of contacts that wait for an answer of the account."""
        return [item.pending_in for item in self._items.values() if item.pending_in is not None]
