"""The occupants of a room: which of them are there, and which one a presence is about (XEP-0045 §7.2, XEP-0421).

A nick is a place, not an identity: an occupant may change it, and another account may take it the next minute. An
`Occupant` is the same object for as long as the stay lasts, through changes of the nick. Where the room announces
occupant ids, it is also the same object after a re-join, ours or its own.

A room that we join again tells all occupants anew. `Occupants.begin_resync` marks the ones that are known, presences
take the marks away, and `Occupants.end_resync` removes the occupants that are still marked: they left meanwhile.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator

from ...jid import JID
from ...protocol.elements.hats import Hat, Hats
from ...protocol.elements.muc import Affiliation, Item, Role
from ...protocol.elements.muc import Occupant as OccupantElement
from ...protocol.elements.occupant_id import OccupantId
from ...protocol.elements.vcard_update import VCardUpdate
from ...protocol.stanza import Presence, PresenceShow
from ...record import record

__all__ = ["Features", "Occupant", "OccupantState", "Occupants", "Seen", "affiliation_of", "role_of", "state_of"]

#: Limits for the words of one occupant: each may write as much as a stanza holds, and there are many of them.
MAX_STATUS, MAX_SESSIONS, MAX_HATS, MAX_ID = 4_096, 64, 16, 1_024

#: The occupants that have left and would be recognised by their occupant id.
REMEMBERED = 1_000


def affiliation_of(item: Item | None) -> Affiliation:
    """Return the affiliation in an item; an unknown one is as none."""
    value = None if item is None else item.affiliation
    return value if isinstance(value, Affiliation) else Affiliation.NONE


def role_of(item: Item | None) -> Role:
    """Return the role in an item; an unknown one is as none."""
    value = None if item is None else item.role
    return value if isinstance(value, Role) else Role.NONE


@record
class OccupantState:
    """The content of the last presence of an occupant.

    `jids` are the real addresses of its sessions, where the room shows them: one for each client that shares the nick.
    `sessions` is their number as far as the room tells it.
    """

    affiliation: Affiliation = Affiliation.NONE
    role: Role = Role.NONE
    jids: tuple[JID, ...] = ()
    sessions: int = 1
    show: PresenceShow | None = None
    status: str | None = None
    hats: tuple[Hat, ...] = ()
    avatar: str | None = None


def state_of(presence: Presence, element: OccupantElement, *, hats: bool) -> OccupantState:
    """Return what an available presence says of its occupant, in bounds; its hats only if the room gives them."""
    worn = avatar = status = None
    if len(presence.payloads) > 1:
        worn, avatar = presence.get(Hats) if hats else None, presence.get(VCardUpdate)
    if presence.statuses:
        status = (presence.status or "")[:MAX_STATUS]
    return OccupantState(
        affiliation=affiliation_of(element.item),
        role=role_of(element.item),
        jids=tuple([item.jid for item in element.items[:MAX_SESSIONS] if item.jid is not None]),
        sessions=max(len(element.items), 1),
        show=presence.show,
        status=status,
        hats=() if worn is None else tuple([Hat(uri=hat.uri, title=hat.title) for hat in worn.hats[:MAX_HATS]]),
        avatar=None if avatar is None or avatar.photo is None else avatar.photo[:MAX_ID],
    )


class Features:
    """The features of a room that decide what is believed. Until the room has announced them there are none."""

    def __init__(self) -> None:
        self.occupant_ids: bool = False
        self.hats: bool = False
        self.stanza_ids: bool = False
        self.stable_id: bool = False

    def learn(self, features: frozenset[str]) -> None:
        """Take over what disco#info says of the room."""
        self.occupant_ids = "urn:xmpp:occupant-id:0" in features
        self.hats = "urn:xmpp:hats:0" in features
        self.stanza_ids = "urn:xmpp:sid:0" in features or "urn:xmpp:mam:2" in features
        self.stable_id = "http://jabber.org/protocol/muc#stable_id" in features


class Occupant:
    """An account in a room, for as long as it stays.

    `nick` may change while the object stays the same. Compare occupants by ``is``, or by `id` where it is not None.
    """

    __slots__ = ("_claimed_id", "_features", "_nick", "_state", "_stay")

    def __init__(
        self, nick: str, claimed_id: str | None, state: OccupantState, features: Features, stay: int = 0
    ) -> None:
        self._nick = nick
        self._stay = stay
        self._claimed_id = claimed_id
        self._state = state
        self._features = features

    @property
    def nick(self) -> str:
        """The present nick, or the last one of an occupant that has left."""
        return self._nick

    @property
    def stay(self) -> int:
        """A number that no other occupant of this block of the room has had."""
        return self._stay

    @property
    def id(self) -> str | None:
        """The occupant id (XEP-0421): the same for each stay of the account. None if the room announces no ids."""
        return self._claimed_id if self._features.occupant_ids else None

    @property
    def claimed_id(self) -> str | None:
        """The occupant id in its presence, which it may have forged unless the room announces ids."""
        return self._claimed_id

    @property
    def state(self) -> OccupantState:
        """The content of its last presence, as a value."""
        return self._state

    @property
    def affiliation(self) -> Affiliation:
        """The affiliation of its account with the room."""
        return self._state.affiliation

    @property
    def role(self) -> Role:
        """Its role in the room."""
        return self._state.role

    @property
    def jid(self) -> JID | None:
        """The real address of its account; None where the room does not show it."""
        return self._state.jids[0].bare if self._state.jids else None

    @property
    def hats(self) -> tuple[Hat, ...]:
        """Its hats (XEP-0317), if the room announces that it gives them."""
        return self._state.hats if self._features.hats else ()

    def take(self, nick: str, state: OccupantState) -> None:
        """Take over a new nick and state; the book of occupants calls this."""
        self._nick, self._state = nick, state

    def __repr__(self) -> str:
        return f"<Occupant {self._nick[:50]!r} {self.affiliation} {self.role}>"


@record
class Seen:
    """The change that a presence made: the occupant, its state and nick before (None if it is new)."""

    occupant: Occupant
    before: OccupantState | None
    nick_before: str | None


class Occupants:
    """The occupants of one room by nick, and by the id that they claim."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._by_nick: dict[str, Occupant] = {}
        self._by_id: dict[str, Occupant] = {}
        self._stale: set[str] = set()
        """The nicks that the present resync has not confirmed."""
        self._stays = itertools.count(1)
        self._left: OrderedDict[str, Occupant] = OrderedDict()
        """Occupants that have left, by id."""

    def __len__(self) -> int:
        return len(self._by_nick)

    def __iter__(self) -> Iterator[Occupant]:
        return iter([*self._by_nick.values()])

    def by_nick(self, nick: str | None) -> Occupant | None:
        """Return the occupant that has this nick now, or None."""
        return None if nick is None else self._by_nick.get(nick)

    def by_id(self, id: str) -> Occupant | None:
        """Return the occupant with this id, or None, also if the room announces no ids."""
        return self._by_id.get(id) if self._features.occupant_ids else None

    def see(self, nick: str, presence: Presence, element: OccupantElement) -> tuple[Seen, Occupant | None]:
        """Take over an available presence. Return what it changed, and the occupant that it displaced, or None."""
        claimed = presence.get(OccupantId) if len(presence.payloads) > 1 else None
        claimed = None if claimed is None or len(claimed.id) > MAX_ID else claimed
        id = None if claimed is None or not self._features.occupant_ids else claimed.id
        state = state_of(presence, element, hats=self._features.hats)
        occupant, displaced = self._by_nick.get(nick), None
        if occupant is not None and id is not None and occupant.id not in (None, id):
            displaced = self.remove(nick)  # another account has the nick: the farewell was lost, or we were away
            occupant = None
        if occupant is None and id is not None:
            moved = self._by_id.get(id)
            if moved is not None and moved.nick in self._stale:  # it changed its nick while we were away
                self._forget_place(moved)
                occupant = moved
        self._stale.discard(nick)
        if occupant is not None:
            seen = Seen(occupant, occupant.state, occupant.nick)
            occupant.take(nick, state)
            self._by_nick[nick] = occupant
            if id is not None:
                self._by_id.setdefault(id, occupant)
            return seen, displaced
        returned = self._left.pop(id, None) if id is not None else None
        occupant = returned or Occupant(
            nick, None if claimed is None else claimed.id, state, self._features, next(self._stays)
        )
        occupant.take(nick, state)
        self._by_nick[nick] = occupant
        if claimed is not None:
            self._by_id.setdefault(claimed.id, occupant)
        return Seen(occupant, None, None), displaced

    def rename(self, nick: str, new: str) -> tuple[Occupant | None, Occupant | None]:
        """Give the occupant `nick` the nick `new`. Return it, and the occupant that it displaced; None for neither."""
        occupant = self._by_nick.get(nick)
        if occupant is None or nick == new:
            return occupant, None
        displaced = self.remove(new)
        self._forget_place(occupant)
        occupant.take(new, occupant.state)
        self._by_nick[new] = occupant
        return occupant, displaced

    def remove(self, nick: str) -> Occupant | None:
        """Remove and return the occupant that has this nick, or None."""
        occupant = self._by_nick.get(nick)
        if occupant is None:
            return None
        self._forget_place(occupant)
        claimed = occupant.claimed_id
        if claimed is not None and self._by_id.get(claimed) is occupant:
            del self._by_id[claimed]
            if occupant.id is not None:
                self._left[claimed] = occupant
            if len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
        return occupant

    def begin_resync(self) -> None:
        """Note that the room is about to tell all occupants anew."""
        self._stale = set(self._by_nick)

    def end_resync(self) -> list[Occupant]:
        """Remove, and return, the occupants that the room did not tell again: they have left meanwhile."""
        stale, self._stale = self._stale, set()
        return [occupant for nick in stale if (occupant := self.remove(nick)) is not None]

    def _forget_place(self, occupant: Occupant) -> None:
        self._by_nick.pop(occupant.nick, None)
        self._stale.discard(occupant.nick)
