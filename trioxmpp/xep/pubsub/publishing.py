"""Publish and retract items, with options that the node must have (XEP-0060 §7).

Options are preconditions (§7.1.5): a new node is created with them, and a node that has others refuses the item. Then
the node is configured, and the item is published once more. Two things make this delicate:

- Some services refuse the whole publication for one option that they do not know (ejabberd 23). Publishing without any
  options would create the node with the default access, and let others read what is private. So options are given up
  one by one, and never one that protects.
- Some services ignore options altogether, since they do not support them (§10). There the node is created or
  configured first, its configuration is read back, and only then the item is published.
"""

from __future__ import annotations

import logging
from typing import Any, Final, TypeVar

import trio

from ... import xml
from ...client import Client
from ...errors import StanzaCondition, XMPPError
from ...jid import JID
from ...protocol.elements.pubsub import Item as RawItem
from ...protocol.elements.pubsub import Publish, PublishOptions, PubSubSet, Retract
from ...record import replace
from .errors import NodeMismatch, condition_of, is_mismatch, is_missing
from .node import CURRENT, PROTECTING, Access, Node, Options
from .owning import bring_about, configuration, create, form_of

__all__ = ["publish", "retract"]

_logger = logging.getLogger(__name__)

P = TypeVar("P")

PUBLISH_OPTIONS: Final = "http://jabber.org/protocol/pubsub#publish-options"

#: Conditions by which services refuse an option that they do not know.
_REFUSALS: Final = frozenset(
    {
        StanzaCondition.RESOURCE_CONSTRAINT,
        StanzaCondition.NOT_ACCEPTABLE,
        StanzaCondition.BAD_REQUEST,
        StanzaCondition.FEATURE_NOT_IMPLEMENTED,
    }
)


async def publish(
    client: Client,
    node: Node[P],
    payload: P | None,
    *,
    id: str | None = None,
    owner: JID | str | None = None,
    options: Options | None = None,
    access: Access | None = None,
) -> str:
    """Publish an item, and return its id (§7.1). `owner` is the service, or None for our own account.

    Without `id` the item of a node that is not `multi` is ``current``; otherwise the service makes an id. `options`
    replace those of the node, and `access` its access model. A node that has other options is configured, and the item
    is published once more.

    Raises `NodeMismatch` if the node cannot be given its options, ``XMPPError`` for what else the service refuses, and
    what `Client.send` raises. Options that decide which accounts may read and write are guaranteed, or nothing is
    published. If cancelled, the item may be published all the same.
    """
    wanted = node.options if options is None else options
    if access is not None:
        wanted = replace(wanted, access=access)
    item = RawItem(
        id=id if id is not None or node.multi else CURRENT, payload=None if payload is None else xml.Payload(payload)
    )
    publication = _Publication(client, node.name, item, wanted, owner)
    if wanted.fields and not await publication.has_options():
        return await publication.run_prepared()
    return await publication.run()


class _Publication:
    """One item on its way to a node."""

    def __init__(self, client: Client, name: str, item: RawItem, wanted: Options, owner: JID | str | None) -> None:
        self.client = client
        self.name = name
        self.item = item
        self.wanted = wanted
        self.owner = owner

    async def has_options(self) -> bool:
        """Return whether the service takes options. Its answer is remembered."""
        owner = self.client.jid.bare if self.owner is None else self.owner
        return await self.client.disco.has(owner, PUBLISH_OPTIONS)

    async def run(self) -> str:
        """Publish with options."""
        fields, is_configured, refused = self.wanted.fields, False, False
        while True:
            try:
                id = await self._publish(fields)
                break
            except XMPPError as exc:
                if is_mismatch(exc) and fields:
                    if is_configured:
                        raise NodeMismatch(self.name, self.wanted, exc.text) from exc
                    await self._configure()  # noqa: ASYNC120  (this handles the exception)
                    is_configured = True
                elif (var := _refused_option(exc, fields)) is not None:
                    # The configuration sets the options that are given up here: before the item if the node exists, so
                    # that a limit that is too low does not drop older items, else behind it.
                    if not refused:
                        await self._configure_later()  # noqa: ASYNC120  (this handles the exception)
                    refused = True
                    del fields[var]
                else:
                    raise
        if refused:
            await self._configure_later()
        return id

    async def run_prepared(self) -> str:
        """Publish at a service without options: make the node what it should be, see that it is, and publish."""
        fields = self.wanted.fields
        try:
            await configuration(self.client, self.name, owner=self.owner)
        except XMPPError as exc:
            if is_missing(exc):
                await self._create()  # noqa: ASYNC120  (this handles the exception)
            elif PROTECTING & fields.keys():
                raise NodeMismatch(self.name, self.wanted, exc.text) from exc
        protecting = {var: values for var, values in fields.items() if var in PROTECTING}
        if protecting:
            await self._configure()
            if await bring_about(self.client, self.name, protecting, self.wanted, self.owner):
                raise NodeMismatch(self.name, self.wanted, "the service does not keep the configuration")
        else:
            await self._configure_later()
        return await self._publish({})

    async def _create(self) -> None:
        try:
            await create(self.client, self.name, owner=self.owner, options=self.wanted)
        except XMPPError as exc:
            if exc.condition is StanzaCondition.CONFLICT:
                return  # another client of the account was faster
            if not PROTECTING & self.wanted.fields.keys():
                _logger.debug("%s cannot be created beforehand: %s", self.name, exc)
                return
            # With fewer options: the configuration decides in the end.
            await create(self.client, self.name, owner=self.owner, options=Options(access=self.wanted.access))

    async def _publish(self, fields: dict[str, tuple[str, ...]]) -> str:
        options = PublishOptions(form=form_of(fields, PUBLISH_OPTIONS)) if fields else None
        asked = PubSubSet(publish=Publish(node=self.name, items=(self.item,)), publish_options=options)
        answer = await self.client.request(asked, to=self.owner)
        published = None if answer is None else answer.publish
        if published is not None and published.items and published.items[0].id is not None:
            return published.items[0].id
        return self.item.id or ""

    async def _configure(self) -> None:
        """Give the node the options. Raises `NodeMismatch` if the service refuses."""
        try:
            await bring_about(self.client, self.name, self.wanted.fields, self.wanted, self.owner)
        except XMPPError as exc:
            if isinstance(exc, NodeMismatch):
                raise
            raise NodeMismatch(self.name, self.wanted, exc.text) from exc

    async def _configure_later(self) -> None:
        """Give the node the options that publishing does not take, as far as it exists and allows that."""
        try:
            await bring_about(self.client, self.name, self.wanted.fields, self.wanted, self.owner)
        except XMPPError as exc:
            if is_missing(exc):
                return
            if PROTECTING & self.wanted.fields.keys() and isinstance(exc, NodeMismatch):
                raise
            _logger.warning("%s has not all the options that were asked for: %s", self.name, exc)


def _refused_option(error: XMPPError, fields: dict[str, tuple[str, ...]]) -> str | None:
    """Return the option to give up after this error, if the error is about one that may be given up."""
    if error.condition not in _REFUSALS or (
        (condition := condition_of(error)) is not None
        and condition.name
        not in (
            "INVALID_OPTIONS",
            "PRECONDITION_NOT_MET",
            "UNSUPPORTED",
        )
    ):
        return None
    text = error.text or ""
    named = [var for var in fields if var in text]
    if named:
        return named[0] if named[0] not in PROTECTING else None
    return next((var for var in reversed(fields) if var not in PROTECTING), None)


async def retract(
    client: Client,
    node: Node[Any],
    *ids: str,
    owner: JID | str | None = None,
    notify: bool = True,
    missing_ok: bool = False,
) -> None:
    """Delete items (§7.2); with `notify` the subscribers hear of it.

    Each id is a request of its own, since services refuse several. With `missing_ok`, an item or node that does not
    exist is no error. Raises `XMPPError`, and what `Client.send` raises. If cancelled, some may be deleted.
    """
    if not ids:
        await trio.lowlevel.checkpoint()
    for id in ids:
        asked = Retract(node=node.name, notify=notify, items=(RawItem(id=id),))
        try:
            await client.request(PubSubSet(retract=asked), to=owner)
        except XMPPError as exc:
            if not (missing_ok and is_missing(exc)):
                raise
