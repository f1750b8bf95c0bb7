"""XEP-0060: Publish-Subscribe: typed nodes, and the verbs of their publishers, readers and owners::

    from trioxmpp.xep import pubsub

    weather = pubsub.Node("weather", Report, multi=True)
    await pubsub.publish(client, weather, Report(degrees=18), owner="pubsub.example.org")
    for item in await pubsub.fetch(client, weather, owner="pubsub.example.org"):
        print(item.id, item.payload)

`owner` is the bare JID that has the node: that of a service, or of an account (XEP-0163). None is our own account. To
hear of what is published, see `trioxmpp.xep.pep`.
"""

from ...protocol.elements.pubsub import Affiliation, Subscription, SubscriptionState
from ...protocol.elements.pubsub_owner import Condition
from .errors import NodeMismatch, condition_of
from .events import (
    Change,
    Configured,
    Deleted,
    EventHub,
    Published,
    Purged,
    Retracted,
    SubscriptionChanged,
    changes_in,
)
from .node import CURRENT, PRIVATE, PUBLIC, Access, Item, Node, NodeConfig, Options, PublishModel, SendLast
from .owning import (
    affiliations,
    configuration,
    configure,
    create,
    default_configuration,
    delete,
    purge,
    set_affiliations,
    set_subscriptions,
    subscribers,
)
from .publishing import publish, retract
from .reading import fetch, fetch_item
from .subscribing import (
    configure_subscription,
    own_affiliations,
    subscribe,
    subscription_options,
    subscriptions,
    unsubscribe,
)

__all__ = [
    "CURRENT",
    "PRIVATE",
    "PUBLIC",
    "Access",
    "Affiliation",
    "Change",
    "Condition",
    "Configured",
    "Deleted",
    "EventHub",
    "Item",
    "Node",
    "NodeConfig",
    "NodeMismatch",
    "Options",
    "PublishModel",
    "Published",
    "Purged",
    "Retracted",
    "SendLast",
    "Subscription",
    "SubscriptionChanged",
    "SubscriptionState",
    "affiliations",
    "changes_in",
    "condition_of",
    "configuration",
    "configure",
    "configure_subscription",
    "create",
    "default_configuration",
    "delete",
    "fetch",
    "fetch_item",
    "own_affiliations",
    "publish",
    "purge",
    "retract",
    "set_affiliations",
    "set_subscriptions",
    "subscribe",
    "subscribers",
    "subscription_options",
    "subscriptions",
    "unsubscribe",
]
