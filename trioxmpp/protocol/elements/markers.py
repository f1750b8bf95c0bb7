"""XEP-0333: Displayed Markers, and the two markers that earlier versions had."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Acknowledged", "Displayed", "Markable", "Received"]

NS: Final = "urn:xmpp:chat-markers:0"


@xml.element(NS, "markable")
class Markable:
    """Asks the recipient of a message for markers (§4)."""


@xml.structure
class _Marker:
    id: str = xml.attr()


@xml.element(NS, "received")
class Received(_Marker):
    """The message with this id was received."""


@xml.element(NS, "displayed")
class Displayed(_Marker):
    """The message with this id, and all before it, were displayed to a person (§4)."""


@xml.element(NS, "acknowledged")
class Acknowledged(_Marker):
    """A person acknowledged the message with this id."""
