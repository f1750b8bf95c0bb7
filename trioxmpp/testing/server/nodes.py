"""Nodes: what a publish-subscribe service or an account publishes (XEP-0060 §4, XEP-0163).

A node is a list of items with ids, and a configuration. A personal node (PEP) belongs to an account and is created by
its first publication; its subscribers are the contacts that see the owner's presence and whose clients ask for it by
``+notify``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ... import xml

__all__ = ["EVENT", "PUBSUB", "PUBSUB_ERRORS", "PUBSUB_OWNER", "Node", "option"]

PUBSUB = "http://jabber.org/protocol/pubsub"
EVENT = f"{PUBSUB}#event"
PUBSUB_OWNER = f"{PUBSUB}#owner"
PUBSUB_ERRORS = f"{PUBSUB}#errors"

#: The meaning of ``max_items=max`` (XEP-0060 §16.4.4).
MAX_ITEMS = 256

DEFAULTS = {
    "title": "",
    "access_model": "presence",
    "publish_model": "publishers",
    "persist_items": "1",
    "max_items": "1",
    "send_last_published_item": "on_sub_and_presence",
    "deliver_payloads": "1",
    "notify_retract": "1",
    "notify_delete": "1",
    "notify_config": "0",
}


@dataclass(slots=True)
class Node:
    """One node."""

    name: str
    owner: str
    """The bare JID of its owner."""
    config: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    items: dict[str, xml.Element] = field(default_factory=dict)
    """The ``<item/>`` elements by id, the newest at the end."""
    subscribers: dict[str, str] = field(default_factory=dict)
    """Explicit subscriptions: the JID that gets events, and "subscribed" or "pending"."""
    members: dict[str, str] = field(default_factory=dict)
    """Affiliations by bare JID, apart from that of the owner."""

    def is_set(self, name: str) -> bool:
        """Return whether a boolean setting is true."""
        return self.config.get(name) in ("1", "true")

    def put(self, id: str, item: xml.Element) -> None:
        """Store an item as the newest, and drop the oldest ones beyond the limit."""
        self.items.pop(id, None)
        self.items[id] = item
        text = self.config["max_items"]
        limit = int(text) if text.isdigit() else MAX_ITEMS
        while len(self.items) > (limit if self.is_set("persist_items") else 0):
            del self.items[next(iter(self.items))]


def option(value: str) -> str:
    """Return a setting in the form in which settings are compared."""
    return {"true": "1", "false": "0"}.get(value, value)
