"""XEP-0049: Private XML Storage."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Get, Set

__all__ = ["PrivateData", "PrivateQuery", "SetPrivate"]

NS: Final = "jabber:iq:private"


@xml.structure
class _Private:
    payload: xml.Payload | None = xml.any_child(default=None)


@xml.element(NS, "query")
class PrivateData(_Private):
    """One element that the account stored (§2.3)."""


@xml.element(NS, "query")
class PrivateQuery(_Private, Get[PrivateData]):
    """Asks for the stored element of the name and namespace of the payload (§2.3)."""


@xml.element(NS, "query")
class SetPrivate(_Private, Set[None]):
    """Stores the payload in place of the element of its name and namespace (§2.2)."""
