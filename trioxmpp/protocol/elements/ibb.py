"""XEP-0047: In-Band Bytestreams."""

from __future__ import annotations

import enum
from typing import Final

from ... import xml
from ..stanza import Set

__all__ = ["NS", "Close", "Data", "Open", "StanzaKind"]

NS: Final = "http://jabber.org/protocol/ibb"


class StanzaKind(enum.StrEnum):
    """The stanzas that carry the data (§2.1)."""

    IQ = "iq"
    MESSAGE = "message"


@xml.element(NS, "open")
class Open(Set[None]):
    """Asks for a bytestream (§2.1). `block_size` is the largest number of octets in a block, before base64."""

    block_size: int = xml.attr("block-size", codec=xml.integer(1, 65535))
    sid: str = xml.attr()
    stanza: StanzaKind | str = xml.attr(default=StanzaKind.IQ)


@xml.element(NS, "data")
class Data(Set[None]):
    """A block (§2.2). `base64` is its content, and may be malformed; `seq` counts the blocks of one direction."""

    seq: int = xml.attr(codec=xml.integer(0, 65535))
    sid: str = xml.attr()
    base64: str = xml.text(repr=False)


@xml.element(NS, "close")
class Close(Set[None]):
    """Closes a bytestream (§2.3)."""

    sid: str = xml.attr()
