"""XEP-0280: Message Carbons, as far as a session is told to have them."""

from __future__ import annotations

from ... import xml
from .. import ns
from ..stanza import Set

__all__ = ["Enable"]


@xml.element(ns.CARBONS, "enable")
class Enable(Set[None]):
    """Please send this session copies of what our other sessions send and get."""
