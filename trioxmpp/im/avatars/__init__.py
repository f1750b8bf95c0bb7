"""Avatars: XEP-0084 in nodes, and XEP-0153 in vCards where a server does not convert them (XEP-0398).

await set_avatar(client, Path("juliet.png").read_bytes())

async with open_avatars(client, cache=AvatarCache()) as avatars, avatars.changes() as changes:
    async for change in changes:
        image = await avatars.fetch(change.owner)
"""

from .gallery import AvatarChanged, Gallery, open_avatars
from .image import Avatar, AvatarCache, Unverified, image_type
from .own import announced_avatar, disable_avatar, set_avatar

__all__ = [
    "Avatar",
    "AvatarCache",
    "AvatarChanged",
    "Gallery",
    "Unverified",
    "announced_avatar",
    "disable_avatar",
    "image_type",
    "open_avatars",
    "set_avatar",
]
