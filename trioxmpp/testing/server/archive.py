"""An archive: the messages of one account or of one room, oldest first, and the choice of a page of them (XEP-0313).

A query first narrows the archive down by a form (`Archive.matching`), and then takes a page of what is left by Result
Set Management (XEP-0059): the first items, the last ones, or those after or before an item whose id the client knows.
If the archive does not know that id, servers answer in three different ways; see `Dialect.archive_cursor`.
"""

from __future__ import annotations

import copy
import datetime
import secrets
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import trio
from lxml import etree

from ... import xml
from ...jid import JID
from ...protocol import ns
from .dialect import Dialect
from .stanzas import NAMES, build

__all__ = ["Archive", "Item", "Page", "Preferences"]

_SID = f"{{{ns.SID}}}stanza-id"
_BODY = f"{{{ns.CLIENT}}}body"
HINTS = "{urn:xmpp:hints}"
_KEPT = (
    "{urn:xmpp:receipts}received",
    "{urn:xmpp:chat-markers:0}displayed",
    "{jabber:x:conference}x",
)


@dataclass(frozen=True, slots=True)
class Item:
    """A message in an archive, and the other side of the conversation that it belongs to.

    `written` is the time, by the clock of the scheduler, from which on queries find it. Its place is that of its
    arrival.
    """

    id: str
    time: datetime.datetime
    other: JID
    stanza: xml.Element
    written: float = 0.0

    @property
    def stamp(self) -> str:
        """The time, as XEP-0082 writes it."""
        return self.time.isoformat().removesuffix("+00:00") + "Z"


@dataclass(slots=True)
class Page:
    """A part of the items that match a query."""

    items: list[Item]
    complete: bool
    """Whether no item that matches is beyond the page, in the direction of the query."""
    count: int
    """The number of items that match."""


@dataclass(slots=True)
class Preferences:
    """Which messages the owner wants to be archived (XEP-0441)."""

    default: str = "always"
    always: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)

    def want(self, other: JID, contacts: Container[str]) -> bool:
        """Return whether messages of a conversation with `other` are kept."""
        names = {str(other), str(other.bare)}
        if not names.isdisjoint(self.never):
            return False
        if not names.isdisjoint(self.always) or self.default == "always":
            return True
        return self.default == "roster" and str(other.bare) in contacts


class Archive:
    """At most `history` messages."""

    def __init__(self, history: int) -> None:
        self.items: deque[Item] = deque(maxlen=history)
        self.preferences: Preferences = Preferences()
        self.clock_error: datetime.timedelta = datetime.timedelta()
        """How far the clock of the archive is ahead of the true time."""
        self._numbers: dict[str, int] = {}
        """The items by their ids, counted from the first that was ever kept: so a page of many is found at once."""
        self._kept = 0
        self._unwritten = 0.0
        """The time from which on queries find all items."""

    def keep(
        self,
        stanza: xml.Element,
        other: JID,
        owner: str,
        dialect: Dialect,
        *,
        always: bool = False,
        forge: bool = False,
        lag: float = 0.0,
    ) -> xml.Element:
        """Put a message into the archive, if it is worth it; return it with the id that it got there (XEP-0359).

        `owner` is the bare JID of the archive. A message that is not kept is returned as it is. `always` keeps it even
        if it has nothing that is worth it. With `forge`, ids that the sender claims stay in it. Queries do not find it
        before `lag` seconds have passed.
        """
        stamped = copy.deepcopy(stanza)
        if not (dialect.forged_ids_kept or forge):
            for forged in [each for each in stamped.iterchildren(_SID) if each.get("by") == owner]:
                stamped.remove(forged)
        if not (always or worth_keeping(stanza, dialect)):
            return stamped
        now = datetime.datetime.now(datetime.UTC) + self.clock_error
        id = secrets.token_hex(12)
        sid = build(ns.SID, "stanza-id", by=owner, id=id)
        archived = copy.deepcopy(stamped)
        stamped.append(sid)
        if dialect.archive_signed:
            archived.append(copy.copy(sid))
        self._append(Item(id, now, other, archived, trio.current_time() + lag if lag else 0.0))
        return stamped

    def _append(self, item: Item) -> None:
        self.items.append(item)
        self._kept += 1
        self._numbers[item.id] = self._kept
        self._unwritten = max(self._unwritten, item.written)
        if len(self._numbers) > 2 * len(self.items) + 1_000:
            self._numbers = {each.id: self._numbers[each.id] for each in self.items if each.id in self._numbers}

    def matching(
        self,
        with_: JID | None = None,
        start: datetime.datetime | None = None,
        end: datetime.datetime | None = None,
        ids: Container[str] | None = None,
    ) -> list[Item]:
        """Return the items of a conversation, a span of time, or with certain ids, as far as they are written."""
        is_whole = with_ is None and start is None and end is None and ids is None
        if is_whole and (not self._unwritten or self._unwritten <= trio.current_time()):
            return [*self.items]
        return [
            item
            for item in self.items
            if (not item.written or item.written <= trio.current_time())
            and (with_ is None or with_ in (item.other, item.other.bare))
            and (start is None or start <= item.time)
            and (end is None or item.time <= end)
            and (ids is None or item.id in ids)
        ]

    def page(self, items: Sequence[Item], size: int, after: str | None, before: str | None, cursor: str) -> Page:
        """Return a page of `items`, which are all items or some of them. An empty `before` means the last page.

        Raises KeyError if an id is unknown and `cursor` is "error".
        """
        count = len(items)
        places = {id: place for id in (after, before) if id and (place := self._place(items, id)) is not None}
        unknown = [id for id in (after, before) if id and id not in places]
        if unknown and cursor == "error":
            raise KeyError(unknown[0])
        if unknown and cursor == "empty":
            return Page([], True, count)
        first = places[after] + 1 if after in places else 0
        if before is None or (before and before not in places):
            chosen = items[first : first + size]
            return Page([*chosen], first + size >= count, count)
        last = places.get(before, count)
        begin = max(last - size, first)
        return Page([*items[begin:last]], begin <= first, count)

    def _place(self, items: Sequence[Item], id: str) -> int | None:
        """Return the index of the item with an id in `items`. In all items its number tells that; in some, look."""
        if items:
            guess = self._numbers.get(id, 0) - self._numbers.get(items[0].id, 0)
            if 0 <= guess < len(items) and items[guess].id == id:
                return guess
        return next((place for place, item in enumerate(items) if item.id == id), None)


def worth_keeping(stanza: xml.Element, dialect: Dialect) -> bool:
    """Return whether a message goes into an archive: by its type, hints (XEP-0334), body, or payload."""
    if NAMES[str(stanza.tag)] != "message" or stanza.get("type", "normal") not in ("chat", "normal", "groupchat"):
        return False
    names = {str(child.tag) for child in stanza if isinstance(child.tag, str)}
    if names & {f"{HINTS}no-store", f"{HINTS}no-permanent-store"}:
        return False
    if f"{HINTS}store" in names or _BODY in names:
        return True
    return dialect.keeps_receipts and not names.isdisjoint(_KEPT)


def forwarded(item: Item, *, delay_from: str | None, delay_last: bool) -> xml.Element:
    """Return the ``<forwarded/>`` of an archived message (XEP-0297)."""
    late = build(ns.DELAY, "delay", from_=delay_from, stamp=item.stamp)
    wrapper = etree.Element(f"{{{ns.FORWARD}}}forwarded", nsmap={None: ns.FORWARD})
    wrapper.extend([copy.deepcopy(item.stanza), late] if delay_last else [late, copy.deepcopy(item.stanza)])
    return wrapper
