"""XEP-0163: Personal Eventing Protocol: hear of what accounts publish, and keep a copy of what they hold.

    tunes = Node("http://jabber.org/protocol/tune", Tune)

    async with watch(client, tunes) as changes:
        async for change in changes:
            match change:
                case Published(owner=owner, payload=Tune(title=title)):
                    print(owner, title)

A server sends events to clients that say ``node+notify`` in their capabilities (XEP-0115), which are in the presence.
So a watch hears nothing before the client has sent presence with capabilities.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, nullcontext
from typing import Any, Generic, TypeVar

import trio

from .. import xml
from ..client import Client, Inbox, Session, Signal, Step, supervised
from ..errors import InboxOverflow, XMPPError
from ..jid import JID
from ..protocol.elements.pubsub_event import Event
from ..record import replace
from .pubsub.errors import is_missing
from .pubsub.events import Change, Deleted, EventHub, Published, Purged, Retracted, changes_in
from .pubsub.node import Item, Node
from .pubsub.reading import fetch, fetch_item
from .subscribed import SubscribedContacts

__all__ = ["Changes", "Mirror", "Owners", "mirrored", "watch"]

P = TypeVar("P")

#: Items that a watch remembers, so that it knows what is new.
KNOWN = 10_000
#: Changes that wait for the application, and the octets of their payloads.
CAPACITY = 10_000
OCTETS = 16 << 20

#: Which accounts and services are watched, beside our own account: their bare JIDs, or a function that knows them.
Owners = Container[JID] | Iterable[JID | str] | Callable[[JID], bool]


class Changes(Inbox[Change[P]], Generic[P]):
    """Changes of a node: items published and retracted, nodes purged and deleted, in order of arrival.

    It ends with `InboxOverflow` when too much waits: more than `capacity` changes, or `octets` octets of payloads.
    """

    def __init__(self, capacity: float = CAPACITY, octets: int = OCTETS) -> None:
        super().__init__(capacity)
        self._limit = octets
        self._sizes: deque[int] = deque()
        self._waiting = 0

    def add(self, change: Change[P], octets: int) -> None:
        """Add a change whose payload has this size."""
        while len(self._sizes) > len(self):
            self._waiting -= self._sizes.popleft()
        self._sizes.append(octets)
        self._waiting += octets
        if self._waiting > self._limit:
            self.close(InboxOverflow(f"the payloads that wait have more than {self._limit} octets"))
            return
        self.put(change)


class _Seen:
    """The items that were seen last, by owner and id, with a digest of the payload.

    Beyond the limit the owner that was heard of least recently loses its oldest item.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._owners: OrderedDict[JID, dict[str, bytes]] = OrderedDict()

    def is_repeated(self, owner: JID, id: str | None, payload: bytes) -> bool:
        """Remember an item; return whether the same one was the last that was seen of this id."""
        if id is None:
            return False
        digest = hashlib.blake2b(payload, digest_size=16).digest()
        digests = self._owners.setdefault(owner, {})
        self._owners.move_to_end(owner)
        known = digests.pop(id, None)
        digests[id] = digest
        self._count += known is None
        while self._count > self._limit:
            self._drop_oldest()
        return known == digest

    def forget(self, owner: JID, id: str | None = None) -> None:
        """Forget an item, or all of an owner: the next one is new, whatever it is."""
        if id is None:
            self._count -= len(self._owners.pop(owner, ()))
        elif self._owners.get(owner, {}).pop(id, None) is not None:
            self._count -= 1

    def _drop_oldest(self) -> None:
        owner, digests = next(iter(self._owners.items()))
        if digests:
            del digests[next(iter(digests))]
            self._count -= 1
        if not digests:
            del self._owners[owner]


class _Watch(Generic[P]):
    """One block that watches a node."""

    def __init__(
        self,
        node: Node[P],
        is_owner: Callable[[JID], bool],
        tell: Callable[[Change[P], int], None],
        seen: _Seen,
        *,
        repeats: bool,
    ) -> None:
        self._node = node
        self._is_owner = is_owner
        self._tell = tell
        self._seen = seen
        self._repeats = repeats

    def take(self, sender: JID, event: Event) -> bool:
        """Take an event, if its sender is one that this block watches; return whether it is."""
        if not self._is_owner(sender):
            return False
        for change in changes_in(event, self._node, sender):
            if isinstance(change, Published):
                text = b"" if change.raw is None else xml.serialise(change.raw.content, "").encode()
                if self._seen.is_repeated(sender, change.item_id, text):
                    if self._repeats:
                        self._tell(replace(change, repeated=True), len(text))
                    continue
                self._tell(change, len(text))
                continue
            if isinstance(change, Retracted):
                self._seen.forget(sender, change.item_id)
            elif isinstance(change, Purged | Deleted):
                self._seen.forget(sender)
            self._tell(change, 0)
        return True


@asynccontextmanager
async def _watching(
    client: Client,
    node: Node[P],
    owners: Owners | None,
    tell: Callable[[Change[P], int], None],
    known: int,
    repeats: bool,
) -> AsyncIterator[None]:
    async with _is_owner(client, owners) as is_owner:
        a_watch = _Watch(node, is_owner, tell, _Seen(known), repeats=repeats)
        offered = client.offers(f"{node.name}+notify")
        with client.shared(EventHub.of) as hub, hub.watching(node.name, a_watch.take), offered:
            yield


@asynccontextmanager
async def watch(
    client: Client,
    node: Node[P],
    *,
    owners: Owners | None = None,
    limit: int = KNOWN,
    repeats: bool = False,
    capacity: float = CAPACITY,
    octets: int = OCTETS,
) -> AsyncIterator[Changes[P]]:
    """A block during which events of a node are heard of; gives them as an inbox of `Change` values.

    Events of our own account are always heard. `owners` says of which others: a container of bare JIDs, such as the
    roster or a list, or a function; JIDs of services are possible, too. None: the accounts whose presence we are
    subscribed to, as the roster has it. Events of other senders are dropped.

    In each session the server sends the last item of each owner again. If its id and payload are those that were seen
    last, it is not given again, unless `repeats` is true: then it is, with ``repeated=True``. At most `limit` items are
    remembered for that. The inbox ends with `InboxOverflow` when more than `capacity` changes, or `octets` octets of
    payloads, wait in it. The client says ``node+notify`` while the block runs.

    Entering raises what asking for the roster raises, if that is needed; while `open_roster` runs, it is not.
    Cancelling leaves nothing behind.
    """
    changes: Changes[P] = Changes(capacity, octets)
    try:
        async with _watching(client, node, owners, changes.add, limit, repeats):
            yield changes
    finally:
        changes.close()


# --- whose events are believed


@asynccontextmanager
async def _is_owner(client: Client, owners: Owners | None) -> AsyncIterator[Callable[[JID], bool]]:
    """Give a function that says whether events of a bare JID are believed."""
    if owners is None:
        with client.shared(SubscribedContacts.of) as contacts:
            async with client.each_session(Step.SYNC, contacts.fetch):
                yield lambda jid: jid in contacts or jid == client.jid.bare
        return
    await trio.lowlevel.checkpoint()
    if callable(owners):
        asked = owners
        yield lambda jid: jid == client.jid.bare or asked(jid)
    else:
        known: Any = owners
        if isinstance(owners, list | tuple | set | frozenset):
            known = {JID.parse(each) if isinstance(each, str) else each for each in owners}
        yield lambda jid: jid == client.jid.bare or jid in known


# --- copies


class Mirror(Mapping[str, Item[P]]):
    """The items of a node by id: as they were fetched, and as events have changed them since."""

    def __init__(self, client: Client, node: Node[P], owner: JID | None, limit: int) -> None:
        self.on_change: Signal[Change[P]] = Signal()
        """Emitted after each change, also for those that were found by fetching again."""
        self._client = client
        self._node = node
        self._owner = owner
        self._limit = limit
        self._items: dict[str, Item[P]] = {}
        self._meanwhile: list[Change[P]] | None = None
        """The changes since the fetching that goes on began; None if none goes on."""
        self._incomplete: OrderedDict[str, None] = OrderedDict()
        """The ids of items that were announced without a payload."""
        self._wanted = trio.lowlevel.ParkingLot()

    def __getitem__(self, id: str) -> Item[P]:
        return self._items[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def owner(self) -> JID:
        """The bare JID that has the node."""
        return self._client.jid.bare if self._owner is None else self._owner

    def apply(self, change: Change[P]) -> None:
        """Change the copy, after an event or after our own request, and tell of it. A change twice does no harm."""
        if self._meanwhile is not None and len(self._meanwhile) < self._limit:
            self._meanwhile.append(change)
        if self._changed(change):
            self.on_change.emit(change)

    def _changed(self, change: Change[P]) -> bool:
        match change:
            case Published(item_id=str(id)):
                if change.raw is None and change.payload is None:
                    self._incomplete[id] = None
                    self._wanted.unpark_all()
                    return False
                if self._items.get(id) == change.item and change.payload is not None:
                    return False
                if not self._node.multi:
                    self._items.clear()
                if id in self._items or len(self._items) < self._limit:
                    self._items[id] = change.item
                return True
            case Retracted(item_id=id):
                return self._items.pop(id, None) is not None
            case Purged() | Deleted():
                had_any, self._items = bool(self._items), {}
                return had_any
        return False

    async def fetch(self) -> None:
        """Fetch all items anew, and tell of what differs. A node that does not exist has none.

        Raises `XMPPError`, and what `Client.send` raises. If cancelled, the copy stays as it was.
        """
        self._meanwhile = []
        try:
            found = await fetch(self._client, self._node, owner=self._owner, limit=self._limit)
        except XMPPError as exc:
            if not is_missing(exc):
                raise
            found = []
        finally:
            meanwhile, self._meanwhile = self._meanwhile, None
        old, self._items = self._items, {item.id: item for item in found if item.id is not None}
        for change in meanwhile or ():
            self._changed(change)
        for id in old:
            if id not in self._items:
                self.on_change.emit(Retracted(self.owner, self._node.name, id))
        for id, item in [*self._items.items()]:
            if old.get(id) != item or (item.payload is None and not _same_xml(old.get(id), item)):
                self.on_change.emit(Published(self.owner, self._node.name, id, item.payload, item.raw, item.publisher))

    async def complete(self) -> None:
        """Fetch the items that are announced without a payload, for as long as this runs."""
        while True:
            while not self._incomplete:
                await self._wanted.park()
            id, _ = self._incomplete.popitem(last=False)
            item = await fetch_item(self._client, self._node, id, owner=self._owner)
            if item is not None:
                self.apply(Published(self.owner, self._node.name, id, item.payload, item.raw, item.publisher))


def _same_xml(one: Item[Any] | None, other: Item[Any]) -> bool:
    return one is not None and one.raw == other.raw


@asynccontextmanager
async def mirrored(
    client: Client,
    node: Node[P],
    *,
    owner: JID | str | None = None,
    step: Step | None = Step.SYNC,
    limit: int = KNOWN,
) -> AsyncIterator[Mirror[P]]:
    """A block during which there is a copy of a node; gives it, a mapping of items by id.

    The items are fetched in each session, at `step`, and then follow the events of the node. A session that is resumed
    fetches nothing: the server keeps the events for it. With None for `step`, the caller fetches (`Mirror.fetch`).
    `owner` is the account or service that has the node; None: our own account. At most `limit` items are kept.

    Entering raises what fetching raises, for the session of now. Later failures are `Trouble` events, and it is tried
    again. Cancelling leaves nothing behind.
    """
    parsed = JID.parse(owner) if isinstance(owner, str) else owner
    mirror: Mirror[P] = Mirror(client, node, parsed, limit)

    def is_owner(jid: JID) -> bool:
        return jid == mirror.owner

    async def fetch_all(session: Session) -> None:
        await mirror.fetch()

    def tell(change: Change[P], octets: int) -> None:
        if change.owner == mirror.owner:
            mirror.apply(change)

    with ExitStack() as stack:
        stack.callback(mirror.on_change.close)
        async with (
            _watching(client, node, is_owner, tell, 1, repeats=True),
            nullcontext() if step is None else client.each_session(step, fetch_all),
            supervised(client, mirror.complete, name=f"mirror of {node.name}"),
        ):
            yield mirror
