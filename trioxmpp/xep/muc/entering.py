"""How we get into a room: features first, then the join, the answer, the subject (XEP-0045 §7.2, §10.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from weakref import WeakKeyDictionary

import trio

from ...client import Client, Session
from ...errors import StanzaCondition, StanzaError, XMPPError
from ...jid import JID
from ...protocol import ns
from ...protocol.elements.disco import Info, InfoQuery
from ...protocol.elements.forms import DataForm, FormType
from ...protocol.elements.muc import OwnerQuery, OwnerSet
from ...protocol.stanza import Presence, PresenceShow, PresenceType
from ...record import field, record
from ..forms import FormError
from .forms import RoomConfig
from .hearing import Hearing
from .join import FromArchive, HistoryWanted, Joining, Rejoin, join_presence, occupant_jid
from .occupancy import Occupancy
from .outcome import linked_timeout
from .problems import JoinProblem, JoinRefused

__all__ = ["Configure", "Entrance", "Terms"]

_logger = logging.getLogger(__name__)

Configure = Callable[[RoomConfig], object]

#: The rooms that one client joins at a time: a server may take a burst of joins for an attack.
AT_ONCE = 10

#: Seconds that a room may take to tell its features.
INFO_TIMEOUT = 10.0

CREATED = 201

#: Errors that tell nothing of the room: then it has the features that it had.
_NOT_NOW = frozenset(
    {
        StanzaCondition.REMOTE_SERVER_NOT_FOUND,
        StanzaCondition.REMOTE_SERVER_TIMEOUT,
        StanzaCondition.RESOURCE_CONSTRAINT,
    }
)

_turns: WeakKeyDictionary[Client, trio.Semaphore] = WeakKeyDictionary()


@record
class Terms:
    """How a room is entered."""

    password: str | None = field(repr=False)
    create: bool | Configure
    history: HistoryWanted
    rejoin: Rejoin


class Entrance:
    """Enters the room of `occupancy` for `client`, under the nick `wanted` if that can be had."""

    def __init__(self, client: Client, occupancy: Occupancy, hearing: Hearing, wanted: str, terms: Terms) -> None:
        self.info: Info | None = None
        """The last answer of the room to disco#info; None if it gave none."""
        self.is_announced: bool = False
        """Whether a join was sent that no farewell has followed: the room may have us."""
        self._client = client
        self._occupancy = occupancy
        self._hearing = hearing
        self._wanted = wanted
        self._terms = terms
        self._rejoin = terms.rejoin
        self._show: PresenceShow | None = None
        self._status: str | None = None
        self._taken = 0
        """How often our nick was taken since we were in the room."""

    @property
    def password(self) -> str | None:
        """The password of the room."""
        return self._terms.password

    @property
    def address(self) -> JID:
        """Our address in the room, or the one that we want to have."""
        nick = self._occupancy.nick
        return occupant_jid(self._occupancy.room, self._wanted if nick is None else nick)

    def want_nick(self, nick: str) -> None:
        """Ask for this nick from now on."""
        self._wanted, self._taken = nick, 0

    def nick_taken(self) -> bool:
        """Ask for another nick, since ours is taken. Return whether this happens for the first time."""
        self._taken += 1
        return self._taken == 1

    def want_presence(self, show: PresenceShow | None, status: str | None) -> Presence:
        """Return the presence that tells the room of our state; joins to come tell it, too."""
        self._show, self._status = show, status
        return Presence(to=self.address, show=show, status=status)

    def farewell(self, session: Session) -> None:
        """Tell the room that we leave."""
        self.is_announced = False
        if session.ended is None:
            session.enqueue(Presence(type=PresenceType.UNAVAILABLE, to=self.address))

    def forgotten(self) -> None:
        """Note that the room does not have us any more."""
        self.is_announced = False

    async def enter(self, session: Session) -> None:
        """Join in turn. Raises JoinRefused, or the verdict of the room on a stay that ended while it began.

        If cancelled, the room may have us.
        """
        async with _turns.setdefault(self._client, trio.Semaphore(AT_ONCE)):
            await self.describe(session)
            joining = await self._join(session)
            if joining.renamed:  # the room still had us under another nick, and told us no occupants
                joining = await self._join(session)
        self._taken = 0
        self._occupancy.complete()

    async def describe(self, session: Session) -> None:
        """Ask the room what it is, and learn what of it can be believed."""
        try:
            self.info = await session.request(InfoQuery(), to=self._occupancy.room, timeout=INFO_TIMEOUT)
        except StanzaError as exc:
            _logger.debug("%s does not tell its features: %s", self._occupancy.room, exc)
            if not isinstance(exc, XMPPError) or exc.condition not in _NOT_NOW:
                self.info = None
        except TimeoutError:
            _logger.warning("%s was asked for its features and did not answer", self._occupancy.room)
        self._occupancy.features.learn(frozenset() if self.info is None else self.info.features)

    async def _join(self, session: Session) -> Joining:
        occupancy = self._occupancy
        nick = self._nick()
        presence = join_presence(
            occupant_jid(occupancy.room, nick), self._terms.password, self._history(), self._show, self._status
        )
        session.enqueue(presence)
        self.is_announced = True
        joining = Joining(nick, str(presence.id))
        occupancy.begin(joining)
        self._hearing.begin()
        try:
            await self._wait_answer(session, joining)
            if not joining.renamed:
                await self._wait_subject(session, joining)
            self._check_verdict()
        except BaseException:
            occupancy.give_up()
            raise
        return joining

    def _nick(self) -> str:
        """Return the nick to ask for: the one that we have, the one that we want, or another if that is taken."""
        if self._occupancy.joined and self._occupancy.nick is not None:
            return self._occupancy.nick
        return self._wanted if not self._taken else self._rejoin.other_nick(self._wanted, self._taken)

    def _history(self) -> int | datetime | None:
        """Return how much history to ask for: at first as was asked for, later what we have missed."""
        wanted = self._terms.history
        if isinstance(wanted, FromArchive):
            wanted = 0 if self.has_archive else None
        last = self._hearing.last_live if self._occupancy.was_away else None
        if not self._occupancy.has_been_in or wanted == 0 or last is None:
            return wanted if not self._occupancy.has_been_in else 0
        return last

    @property
    def has_archive(self) -> bool:
        """Whether the room announces an archive (XEP-0313 §7)."""
        return self.info is not None and ns.MAM in self.info.features

    async def _wait_answer(self, session: Session, joining: Joining) -> None:
        if not await linked_timeout(session, joining.answered, self._rejoin.deadline):
            self.farewell(session)
            text = f"no answer within {self._rejoin.deadline:g} seconds"
            raise JoinRefused(JoinProblem.UNREACHABLE, StanzaCondition.REMOTE_SERVER_TIMEOUT, text)
        self._check_verdict()
        if joining.refusal is not None:
            self.is_announced = False
            if joining.refusal.condition is StanzaCondition.ITEM_NOT_FOUND and self.info is not None:
                raise JoinRefused(JoinProblem.LOCKED, StanzaCondition.ITEM_NOT_FOUND, joining.refusal.texts)
            raise joining.refusal
        if CREATED not in joining.codes:
            return
        if not self._terms.create:
            self.farewell(session)
            was_in = self._occupancy.has_been_in
            raise JoinRefused(JoinProblem.VANISHED if was_in else JoinProblem.NO_ROOM, StanzaCondition.ITEM_NOT_FOUND)
        await self._configure(session)
        await self.describe(session)

    async def _configure(self, session: Session) -> None:
        """Unlock the room that we have created (XEP-0045 §10.1). Raises JoinRefused if that fails."""
        room, form = self._occupancy.room, DataForm(type=FormType.SUBMIT)
        try:
            if callable(self._terms.create):
                owner = await session.request(OwnerQuery(), to=room, timeout=self._rejoin.deadline)
                config = RoomConfig() if owner.form is None else RoomConfig.read(owner.form)
                self._terms.create(config)
                form = config.submit()
            await session.request(OwnerSet(form=form), to=room, timeout=self._rejoin.deadline)
        except (StanzaError, TimeoutError, FormError) as exc:
            self.farewell(session)
            condition = exc.condition if isinstance(exc, XMPPError) else StanzaCondition.REMOTE_SERVER_TIMEOUT
            raise JoinRefused(JoinProblem.OTHER, condition, "the new room cannot be configured") from exc

    async def _wait_subject(self, session: Session, joining: Joining) -> None:
        """Wait for the subject, or until the room is silent for a while. It need not send one (XEP-0045 §7.2.15)."""
        give_up_at = trio.current_time() + self._rejoin.deadline
        while not joining.complete.is_set():
            await session.wait_linked()
            until = min(self._occupancy.heard_at + self._rejoin.pause, give_up_at)
            if trio.current_time() >= until:
                return
            with trio.move_on_at(until):
                await joining.complete.wait()

    def _check_verdict(self) -> None:
        if self._occupancy.verdict is not None:
            raise self._occupancy.verdict
