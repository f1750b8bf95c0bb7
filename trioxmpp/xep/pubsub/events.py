"""Events of nodes: what a service tells its subscribers (XEP-0060 §7.1.2, §7.2.2, §8, §12.3).

Any user can send a message that looks like an event, and servers pass it on, from the full JID of that user. So an
event is believed only if its sender is a bare JID, or a domain, and a block that is open watches the node there. An
event that no block wants goes its way; one that a block watches for, from another sender, is dropped and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ... import xml
from ...client import Client, Stage
from ...jid import JID
from ...protocol.elements.delay import Delay
from ...protocol.elements.forms import DataForm
from ...protocol.elements.pubsub import SubscriptionState
from ...protocol.elements.pubsub_event import Event
from ...protocol.stanza import Message, MessageType
from ...record import field, record
from .node import Item, Node, read_payload

__all__ = [
    "Change",
    "Configured",
    "Deleted",
    "EventHub",
    "Published",
    "Purged",
    "Retracted",
    "SubscriptionChanged",
    "changes_in",
]

_logger = logging.getLogger(__name__)

P = TypeVar("P")

_EVENT = xml.tag_of(Event)
#: Messages of these types are no events, and are most of the traffic.
_NEVER = frozenset({MessageType.CHAT, MessageType.GROUPCHAT, MessageType.ERROR})
#: Payloads that may stand beside an event without making the message more than one.
_BESIDE = frozenset({"{http://jabber.org/protocol/address}addresses", "{http://jabber.org/protocol/shim}headers"})


@record
class Published(Generic[P]):
    """An item was published at the node of `owner`.

    `payload` is None if the event has none, or if it is not what the node should hold; `raw` is the payload as it came.
    """

    owner: JID
    node: str
    item_id: str | None
    payload: P | None
    raw: xml.Payload | None = field(default=None, compare=False, repr=False)
    publisher: JID | None = field(default=None, compare=False)
    repeated: bool = False
    """Whether the same item, by id and payload, was published before. A watch gives these only if asked for them."""

    @property
    def item(self) -> Item[P]:
        """The item that was published."""
        return Item(self.item_id, self.payload, self.raw, self.publisher)


@record
class Retracted:
    """An item of the node of `owner` was deleted."""

    owner: JID
    node: str
    item_id: str


@record
class Purged:
    """All items of the node of `owner` were deleted."""

    owner: JID
    node: str


@record
class Deleted:
    """The node of `owner` was deleted; `redirect` is the URI of the one to use instead, or None."""

    owner: JID
    node: str
    redirect: str | None = None


@record
class Configured:
    """The configuration of the node of `owner` changed; `form` has it, or is None."""

    owner: JID
    node: str
    form: DataForm | None = field(default=None, compare=False)


@record
class SubscriptionChanged:
    """The state of the subscription of `subscriber` to the node of `owner` changed (XEP-0060 §8.8.2.1)."""

    owner: JID
    node: str
    subscriber: JID
    state: SubscriptionState | str | None
    subid: str | None = None


Change = Published[P] | Retracted | Purged | Deleted | Configured | SubscriptionChanged


def node_of(event: Event) -> str | None:
    """Return the name of the node that an event is about."""
    for part in (event.items, event.purge, event.delete, event.configuration, event.subscription):
        if part is not None and part.node is not None:
            return part.node
    return None


def changes_in(event: Event, node: Node[P], owner: JID) -> Iterator[Change[P]]:
    """Return what an event from `owner` says of its node, one change for each item."""
    if event.items is not None:
        for item in event.items.items:
            payload = read_payload(node, item.payload)
            yield Published(owner, node.name, item.id, payload, item.payload, item.publisher)
        for retract in event.items.retracts:
            yield Retracted(owner, node.name, retract.id)
    elif event.purge is not None:
        yield Purged(owner, node.name)
    elif event.delete is not None:
        yield Deleted(owner, node.name, event.delete.redirect)
    elif event.configuration is not None:
        yield Configured(owner, node.name, event.configuration.form)
    elif event.subscription is not None:
        about = event.subscription
        yield SubscriptionChanged(owner, node.name, about.jid, about.subscription, about.subid)


#: Gets an event of its node, with the sender; returns whether it believes the sender.
Watcher = Callable[[JID, Event], bool]


class EventHub:
    """The events that a client gets, and all blocks that watch for some: one look-up for each event."""

    def __init__(self, client: Client) -> None:
        self.dropped: int = 0
        """How many events were dropped, since their sender is not one that a block watches."""
        self._client = client
        self._watchers: dict[str, list[Watcher]] = {}

    @classmethod
    @contextmanager
    def of(cls, client: Client) -> Iterator[EventHub]:
        """``with`` block during which events of this client come to a hub; see `Client.shared`."""
        hub = cls(client)
        with client.at_stage(Stage.EVENT, message=hub.take):
            yield hub

    @contextmanager
    def watching(self, node: str, watcher: Watcher) -> Iterator[None]:
        """Call `watcher` for each event of this node while the block runs."""
        self._watchers[node] = [*self._watchers.get(node, ()), watcher]
        try:
            yield
        finally:
            left = [each for each in self._watchers[node] if each is not watcher]
            if left:
                self._watchers[node] = left
            else:
                del self._watchers[node]

    def take(self, message: Message) -> Message | None:
        """Take a message that holds an event of a node that a block watches; return any other as it is."""
        if message.type in _NEVER:
            return message
        for payload in message.payloads:
            if getattr(payload, "tag", _EVENT) == _EVENT:  # an object has no tag: `get` tells what it is
                break
        else:
            return message
        event = message.get(Event)
        node = None if event is None else node_of(event)
        watchers = None if node is None else self._watchers.get(node)
        if event is None or watchers is None:
            return message
        sender = message.from_ or self._client.jid.bare
        is_believed = False
        if sender.is_bare:
            for watcher in watchers:
                is_believed = watcher(sender, event) or is_believed
        if not is_believed:
            self.dropped += 1
            _logger.debug("dropped an event of %s from %s", node, sender)
            return None
        return None if _is_event_alone(message) else message


def _is_event_alone(message: Message) -> bool:
    if message.bodies or message.subjects:
        return False
    tags = [str(getattr(payload, "tag", "")) or xml.tag_of(type(payload)) for payload in message.payloads]
    return all(tag in _ALONE for tag in tags)


_ALONE = _BESIDE | {_EVENT, xml.tag_of(Delay)}
