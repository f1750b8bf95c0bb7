"""The avatars of others: which one each contact shows, and its image when it is asked for (XEP-0084, XEP-0153).

Only hashes are kept unasked. An image is fetched when the application wants it, a few at a time, so that avatars do not
hold up anything else; the same hash is fetched once, however many accounts show it. An account that has published an
avatar in its nodes is not believed about another one in its presences: servers convert one to the other (XEP-0398).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from ...client import Client, Session, Signal, Stage, Step, Subscription, supervised
from ...errors import StanzaError
from ...jid import JID
from ...protocol.elements import avatar as elements
from ...protocol.elements.vcard_update import VCardUpdate
from ...protocol.stanza import Presence, PresenceType
from ...record import record
from ...xep.pep import Changes, Owners, watch
from ...xep.pubsub import Deleted, Node, Published, Purged, Retracted, fetch_item
from ...xep.vcard import fetch_vcard
from .image import MAX_IMAGE, Avatar, AvatarCache, Unverified, sha1, verified
from .own import DATA, METADATA, checked

__all__ = ["AvatarChanged", "Gallery", "open_avatars"]

_logger = logging.getLogger(__name__)

#: Accounts whose hashes are kept, and images that cannot be had.
OWNERS = 10_000
REFUSED = 1000
#: Images that are fetched at a time, and seconds that each may take.
AT_ONCE = 4
TIMEOUT = 60.0
#: Formats that we can verify.
TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@record
class AvatarChanged:
    """An account shows another avatar; `hash` is its SHA-1 in hexadecimal, or None if it shows none."""

    owner: JID
    hash: str | None


@record
class _Shown:
    """The avatar that an account shows. `in_vcard`: it was heard of in a presence, so the image is in the vCard."""

    hash: str | None
    size: int | None = None
    in_vcard: bool = False


class _Fetch:
    """An image that is being fetched, for all tasks that want it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.result: Avatar | None = None
        self.error: StanzaError | TimeoutError | None = None


class Gallery:
    """The avatars of our contacts, and of ourselves. `open_avatars` gives one."""

    def __init__(
        self,
        client: Client,
        cache: AvatarCache | None,
        at_once: int,
        after: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self.on_change: Signal[AvatarChanged] = Signal()
        """Emitted when an account shows another avatar than before."""
        self._client = client
        self._cache = cache
        self._after = after
        self._limiter = trio.CapacityLimiter(at_once)
        self._shown: OrderedDict[JID, _Shown] = OrderedDict()
        self._fetches: dict[str, _Fetch] = {}
        self._refused: OrderedDict[tuple[JID, str], None] = OrderedDict()
        self._begun = trio.Event()
        """Set when the first session has come to its archives."""
        self._is_ready = after is None
        """Whether the archives of this session are through."""

    def hash_of(self, owner: JID | str) -> str | None:
        """Return the hash of the avatar that an account shows, as far as we have heard; None if it shows none."""
        shown = self._shown.get(_bare(owner))
        return None if shown is None else shown.hash

    def changes(self, *, capacity: float = 10_000) -> Subscription[AvatarChanged]:
        """``async with`` block that gives an inbox of `AvatarChanged`."""
        return self.on_change.subscribe(capacity)

    async def fetch(self, owner: JID | str) -> Avatar | None:
        """Return the image that an account shows, from the cache if it is there; None if it shows none.

        An account of which we have not heard is asked. Waits until the session has come to its archives, and while too
        many images are being fetched. Raises `Unverified` if the image is not what was announced, once for each hash
        without asking again, ``XMPPError`` if it is refused, TimeoutError after a minute, and what `Client.send`
        raises. Cancelling one task does not cancel the others.
        """
        jid = _bare(owner)
        await self._wait_ready()
        shown = self._shown.get(jid)
        if shown is None:
            shown = await self._ask(jid)
        if shown.hash is None:
            await trio.lowlevel.checkpoint()
            return None
        return await self._image(jid, shown)

    async def fetch_occupant(self, occupant: JID | str) -> Avatar | None:
        """Return the image in the vCard of an occupant of a room, by the full JID; None if there is none.

        Rooms are full of strangers, so nothing is fetched there unasked. Raises, and may be cancelled, as `fetch`.
        """
        jid = JID.parse(occupant) if isinstance(occupant, str) else occupant
        await self._wait_ready()
        async with self._limiter:
            card = await fetch_vcard(self._client, jid, timeout=TIMEOUT)
        data = next((photo.data for photo in card.photos if photo.data), None)
        return None if data is None else self._keep(verified(data, sha1(data)))

    # --- what is shown

    def hear(self, change: object) -> None:
        """Take an event of a node of metadata."""
        match change:
            case Published(owner=owner, payload=elements.Metadata() as metadata):
                self._note(owner, _chosen(metadata))
            case Published(owner=owner, payload=None, raw=None):
                self._forget(owner)
            case Retracted(owner=owner) | Purged(owner=owner) | Deleted(owner=owner):
                self._note(owner, _Shown(None))

    def take(self, presence: Presence) -> Presence:
        """Note the hash of the photo in the vCard of a contact (XEP-0153)."""
        if presence.type is not PresenceType.AVAILABLE or presence.from_ is None:
            return presence
        if self._client.claimed(presence.from_):
            return presence  # an occupant of a room
        update = presence.get(VCardUpdate)
        if update is not None and update.photo is not None:
            owner, shown = presence.from_.bare, self._shown.get(presence.from_.bare)
            if (shown is None or shown.in_vcard) and len(update.photo) <= 40:
                self._note(owner, _Shown(update.photo.lower() or None, in_vcard=True))
        return presence

    def _note(self, owner: JID, shown: _Shown) -> None:
        old = self._shown.get(owner)
        self._shown[owner] = shown
        self._shown.move_to_end(owner)
        if len(self._shown) > OWNERS:
            self._shown.popitem(last=False)
        if (None if old is None else old.hash) != shown.hash:
            self.on_change.emit(AvatarChanged(owner, shown.hash))

    def _forget(self, owner: JID) -> None:
        self._shown.pop(owner, None)

    async def _ask(self, owner: JID) -> _Shown:
        """Ask an account for its metadata, and if it has none, take its vCard."""
        try:
            async with self._limiter:
                item = await fetch_item(self._client, METADATA, owner=owner)
        except StanzaError as exc:
            _logger.debug("%s does not let us see its avatar: %s", owner, exc)
            item = None
        shown = None if item is None or item.payload is None else _chosen(item.payload)
        if shown is None or shown.hash is None:
            avatar = await self.fetch_occupant(owner)
            shown = _Shown(None if avatar is None else avatar.hash, in_vcard=True)
        if owner not in self._shown:
            self._note(owner, shown)
        return self._shown[owner]

    # --- images

    async def _image(self, owner: JID, shown: _Shown) -> Avatar:
        hash = shown.hash or ""
        avatar = None if self._cache is None else self._cache.get(hash)
        if avatar is not None:
            await trio.lowlevel.checkpoint()
            return avatar
        if (owner, hash) in self._refused:
            await trio.lowlevel.checkpoint()
            raise Unverified("the avatar was not what was announced")
        fetch = self._fetches.get(hash)
        if fetch is None:
            return await self._lead(owner, shown, hash)
        await fetch.done.wait()
        # Another account with the same hash may have given something else, or its task was cancelled.
        return fetch.result or await self._image(owner, shown)

    async def _lead(self, owner: JID, shown: _Shown, hash: str) -> Avatar:
        fetch = self._fetches[hash] = _Fetch()
        try:
            async with self._limiter:
                with trio.fail_after(TIMEOUT):
                    data = await self._data(owner, shown, hash)
            fetch.result = self._keep(verified(data, hash, shown.size))
            return fetch.result
        except Unverified:
            self._refused[owner, hash] = None
            if len(self._refused) > REFUSED:
                self._refused.popitem(last=False)
            raise
        except trio.TooSlowError:
            raise TimeoutError(f"{owner} does not send its avatar") from None
        finally:
            del self._fetches[hash]
            fetch.done.set()

    async def _data(self, owner: JID, shown: _Shown, hash: str) -> bytes:
        if shown.in_vcard:
            card = await fetch_vcard(self._client, owner)
            return checked(next((photo.data for photo in card.photos if photo.data), None))
        item = await fetch_item(self._client, DATA, hash, owner=owner)
        return checked(None if item is None or item.payload is None else item.payload.data)

    def _keep(self, avatar: Avatar) -> Avatar:
        if self._cache is not None:
            self._cache.put(avatar)
        return avatar

    # --- sessions

    async def begin(self, session: Session) -> None:
        """Note that a session has come to its archives: images may be fetched once they are through."""
        self._is_ready = self._after is None
        self._begun.set()

    async def _wait_ready(self) -> None:
        await self._begun.wait()
        if not self._is_ready and self._after is not None:
            await self._after()
            self._is_ready = True

    async def follow(self, changes: Changes[elements.Metadata]) -> None:
        """Take events until they end."""
        async for change in changes:
            self.hear(change)


def _chosen(metadata: elements.Metadata) -> _Shown:
    """Return the image to show: one that the account holds itself, in a format that we can verify."""
    for info in metadata.infos:
        if info.url is None and info.type.lower() in TYPES and info.bytes <= MAX_IMAGE and len(info.id) == 40:
            return _Shown(info.id.lower(), info.bytes)
    return _Shown(None)


def _bare(owner: JID | str) -> JID:
    return (JID.parse(owner) if isinstance(owner, str) else owner).bare


@asynccontextmanager
async def open_avatars(
    client: Client,
    *,
    owners: Owners | None = None,
    cache: AvatarCache | None = None,
    at_once: int = AT_ONCE,
    after: Callable[[], Awaitable[object]] | None = None,
) -> AsyncIterator[Gallery]:
    """A block during which we know which avatars our contacts show; their images are fetched on request.

    `owners` says which accounts are believed, as in `watch`. With a `cache`, images are kept by their hash. At most
    `at_once` images are fetched at a time, and the first ones of a session not before it has come to its archives and
    ``await after()`` has returned: for example, a function that waits for the archives.

    Entering raises as `watch`. Cancelling leaves nothing behind.
    """
    gallery = Gallery(client, cache, at_once, after)
    node: Node[elements.Metadata] = METADATA
    try:
        async with watch(client, node, owners=owners) as changes:
            with client.at_stage(Stage.NOTICE, presence=gallery.take):
                async with (
                    supervised(client, lambda: gallery.follow(changes), name="avatars"),
                    client.each_session(Step.CATCH_UP, gallery.begin),
                ):
                    yield gallery
    finally:
        gallery.on_change.close()
