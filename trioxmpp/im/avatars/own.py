"""Our own avatar: in nodes (XEP-0084), and in our vCard (XEP-0153) where the server does not convert (XEP-0398)."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

from ...client import Client, Session, Stage, Step, supervised
from ...protocol.elements import avatar as elements
from ...protocol.elements.vcard import Photo
from ...protocol.elements.vcard_update import VCardUpdate
from ...protocol.stanza import Presence, PresenceType
from ...xep.pubsub import Access, Node, Options, publish
from ...xep.vcard import change_vcard, fetch_vcard
from .image import MAX_IMAGE, Avatar, Unverified, image_type, sha1

__all__ = ["DATA", "METADATA", "announced_avatar", "disable_avatar", "set_avatar"]

#: The account feature by which a server keeps vCard and presences in step with the nodes (XEP-0398 §4).
CONVERSION: Final = "urn:xmpp:pep-vcard-conversion:0"

DATA: Final = Node(elements.DATA, elements.Data, multi=True, options=Options(persist=True))
METADATA: Final = Node(elements.METADATA, elements.Metadata, multi=True, options=Options(persist=True))


async def set_avatar(
    client: Client,
    data: bytes,
    *,
    width: int | None = None,
    height: int | None = None,
    access: Access | None = Access.PRESENCE,
) -> Avatar:
    """Publish an image as our avatar (XEP-0084 §3), and return it with its hash and type.

    `width` and `height` are in pixels. `access` says which accounts may see it; with ``Access.OPEN``, those in rooms
    may, too. If the server does not convert avatars (XEP-0398), the image goes into our vCard as well.

    Raises ValueError for an image that is too large or of an unknown format, ``XMPPError`` if the server refuses, and
    what `Client.send` raises. If cancelled, the avatar may be published in part: others see it once all of it is.
    """
    type = image_type(data)
    if type is None:
        raise ValueError("an avatar is a PNG, JPEG, GIF or WebP image")
    if len(data) > MAX_IMAGE:
        raise ValueError(f"an avatar has {MAX_IMAGE} octets at most")
    avatar = Avatar(sha1(data), type, data)
    # The data first: a client that hears of the metadata may ask for the data at once (XEP-0084 §3.2).
    await publish(client, DATA, elements.Data(data=data), id=avatar.hash, access=access)
    info = elements.Info(id=avatar.hash, bytes=len(data), type=type, width=width, height=height)
    await publish(client, METADATA, elements.Metadata(infos=(info,)), id=avatar.hash, access=access)
    if not await _converts(client):
        await _set_photo(client, (Photo(type=type, data=data),))
    _tell(client)
    return avatar


async def disable_avatar(client: Client) -> None:
    """Show no avatar any more (XEP-0084 §3.5). Raises, and may be cancelled, as `set_avatar`."""
    await publish(client, METADATA, elements.Metadata(), id="current")
    if not await _converts(client):
        await _set_photo(client, ())
    _tell(client)


def _tell(client: Client) -> None:
    """Have our presence sent again, if it announces our avatar."""
    with client.shared(_OwnPhoto.of) as photo:
        photo.changed()


async def _converts(client: Client) -> bool:
    return await client.disco.has(client.jid.bare, CONVERSION)


async def _set_photo(client: Client, photos: tuple[Photo, ...]) -> None:
    """Change the photo in our vCard, unless it is this one already: no upload twice (XEP-0153 §3.1)."""
    card = await fetch_vcard(client)
    if [photo.data for photo in card.photos] != [photo.data for photo in photos]:
        await change_vcard(client, photos=photos)


class _OwnPhoto:
    """The photo that our presences announce, and the last presence to all: sent again when the photo changes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._update: VCardUpdate | None = VCardUpdate()
        """The payload that says which photo we have; None if the server says it."""
        self._given: list[VCardUpdate] = []
        """The payloads that were put into presences of this session: a presence that is sent again may have one."""
        self._last: Presence | None = None
        self._changed = trio.Event()

    @classmethod
    @contextmanager
    def of(cls, client: Client) -> Iterator[_OwnPhoto]:
        """A block with one of these, for `Client.shared`."""
        yield cls(client)

    def changed(self) -> None:
        """Note that our photo is another one now."""
        self._changed.set()

    async def begin(self, session: Session) -> None:
        """Learn in a new session which photo we have."""
        self._update, self._given, self._last = VCardUpdate(), [], None
        await self._read()

    async def _read(self) -> None:
        if await _converts(self._client):
            self._update = None
            return
        card = await fetch_vcard(self._client)
        data = next((photo.data for photo in card.photos if photo.data), None)
        self._update = VCardUpdate(photo="" if data is None else sha1(data))

    async def follow(self) -> None:
        """Read our card again after each change, and send presence anew if it has another photo, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            before = self._update
            try:
                await self._read()
            except BaseException:
                self._changed.set()  # to be read again when this is begun again
                raise
            # A server that converts puts the new hash into presences that come after the change.
            if self._last is not None and (self._update is None or self._update != before):
                self._client.enqueue(copy.copy(self._last))

    def announce(self, presence: Presence) -> Presence:
        """Put the hash of our photo into an outbound presence, unless the application has put one there."""
        if presence.type is PresenceType.UNAVAILABLE and presence.to is None:
            self._last = None
        if presence.type is not PresenceType.AVAILABLE:
            return presence
        # Another service that sends a presence again sends the hash of before with it.
        presence.payloads = [each for each in presence.payloads if not any(each is given for given in self._given)]
        if presence.to is None:
            self._last = copy.copy(presence)
            self._last.id = None
        if self._update is not None and presence.get(VCardUpdate) is None:
            presence.payloads.append(self._update)
            if not any(given is self._update for given in self._given):
                self._given.append(self._update)
        return presence

    def hear(self, presence: Presence) -> Presence:
        """Read our card again if another client of our account announces another photo (XEP-0153 §4.3)."""
        sender = presence.from_
        ours = self._update
        if ours is None or presence.type is not PresenceType.AVAILABLE or sender is None:
            return presence
        if sender != self._client.jid and sender.bare == self._client.jid.bare:
            theirs = presence.get(VCardUpdate)
            if theirs is not None and theirs.photo is not None and theirs.photo != ours.photo:
                self.changed()
        return presence


@asynccontextmanager
async def announced_avatar(client: Client) -> AsyncIterator[None]:
    """A block during which our presences say which photo our vCard has (XEP-0153 §3), if the server does not.

    Until the vCard was read they say that we are not ready. After `set_avatar`, and when another client of our account
    announces another photo, our presence to all is sent again with the new hash. A server that converts avatars
    (XEP-0398) adds the hash itself.

    Entering raises what asking raises, for the session of now. Cancelling leaves nothing behind.
    """
    with (
        client.shared(_OwnPhoto.of) as photo,
        client.stream.service_outbound_presence_filter.context_register(photo.announce, _ORDER),
        client.at_stage(Stage.NOTICE, presence=photo.hear),
    ):
        async with (
            client.each_session(Step.SYNC, photo.begin),
            supervised(client, photo.follow, name="announced_avatar"),
        ):
            yield


#: The place among the filters of presences: behind those that decide what the presence says.
_ORDER: Final = 100


def checked(data: bytes | None) -> bytes:
    """Return the data of a photo. Raises `Unverified` if there are none."""
    if not data:
        raise Unverified("there is no image")
    return data
