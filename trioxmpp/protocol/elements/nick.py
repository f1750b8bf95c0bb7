"""XEP-0172: User Nickname."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Nick"]

NS: Final = "http://jabber.org/protocol/nick"


@xml.element(NS, "nick")
class Nick:
    """The name by which a person wants to be called (§3). It says nothing about identity."""

    nick: str = xml.text()
