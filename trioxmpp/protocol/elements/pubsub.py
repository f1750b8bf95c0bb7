"""XEP-0060: Publish-Subscribe: what entities ask of a service. XEP-0163 uses the same for PEP.

The payload of an item is open: ``item.payload.get(Nick)`` reads it as a class that the caller knows.
"""

from __future__ import annotations

import enum
from typing import Final

from ... import xml
from ...jid import JID
from ..stanza import Get, Set
from .forms import DataForm
from .rsm import Page

__all__ = [
    "NS",
    "Affiliation",
    "Affiliations",
    "Configure",
    "Create",
    "Default",
    "Item",
    "Items",
    "NodeAffiliation",
    "Options",
    "PubSub",
    "PubSubGet",
    "PubSubSet",
    "Publish",
    "PublishOptions",
    "Retract",
    "Subscribe",
    "Subscription",
    "SubscriptionState",
    "Subscriptions",
    "Unsubscribe",
]

NS: Final = "http://jabber.org/protocol/pubsub"


class Affiliation(enum.StrEnum):
    """The association of an account with a node (§4.1)."""

    OWNER = "owner"
    PUBLISHER = "publisher"
    PUBLISH_ONLY = "publish-only"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


class SubscriptionState(enum.StrEnum):
    """The states of a subscription (§4.2)."""

    NONE = "none"
    PENDING = "pending"
    UNCONFIGURED = "unconfigured"
    SUBSCRIBED = "subscribed"


@xml.element(NS, "item")
class Item:
    """A published item. `publisher` is the account that published it, if the service adds that (§7.1.2.3)."""

    id: str | None = xml.attr(default=None)
    publisher: JID | None = xml.attr(default=None, codec=xml.lenient(JID))
    payload: xml.Payload | None = xml.any_child(default=None)


@xml.element(NS, "items")
class Items:
    """Asks for items of a node, or holds them (§6.5)."""

    node: str = xml.attr()
    max_items: int | None = xml.attr("max_items", default=None, codec=xml.lenient(int))
    subid: str | None = xml.attr(default=None)
    items: tuple[Item, ...] = xml.children(lenient=True)


@xml.element(NS, "publish")
class Publish:
    """Publishes items at a node (§7.1); the answer names their ids."""

    node: str = xml.attr()
    items: tuple[Item, ...] = xml.children(lenient=True)


@xml.element(NS, "publish-options")
class PublishOptions:
    """Conditions that the node must meet, or is created with (§7.1.5)."""

    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "retract")
class Retract:
    """Deletes items (§7.2)."""

    node: str = xml.attr()
    notify: bool | None = xml.attr(default=None, codec=xml.lenient(bool))
    items: tuple[Item, ...] = xml.children(lenient=True)


@xml.element(NS, "create")
class Create:
    """Creates a node, of a name that the service chooses if there is none (§8.1)."""

    node: str | None = xml.attr(default=None)


@xml.element(NS, "configure")
class Configure:
    """The configuration to create a node with (§8.1.3)."""

    node: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "default")
class Default:
    """Asks for the default options of subscriptions, or holds them (§6.4)."""

    node: str | None = xml.attr(default=None)
    type: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "subscribe")
class Subscribe:
    """Subscribes `jid` to a node (§6.1)."""

    node: str | None = xml.attr(default=None)
    jid: JID = xml.attr()


@xml.element(NS, "unsubscribe")
class Unsubscribe:
    """Ends a subscription (§6.2)."""

    node: str | None = xml.attr(default=None)
    jid: JID = xml.attr()
    subid: str | None = xml.attr(default=None)


@xml.element(NS, "options")
class Options:
    """Asks for the options of a subscription, or sets them (§6.3). Beside `Subscribe` it has no address (§6.3.7)."""

    node: str | None = xml.attr(default=None)
    jid: JID | None = xml.attr(default=None)
    subid: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "subscription")
class Subscription:
    """A subscription and its state (§6.1.2). `must_configure`: it needs options before it begins (§6.1.5)."""

    node: str | None = xml.attr(default=None)
    jid: JID = xml.attr()
    subid: str | None = xml.attr(default=None)
    subscription: SubscriptionState | str | None = xml.attr(default=None)
    must_configure: bool = xml.flag("required", inside="subscribe-options")


@xml.element(NS, "subscriptions")
class Subscriptions:
    """Asks for the subscriptions of the account, at the service or one node, or holds them (§5.6)."""

    node: str | None = xml.attr(default=None)
    subscriptions: tuple[Subscription, ...] = xml.children(lenient=True)


@xml.element(NS, "affiliation")
class NodeAffiliation:
    """The affiliation of the account with a node (§5.7)."""

    node: str | None = xml.attr(default=None)
    affiliation: Affiliation | str = xml.attr()


@xml.element(NS, "affiliations")
class Affiliations:
    """Asks for the affiliations of the account, at the service or one node, or holds them (§5.7)."""

    node: str | None = xml.attr(default=None)
    affiliations: tuple[NodeAffiliation, ...] = xml.children(lenient=True)


@xml.structure
class _PubSub:
    publish: Publish | None = xml.child(default=None)
    publish_options: PublishOptions | None = xml.child(default=None)
    items: Items | None = xml.child(default=None)
    retract: Retract | None = xml.child(default=None)
    create: Create | None = xml.child(default=None)
    configure: Configure | None = xml.child(default=None)
    default: Default | None = xml.child(default=None)
    subscribe: Subscribe | None = xml.child(default=None)
    unsubscribe: Unsubscribe | None = xml.child(default=None)
    options: Options | None = xml.child(default=None)
    subscription: Subscription | None = xml.child(default=None)
    subscriptions: Subscriptions | None = xml.child(default=None)
    affiliations: Affiliations | None = xml.child(default=None)
    page: Page | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "pubsub")
class PubSub(_PubSub):
    """An answer of a service."""


@xml.element(NS, "pubsub")
class PubSubGet(_PubSub, Get[PubSub]):
    """A request for items, subscriptions, affiliations or options."""


@xml.element(NS, "pubsub")
class PubSubSet(_PubSub, Set[PubSub | None]):
    """A request that publishes, retracts, subscribes, or creates a node."""
