"""Images of avatars as octets: which format they have, whether they are what was announced, and a cache of them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from ...errors import StanzaError
from ...record import field, record

__all__ = ["MAX_IMAGE", "Avatar", "AvatarCache", "Unverified", "image_type", "sha1", "verified"]

#: Octets of an image that is accepted.
MAX_IMAGE = 256 << 10


class Unverified(StanzaError):
    """Data are not what was announced: their hash, their size or their format is another one."""


@record
class Avatar:
    """An image that was verified: its SHA-1 in lower-case hexadecimal, its media type by its own first octets."""

    hash: str
    type: str
    data: bytes = field(repr=False)


def image_type(data: bytes) -> str | None:
    """Return the media type of an image by its first octets: PNG, JPEG, GIF or WebP. None for anything else.

    The type that the sender names does not count: it could mislead a program that shows images.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def sha1(data: bytes) -> str:
    """Return the SHA-1 in lower-case hexadecimal, the id of an avatar (XEP-0084 §3.1)."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def verified(data: bytes, hash: str, size: int | None = None, *, limit: int = MAX_IMAGE) -> Avatar:
    """Return an image, if it has this hash, this size and a format that is known. Raises `Unverified` otherwise."""
    if len(data) > limit:
        raise Unverified(f"the avatar has {len(data)} octets, more than {limit}")
    if size is not None and len(data) != size:
        raise Unverified(f"the avatar has {len(data)} octets, and {size} were announced")
    found = sha1(data)
    if found != hash.lower():
        raise Unverified("the avatar has another hash than the one that was announced")
    type = image_type(data)
    if type is None:
        raise Unverified("the avatar is not an image of a format that is known")
    return Avatar(found, type, data)


class AvatarCache:
    """Images by their hash, the most recently used ones. Several clients may share one."""

    def __init__(self, octets: int = 64 << 20) -> None:
        self._octets = octets
        self._used = 0
        self._avatars: OrderedDict[str, Avatar] = OrderedDict()

    def __len__(self) -> int:
        return len(self._avatars)

    def get(self, hash: str) -> Avatar | None:
        """Return an image, or None."""
        avatar = self._avatars.get(hash.lower())
        if avatar is not None:
            self._avatars.move_to_end(avatar.hash)
        return avatar

    def put(self, avatar: Avatar) -> None:
        """Keep an image, in place of those that were not used for the longest time."""
        if avatar.hash in self._avatars or len(avatar.data) > self._octets:
            return
        self._avatars[avatar.hash] = avatar
        self._used += len(avatar.data)
        while self._used > self._octets:
            self._used -= len(self._avatars.popitem(last=False)[1].data)
