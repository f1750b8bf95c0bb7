"""XEP-0060: Publish-Subscribe: what a service reports to subscribers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ... import xml
from ...jid import JID
from .forms import DataForm
from .pubsub import SubscriptionState

__all__ = ["NS", "Configuration", "Delete", "Event", "Item", "Items", "Purge", "Retract", "Subscription"]

NS: Final = "http://jabber.org/protocol/pubsub#event"


@xml.element(NS, "item")
class Item:
    """An item that was published. Without a payload it is a notification only (§7.1.2.2)."""

    id: str | None = xml.attr(default=None)
    node: str | None = xml.attr(default=None)
    publisher: JID | None = xml.attr(default=None, codec=xml.lenient(JID))
    payload: xml.Payload | None = xml.any_child(default=None)


@xml.element(NS, "retract")
class Retract:
    """An item that was deleted (§7.2.2.1)."""

    id: str = xml.attr()


@xml.element(NS, "items")
class Items:
    """Items of a node that were published, and ids of those that were deleted (§7.1.2, §7.2.2)."""

    node: str = xml.attr()
    items: tuple[Item, ...] = xml.children(lenient=True)
    retracts: tuple[Retract, ...] = xml.children(lenient=True)


@xml.element(NS, "configuration")
class Configuration:
    """The configuration of a node changed (§8.2.5.2)."""

    node: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "delete")
class Delete:
    """A node was deleted; `redirect` is the URI of the one to use instead (§8.4.2)."""

    node: str = xml.attr()
    redirect: str | None = xml.attr("uri", inside="redirect", default=None)


@xml.element(NS, "purge")
class Purge:
    """All items of a node were deleted (§8.5.2)."""

    node: str = xml.attr()


@xml.element(NS, "subscription")
class Subscription:
    """The state of a subscription changed (§12.3)."""

    node: str | None = xml.attr(default=None)
    jid: JID = xml.attr()
    subid: str | None = xml.attr(default=None)
    subscription: SubscriptionState | str | None = xml.attr(default=None)
    expiry: datetime | None = xml.attr(default=None, codec=xml.lenient(datetime))


@xml.element(NS, "event")
class Event:
    """An event. Only the service, or for PEP the bare JID of the account, may send it."""

    items: Items | None = xml.child(default=None)
    configuration: Configuration | None = xml.child(default=None)
    delete: Delete | None = xml.child(default=None)
    purge: Purge | None = xml.child(default=None)
    subscription: Subscription | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()
