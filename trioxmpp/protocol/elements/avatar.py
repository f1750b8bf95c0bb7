"""XEP-0084: User Avatar."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["DATA", "METADATA", "Data", "Info", "Metadata", "Pointer"]

#: The names of the two nodes, and their namespaces.
DATA: Final = "urn:xmpp:avatar:data"
METADATA: Final = "urn:xmpp:avatar:metadata"


@xml.element(DATA, "data")
class Data:
    """The octets of an image (§4.1)."""

    data: bytes = xml.text()


@xml.element(METADATA, "info")
class Info:
    """An image: its SHA-1 as `id`, its size in octets, its media type and its dimensions in pixels (§4.2.1)."""

    id: str = xml.attr()
    bytes: int = xml.attr(codec=xml.integer(0))
    type: str = xml.attr()
    width: int | None = xml.attr(default=None, codec=xml.lenient(int))
    height: int | None = xml.attr(default=None, codec=xml.lenient(int))
    url: str | None = xml.attr(default=None)


@xml.element(METADATA, "pointer")
class Pointer:
    """An image that another service holds (§4.2.2)."""

    id: str | None = xml.attr(default=None)
    bytes: int | None = xml.attr(default=None, codec=xml.lenient(int))
    type: str | None = xml.attr(default=None)
    width: int | None = xml.attr(default=None, codec=xml.lenient(int))
    height: int | None = xml.attr(default=None, codec=xml.lenient(int))
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(METADATA, "metadata")
class Metadata:
    """The images of an avatar, alike but for format and size; empty if the person shows none (§4.2)."""

    infos: tuple[Info, ...] = xml.children(lenient=True)
    pointers: tuple[Pointer, ...] = xml.children(lenient=True)
