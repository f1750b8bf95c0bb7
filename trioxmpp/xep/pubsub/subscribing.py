"""Subscribe to nodes of a service, and see how one stands with it (XEP-0060 §5.6, §5.7, §6)."""

from __future__ import annotations

from typing import Any

from ...client import Client
from ...errors import ErroneousStanza
from ...jid import JID
from ...protocol.elements.forms import DataForm
from ...protocol.elements.pubsub import (
    Affiliation,
    Affiliations,
    PubSubGet,
    PubSubSet,
    Subscribe,
    Subscription,
    Subscriptions,
    SubscriptionState,
    Unsubscribe,
)
from ...protocol.elements.pubsub import (
    Options as SubscriptionOptions,
)
from ..forms import Form
from .node import Node

__all__ = [
    "configure_subscription",
    "own_affiliations",
    "subscribe",
    "subscription_options",
    "subscriptions",
    "unsubscribe",
]


async def subscribe(
    client: Client, node: Node[Any] | str, *, owner: JID | str | None = None, jid: JID | None = None
) -> Subscription:
    """Subscribe to a node (§6.1), by default with our bare JID, so that all our clients hear of it.

    The state of the subscription is ``SubscriptionState.PENDING`` if the owner of the node must approve it first; the
    subscription's ``subid`` tells it apart from others of the same JID. Raises `XMPPError`, and what `Client.send`
    raises. If cancelled, there may be a subscription all the same.
    """
    subscriber = client.jid.bare if jid is None else jid
    name = _name(node)
    answer = await client.request(PubSubSet(subscribe=Subscribe(node=name, jid=subscriber)), to=owner)
    if answer is None or answer.subscription is None:
        # A service need not describe what was asked for, and granted.
        return Subscription(node=name, jid=subscriber, subscription=SubscriptionState.SUBSCRIBED)
    return answer.subscription


async def unsubscribe(
    client: Client,
    node: Node[Any] | str,
    *,
    owner: JID | str | None = None,
    jid: JID | None = None,
    subid: str | None = None,
) -> None:
    """End a subscription (§6.2); with several, `subid` says which. Raises, and may be cancelled, as `subscribe`."""
    subscriber = client.jid.bare if jid is None else jid
    asked = Unsubscribe(node=_name(node), jid=subscriber, subid=subid)
    await client.request(PubSubSet(unsubscribe=asked), to=owner)


async def subscriptions(
    client: Client, node: Node[Any] | str | None = None, *, owner: JID | str | None = None
) -> tuple[Subscription, ...]:
    """Return our subscriptions at a service, or to one node of it (§5.6). Raises as `subscribe`; may be cancelled."""
    asked = Subscriptions(node=None if node is None else _name(node))
    answer = await client.request(PubSubGet(subscriptions=asked), to=owner)
    return () if answer.subscriptions is None else answer.subscriptions.subscriptions


async def own_affiliations(
    client: Client, node: Node[Any] | str | None = None, *, owner: JID | str | None = None
) -> dict[str, Affiliation | str]:
    """Return our affiliations by node, at a service or with one node of it (§5.7).

    Raises as `subscribe`. Cancelling changes nothing.
    """
    asked = Affiliations(node=None if node is None else _name(node))
    answer = await client.request(PubSubGet(affiliations=asked), to=owner)
    found = () if answer.affiliations is None else answer.affiliations.affiliations
    default = "" if asked.node is None else asked.node
    return {each.node or default: each.affiliation for each in found}


async def subscription_options(
    client: Client,
    node: Node[Any] | str,
    *,
    owner: JID | str | None = None,
    jid: JID | None = None,
    subid: str | None = None,
) -> Form:
    """Return the options of a subscription (§6.3). Change them, and give them to `configure_subscription`.

    Raises as `subscribe`, and `ErroneousStanza` if the answer has no form. Cancelling changes nothing.
    """
    subscriber = client.jid.bare if jid is None else jid
    asked = SubscriptionOptions(node=_name(node), jid=subscriber, subid=subid)
    answer = await client.request(PubSubGet(options=asked), to=owner)
    form: DataForm | None = None if answer.options is None else answer.options.form
    if form is None:
        raise ErroneousStanza("the answer has no form with options")
    return Form.read(form)


async def configure_subscription(
    client: Client,
    node: Node[Any] | str,
    form: Form,
    *,
    owner: JID | str | None = None,
    jid: JID | None = None,
    subid: str | None = None,
) -> None:
    """Change the options of a subscription (§6.3.5). Raises, and may be cancelled, as `subscribe`."""
    subscriber = client.jid.bare if jid is None else jid
    asked = SubscriptionOptions(node=_name(node), jid=subscriber, subid=subid, form=form.submit())
    await client.request(PubSubSet(options=asked), to=owner)


def _name(node: Node[Any] | str) -> str:
    return node if isinstance(node, str) else node.name
