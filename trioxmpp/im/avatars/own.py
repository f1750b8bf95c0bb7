"""Our own avatar: in nodes (XEP-0084), and in our vCard (XEP-0153) where the server does not convert (XEP-0398)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ...client import Client, Session, Step
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
    return avatar


async def disable_avatar(client: Client) -> None:
    """Show no avatar any more (XEP-0084 §3.5). Raises, and may be cancelled, as `set_avatar`."""
    await publish(client, METADATA, elements.Metadata(), id="current")
    if not await _converts(client):
        await _set_photo(client, ())


async def _converts(client: Client) -> bool:
    return await client.disco.has(client.jid.bare, CONVERSION)


async def _set_photo(client: Client, photos: tuple[Photo, ...]) -> None:
    """Change the photo in our vCard, unless it is this one already: no upload twice (XEP-0153 §3.1)."""
    card = await fetch_vcard(client)
    if [photo.data for photo in card.photos] != [photo.data for photo in photos]:
        await change_vcard(client, photos=photos)


@asynccontextmanager
async def announced_avatar(client: Client) -> AsyncIterator[None]:
    """A block during which our presences say which photo our vCard has (XEP-0153 §3), if the server does not.

    Until the vCard was read they say that we are not ready. After `set_avatar` in the same session, send presence
    anew. A server that converts avatars (XEP-0398) adds the hash itself, and then this does nothing. Entering raises
    what asking raises, for the session of now.
    """
    update: list[VCardUpdate | None] = [VCardUpdate()]

    async def read(session: Session) -> None:
        update[0] = VCardUpdate()
        if await _converts(client):
            update[0] = None
            return
        card = await fetch_vcard(client)
        data = next((photo.data for photo in card.photos if photo.data), None)
        update[0] = VCardUpdate(photo="" if data is None else sha1(data))

    def announce(presence: Presence) -> Presence:
        if presence.type is PresenceType.AVAILABLE and update[0] is not None and presence.get(VCardUpdate) is None:
            presence.payloads.append(update[0])
        return presence

    with client.stream.service_outbound_presence_filter.context_register(announce, _ORDER):
        async with client.each_session(Step.SYNC, read):
            yield


#: The place among the filters of presences: behind those that decide what the presence says.
_ORDER: Final = 100


def checked(data: bytes | None) -> bytes:
    """Return the data of a photo. Raises `Unverified` if there are none."""
    if not data:
        raise Unverified("there is no image")
    return data
