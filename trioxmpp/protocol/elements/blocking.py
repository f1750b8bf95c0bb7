"""XEP-0191: Blocking Command."""

from __future__ import annotations

from typing import Final

from ... import xml
from ...jid import JID
from ..stanza import Get, Set
from .reporting import Report

__all__ = ["Block", "Blocked", "Blocklist", "BlocklistQuery", "Item", "Unblock"]

NS: Final = "urn:xmpp:blocking"


@xml.element(NS, "item")
class Item:
    """An address: bare or full, a domain, or a domain with a resource (§3.1), and a report (XEP-0377)."""

    jid: JID = xml.attr()
    report: Report | None = xml.child(default=None, lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.structure
class _Change:
    # Strict: an <unblock/> whose only item is skipped would mean all addresses.
    items: tuple[Item, ...] = xml.children()


@xml.element(NS, "blocklist")
class Blocklist:
    """The addresses that the account blocks (§3.2)."""

    items: tuple[Item, ...] = xml.children(lenient=True)


@xml.element(NS, "blocklist")
class BlocklistQuery(Get[Blocklist]):
    """Asks for the addresses that the account blocks (§3.2)."""


@xml.element(NS, "block")
class Block(_Change, Set[None]):
    """Blocks addresses (§3.3), or is the push that reports it."""


@xml.element(NS, "unblock")
class Unblock(_Change, Set[None]):
    """Unblocks addresses (§3.4), or without items all of them (§3.5); or is the push that reports it."""


@xml.element(f"{NS}:errors", "blocked")
class Blocked:
    """The application-specific condition of a stanza to an address that we block (§3.6)."""
