"""The verbs of the owner of a node: create, configure, purge and delete it, and admit others (XEP-0060 §8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...client import Client
from ...jid import JID
from ...protocol.elements import pubsub_owner as owner_elements
from ...protocol.elements.forms import FORM_TYPE, DataForm, Field, FieldType, FormType
from ...protocol.elements.pubsub import Affiliation, Configure, Create, PubSubSet, SubscriptionState
from ..forms import FormError
from .errors import NodeMismatch
from .node import PROTECTING, Node, NodeConfig, Options

__all__ = [
    "affiliations",
    "bring_about",
    "configuration",
    "configure",
    "create",
    "default_configuration",
    "delete",
    "form_of",
    "purge",
    "set_affiliations",
    "set_subscriptions",
    "subscribers",
]

NODE_CONFIG = "http://jabber.org/protocol/pubsub#node_config"


def form_of(fields: Mapping[str, tuple[str, ...]], form_type: str) -> DataForm:
    """Return a form to submit, with these values."""
    head = Field(var=FORM_TYPE, type=FieldType.HIDDEN, values=(form_type,))
    return DataForm(
        type=FormType.SUBMIT, fields=(head, *(Field(var=var, values=values) for var, values in fields.items()))
    )


async def create(
    client: Client, node: Node[Any] | str | None, *, owner: JID | str | None = None, options: Options | None = None
) -> str:
    """Create a node with its options, or with `options` (§8.1.3); return its name. None: the service names it.

    `owner` is the service, or None for our own account. Raises `XMPPError`, for example *conflict* if it exists, and
    what `Client.send` raises. If cancelled, it may exist all the same.
    """
    name = node.name if isinstance(node, Node) else node
    if options is None:
        options = node.options if isinstance(node, Node) else Options()
    configured = Configure(form=form_of(options.fields, NODE_CONFIG)) if options.fields else None
    answer = await client.request(PubSubSet(create=Create(node=name), configure=configured), to=owner)
    given = answer.create.node if answer is not None and answer.create is not None else None
    return given or name or ""


async def delete(
    client: Client, node: Node[Any] | str, *, owner: JID | str | None = None, redirect: str | None = None
) -> None:
    """Delete a node with all its items (§8.4). `redirect` is the URI of the one to use instead.

    Raises `XMPPError`, and what `Client.send` raises. If cancelled, it may be deleted all the same.
    """
    deleted = owner_elements.Delete(node=_name(node), redirect=redirect)
    await client.request(owner_elements.OwnerSet(delete=deleted), to=owner)


async def purge(client: Client, node: Node[Any] | str, *, owner: JID | str | None = None) -> None:
    """Delete all items of a node (§8.5). Raises, and may be cancelled, as `delete`."""
    await client.request(owner_elements.OwnerSet(purge=owner_elements.Purge(node=_name(node))), to=owner)


# --- configuration


async def configuration(client: Client, node: Node[Any] | str, *, owner: JID | str | None = None) -> NodeConfig:
    """Return the configuration of a node (§8.2.1). Change it, and give it to `configure`.

    Raises `XMPPError`, `FormError` if the service sends another form, and what `Client.send` raises. Cancelling
    changes nothing.
    """
    asked = owner_elements.OwnerGet(configure=owner_elements.Configure(node=_name(node)))
    answer = await client.request(asked, to=owner)
    form = None if answer.configure is None else answer.configure.form
    return NodeConfig.read(form or DataForm())


async def default_configuration(client: Client, *, owner: JID | str | None = None) -> NodeConfig:
    """Return the configuration that new nodes get (§8.3). Raises, and may be cancelled, as `configuration`."""
    answer = await client.request(owner_elements.OwnerGet(default=owner_elements.Default()), to=owner)
    form = None if answer.default is None else answer.default.form
    return NodeConfig.read(form or DataForm())


async def configure(
    client: Client, node: Node[Any] | str, changed: NodeConfig | Options, *, owner: JID | str | None = None
) -> None:
    """Configure a node (§8.2): by a form that was changed, or by the options that it should have from now on.

    Options that the service does not know are left out, except for those that protect: then `NodeMismatch` is raised,
    and nothing is changed. Raises `XMPPError`, `FormError`, and what `Client.send` raises. If cancelled, the node may
    be configured all the same.
    """
    if isinstance(changed, Options):
        await bring_about(client, _name(node), changed.fields, changed, owner)
        return
    await _submit(client, _name(node), changed, owner)


async def bring_about(
    client: Client, name: str, fields: Mapping[str, tuple[str, ...]], wanted: Options, owner: JID | str | None
) -> bool:
    """Give a node these values where it has others; return whether anything had to change.

    Raises `NodeMismatch` if the form of the node has no field for one that protects, or does not allow the value.
    """
    config = await configuration(client, name, owner=owner)
    changed = False
    for var, values in fields.items():
        if _normal(config.values(var) or ()) == _normal(values):
            continue
        try:
            if var not in config:
                raise FormError(var, "the form has no such field")
            config.set_values(var, values)
        except FormError as exc:
            if var in PROTECTING:
                raise NodeMismatch(name, wanted, str(exc)) from exc
            continue
        changed = True
    if changed:
        await _submit(client, name, config, owner)
    return changed


async def _submit(client: Client, name: str, config: NodeConfig, owner: JID | str | None) -> None:
    """Submit the whole form: some services give a field that is left out its default."""
    fields = {
        var: config.values(var)
        for var in config
        if var != FORM_TYPE and (config.data is None or _is_of_use(config.data.field(var)))
    }
    form = form_of({var: values for var, values in fields.items() if values is not None}, NODE_CONFIG)
    asked = owner_elements.OwnerSet(configure=owner_elements.Configure(node=name, form=form))
    await client.request(asked, to=owner)


def _is_of_use(described: Field | None) -> bool:
    return described is None or described.type is not FieldType.FIXED


def _normal(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({"true": "1", "false": "0"}.get(value, value) for value in values)


# --- other accounts


async def affiliations(
    client: Client, node: Node[Any] | str, *, owner: JID | str | None = None
) -> dict[JID, Affiliation | str]:
    """Return the affiliations with a node by account (§8.9.1).

    Raises `XMPPError`, and what `Client.send` raises. Cancelling changes nothing.
    """
    asked = owner_elements.OwnerGet(affiliations=owner_elements.Affiliations(node=_name(node)))
    answer = await client.request(asked, to=owner)
    found = () if answer.affiliations is None else answer.affiliations.affiliations
    return {each.jid: each.affiliation for each in found}


async def set_affiliations(
    client: Client,
    node: Node[Any] | str,
    changes: Mapping[JID | str, Affiliation],
    *,
    owner: JID | str | None = None,
) -> None:
    """Change the affiliations of some accounts (§8.9.2); the others keep theirs. Raises as `affiliations`.

    If cancelled, they may be changed all the same.
    """
    changed = tuple(
        owner_elements.AccountAffiliation(jid=_jid(jid), affiliation=affiliation)
        for jid, affiliation in changes.items()
    )
    asked = owner_elements.Affiliations(node=_name(node), affiliations=changed)
    await client.request(owner_elements.OwnerSet(affiliations=asked), to=owner)


async def subscribers(
    client: Client, node: Node[Any] | str, *, owner: JID | str | None = None
) -> tuple[owner_elements.Subscription, ...]:
    """Return all subscriptions to a node, also those that are pending (§8.8.1).

    Raises, and may be cancelled, as `affiliations`.
    """
    asked = owner_elements.OwnerGet(subscriptions=owner_elements.Subscriptions(node=_name(node)))
    answer = await client.request(asked, to=owner)
    return () if answer.subscriptions is None else answer.subscriptions.subscriptions


async def set_subscriptions(
    client: Client,
    node: Node[Any] | str,
    changes: Mapping[JID | str, SubscriptionState],
    *,
    owner: JID | str | None = None,
) -> None:
    """Change the subscriptions of others (§8.8.2): approve one that is pending, or end one. Raises as `affiliations`.

    If cancelled, they may be changed all the same.
    """
    changed = tuple(owner_elements.Subscription(jid=_jid(jid), subscription=state) for jid, state in changes.items())
    asked = owner_elements.Subscriptions(node=_name(node), subscriptions=changed)
    await client.request(owner_elements.OwnerSet(subscriptions=asked), to=owner)


def _name(node: Node[Any] | str) -> str:
    return node if isinstance(node, str) else node.name


def _jid(jid: JID | str) -> JID:
    return JID.parse(jid) if isinstance(jid, str) else jid
