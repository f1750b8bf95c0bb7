"""XEP-0060: Publish-Subscribe: what the owner of a node asks of a service, and the conditions of errors."""

from __future__ import annotations

import enum
from typing import Final

from ... import xml
from ...jid import JID
from ..stanza import Get, Set
from .forms import DataForm
from .pubsub import Affiliation, SubscriptionState

__all__ = [
    "ERRORS",
    "NS",
    "AccountAffiliation",
    "Affiliations",
    "Condition",
    "Configure",
    "Default",
    "Delete",
    "Owner",
    "OwnerGet",
    "OwnerSet",
    "Purge",
    "Subscription",
    "Subscriptions",
    "Unsupported",
]

NS: Final = "http://jabber.org/protocol/pubsub#owner"
#: The namespace of the application-specific conditions, whose names are those of `Condition`.
ERRORS: Final = "http://jabber.org/protocol/pubsub#errors"


class Condition(enum.StrEnum):
    """The application-specific conditions of errors (§16.5): names of elements in the namespace `ERRORS`."""

    CLOSED_NODE = "closed-node"
    CONFIGURATION_REQUIRED = "configuration-required"
    INVALID_JID = "invalid-jid"
    INVALID_OPTIONS = "invalid-options"
    INVALID_PAYLOAD = "invalid-payload"
    INVALID_SUBID = "invalid-subid"
    ITEM_FORBIDDEN = "item-forbidden"
    ITEM_REQUIRED = "item-required"
    JID_REQUIRED = "jid-required"
    MAX_ITEMS_EXCEEDED = "max-items-exceeded"
    MAX_NODES_EXCEEDED = "max-nodes-exceeded"
    NODEID_REQUIRED = "nodeid-required"
    NOT_IN_ROSTER_GROUP = "not-in-roster-group"
    NOT_SUBSCRIBED = "not-subscribed"
    PAYLOAD_TOO_BIG = "payload-too-big"
    PAYLOAD_REQUIRED = "payload-required"
    PENDING_SUBSCRIPTION = "pending-subscription"
    PRECONDITION_NOT_MET = "precondition-not-met"
    PRESENCE_SUBSCRIPTION_REQUIRED = "presence-subscription-required"
    SUBID_REQUIRED = "subid-required"
    TOO_MANY_SUBSCRIPTIONS = "too-many-subscriptions"
    UNSUPPORTED = "unsupported"
    UNSUPPORTED_ACCESS_MODEL = "unsupported-access-model"


@xml.element(ERRORS, "unsupported")
class Unsupported:
    """The service does not support this feature of XEP-0060 (§10)."""

    feature: str | None = xml.attr(default=None)


@xml.element(NS, "configure")
class Configure:
    """Asks for the configuration of a node, or sets it (§8.2)."""

    node: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "default")
class Default:
    """Asks for the default configuration of nodes, or holds it (§8.3)."""

    form: DataForm | None = xml.child(default=None)


@xml.element(NS, "delete")
class Delete:
    """Deletes a node; `redirect` is the URI of the one to use instead (§8.4)."""

    node: str = xml.attr()
    redirect: str | None = xml.attr("uri", inside="redirect", default=None)


@xml.element(NS, "purge")
class Purge:
    """Deletes all items of a node (§8.5)."""

    node: str = xml.attr()


@xml.element(NS, "subscription")
class Subscription:
    """The subscription of an account to the node (§8.8)."""

    jid: JID = xml.attr()
    subid: str | None = xml.attr(default=None)
    subscription: SubscriptionState | str | None = xml.attr(default=None)


@xml.element(NS, "subscriptions")
class Subscriptions:
    """Asks for all subscriptions to a node, or changes some (§8.8). Prosody leaves `node` out of its answers."""

    node: str | None = xml.attr(default=None)
    subscriptions: tuple[Subscription, ...] = xml.children(lenient=True)


@xml.element(NS, "affiliation")
class AccountAffiliation:
    """The affiliation of an account with the node (§8.9)."""

    jid: JID = xml.attr()
    affiliation: Affiliation | str = xml.attr()


@xml.element(NS, "affiliations")
class Affiliations:
    """Asks for all affiliations with a node, or changes some (§8.9). An answer need not repeat `node`."""

    node: str | None = xml.attr(default=None)
    affiliations: tuple[AccountAffiliation, ...] = xml.children(lenient=True)


@xml.structure
class _Owner:
    configure: Configure | None = xml.child(default=None)
    default: Default | None = xml.child(default=None)
    delete: Delete | None = xml.child(default=None)
    purge: Purge | None = xml.child(default=None)
    subscriptions: Subscriptions | None = xml.child(default=None)
    affiliations: Affiliations | None = xml.child(default=None)


@xml.element(NS, "pubsub")
class Owner(_Owner):
    """An answer of a service to the owner of a node."""


@xml.element(NS, "pubsub")
class OwnerGet(_Owner, Get[Owner]):
    """A request for the configuration, the subscriptions or the affiliations of a node."""


@xml.element(NS, "pubsub")
class OwnerSet(_Owner, Set[Owner | None]):
    """A request that changes, purges or deletes a node."""
