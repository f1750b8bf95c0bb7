"""XEP-0153: vCard-Based Avatars."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["VCardUpdate"]

NS: Final = "vcard-temp:x:update"


@xml.element(NS, "x")
class VCardUpdate:
    """The SHA-1 of the photo in the vCard of the sender, in hexadecimal (§3).

    None means that the sender does not know the photo yet, and ``""`` that there is none (§3.1).
    """

    photo: str | None = xml.child_text(default=None)
