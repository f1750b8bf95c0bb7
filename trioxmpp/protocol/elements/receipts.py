"""XEP-0184: Message Delivery Receipts."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Received", "Request"]

NS: Final = "urn:xmpp:receipts"


@xml.element(NS, "request")
class Request:
    """Asks the recipient of a message for a receipt (§4)."""


@xml.element(NS, "received")
class Received:
    """The receipt for the message with this id (§4)."""

    id: str = xml.attr()
