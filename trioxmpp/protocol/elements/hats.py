"""XEP-0317: Hats."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Hat", "Hats"]

NS: Final = "urn:xmpp:hats:0"


@xml.element(NS, "hat")
class Hat:
    """A role of an occupant beside those of the room. `hue` is the angle of its colour (XEP-0392), 0 to 360."""

    uri: str = xml.attr()
    title: str = xml.attr()
    hue: float | None = xml.attr(default=None, codec=xml.lenient(float))
    lang: str | None = xml.attr("xml:lang", default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "hats")
class Hats:
    """The hats of an occupant. To be believed only if the room announces the feature."""

    hats: tuple[Hat, ...] = xml.children(lenient=True)
