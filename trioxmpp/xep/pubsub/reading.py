"""Fetch the items of a node (XEP-0060 §6.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeVar

from ...client import Client
from ...errors import XMPPError
from ...jid import JID
from ...protocol.elements.pubsub import Item as RawItem
from ...protocol.elements.pubsub import Items, PubSub, PubSubGet
from ...protocol.elements.rsm import Page
from .errors import is_missing
from .node import Item, Node, read_payload

__all__ = ["fetch", "fetch_item"]

_logger = logging.getLogger(__name__)

P = TypeVar("P")

#: Items that one request asks for.
PAGE = 250

#: Items that `fetch` returns at most.
LIMIT = 50_000


async def fetch(
    client: Client,
    node: Node[P],
    *,
    owner: JID | str | None = None,
    ids: Iterable[str] = (),
    newest: int | None = None,
    page: int = PAGE,
    limit: int = LIMIT,
) -> list[Item[P]]:
    """Return the items of a node, in the order in which the service gives them.

    `owner` is the service or account that has the node; None: our own account. With `ids`, only these items; with
    `newest`, only the last ones that were published. A service that gives results in pages (XEP-0059) is asked for
    `page` items at a time, until there are no more, or `limit` is reached, which is logged.

    Raises `XMPPError`, for example *item-not-found* if there is no such node, and what `Client.send` raises.
    Cancelling changes nothing.
    """
    wanted = tuple([RawItem(id=id) for id in ids])
    asked = Items(node=node.name, max_items=newest, items=wanted)
    if wanted or newest is not None:
        answer = await client.request(PubSubGet(items=asked), to=owner)
        return [_typed(node, item) for item in _items(answer, node)][:limit]
    return await _pages(client, node, owner, asked, page, limit)


async def _pages(
    client: Client, node: Node[P], owner: JID | str | None, asked: Items, page: int, limit: int
) -> list[Item[P]]:
    """Fetch page by page. A service that does not move on, or repeats itself, is asked no more."""
    found: dict[str | int, Item[P]] = {}
    after: str | None = None
    while True:
        answer = await client.request(PubSubGet(items=asked, page=Page(max=page, after=after)), to=owner)
        before = len(found)
        for item in _items(answer, node):
            found.setdefault(len(found) if item.id is None else item.id, _typed(node, item))
            if len(found) >= limit:
                _logger.warning("the node %s has more than %d items: the others are left out", node.name, limit)
                return [*found.values()]
        last = None if answer.page is None else answer.page.last
        if last is None or last == after or len(found) == before:
            return [*found.values()]
        if answer.page is not None and answer.page.count == len(found):
            return [*found.values()]
        after = last


async def fetch_item(
    client: Client, node: Node[P], id: str | None = None, *, owner: JID | str | None = None
) -> Item[P] | None:
    """Return one item: that of this id, or without `id` the newest. None if there is none, or no such node.

    Raises `XMPPError` if the service refuses, and what `Client.send` raises. Cancelling changes nothing.
    """
    try:
        if id is None:
            found = await fetch(client, node, owner=owner, newest=1)
            return found[-1] if found else None
        found = await fetch(client, node, owner=owner, ids=(id,))
    except XMPPError as exc:
        if is_missing(exc):
            return None
        raise
    return next((item for item in found if item.id == id), None)


def _items(answer: PubSub, node: Node[P]) -> tuple[RawItem, ...]:
    items = answer.items
    return () if items is None or items.node != node.name else items.items


def _typed(node: Node[P], item: RawItem) -> Item[P]:
    return Item(item.id, read_payload(node, item.payload), item.payload, item.publisher)
