"""One task that keeps us in a room: it joins, watches, asks, and joins again, for as long as the block lasts.

    no session -> joining -> in the room -> lost -> joining ...

A stay is lost with its session, by a farewell of the room, or in silence: the service has restarted, or has given up
our server, and no stanza tells. So after a silence we send a ping to ourselves by way of the room (XEP-0410); it comes
back only if we are there. Nothing but a final refusal ends the loop: then it raises `RoomGone`, which leaves the block.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import trio

from ...client import Client, Event, Resumed, Session, Suspended, Trouble
from ...errors import ErroneousStanza, StanzaCondition, StanzaError, XMPPError
from ...jid import JID
from ...protocol.elements.disco import Info, InfoQuery
from ...protocol.elements.forms import DataForm, FormType
from ...protocol.elements.muc import OwnerQuery, OwnerSet
from ...protocol.elements.ping import Ping
from ...protocol.stanza import Presence, PresenceShow, PresenceType
from ...record import record
from .events import RoomBack
from .forms import RoomConfig
from .hearing import Hearing
from .join import HistoryWanted, Joining, Rejoin, join_presence, occupant_jid
from .occupancy import Occupancy
from .outcome import Outcome, linked_timeout
from .problems import GoneReason, JoinProblem, JoinRefused, LossCause, RoomGone, RoomLost

__all__ = ["Configure", "Keeper", "Terms"]

logger = logging.getLogger(__name__)

Configure = Callable[[RoomConfig], object]

#: The rooms that one client joins at a time: a server may take a burst of joins for an attack.
AT_ONCE = 10

#: Seconds that a room may take to tell its features or its configuration form.
INFO_TIMEOUT = 10.0

CREATED = 201

_IN = frozenset({StanzaCondition.SERVICE_UNAVAILABLE, StanzaCondition.FEATURE_NOT_IMPLEMENTED})
_UNDECIDED = frozenset({StanzaCondition.REMOTE_SERVER_NOT_FOUND, StanzaCondition.REMOTE_SERVER_TIMEOUT})
_FINAL = {
    JoinProblem.BANNED: GoneReason.BANNED,
    JoinProblem.MEMBERS_ONLY: GoneReason.MEMBERSHIP,
    JoinProblem.VANISHED: GoneReason.VANISHED,
}
#: Problems with the room itself: final unless we may create it.
_NO_ROOM = frozenset({JoinProblem.NO_ROOM, JoinProblem.LOCKED})

_turns: WeakKeyDictionary[Client, trio.Semaphore] = WeakKeyDictionary()


@record
class Terms:
    """How a room is entered."""

    password: str | None
    create: bool | Configure
    history: HistoryWanted
    rejoin: Rejoin


class Keeper:
    """Keeps `client` in the room of `occupancy`, under the nick `wanted` if that can be had."""

    def __init__(self, client: Client, occupancy: Occupancy, hearing: Hearing, nick: str, terms: Terms) -> None:
        self.first: Outcome[None] = Outcome()
        """How the first attempt to enter ended."""
        self.info: Info | None = None
        """What disco#info said of the room last; None if it gave no answer."""
        self.left = False
        """Whether the block was left."""
        self.session: Session | None = client.session
        """The session in which we are, or try to be, in the room."""
        self._client = client
        self._occupancy = occupancy
        self._hearing = hearing
        self._wanted = nick
        self._terms = terms
        self._rejoin = terms.rejoin
        self._show: PresenceShow | None = None
        self._status: str | None = None
        self._taken = 0
        """How often our nick was taken since we were in the room."""
        self._tried = trio.Event()
        """Set when an attempt in the session of now has ended, one way or the other."""
        self._is_lost = False
        """Whether `RoomLost` was told, and `RoomBack` was not."""
        self._asked_at = self._again_at = 0.0
        self._suspended_at: float | None = None
        self._addressed = False
        """Whether a join was sent that no farewell has followed."""

    # --- from the room

    def want_nick(self, nick: str) -> None:
        """Ask for this nick from now on."""
        self._wanted, self._taken = nick, 0

    def want_presence(self, show: PresenceShow | None, status: str | None) -> Presence:
        """Return the presence that tells the room of our state; joins to come tell it, too."""
        self._show, self._status = show, status
        return Presence(to=self._address(), show=show, status=status)

    def _address(self) -> JID:
        nick = self._occupancy.nick
        return occupant_jid(self._occupancy.room, self._wanted if nick is None else nick)

    @asynccontextmanager
    async def in_session(self, session: Session) -> AsyncIterator[None]:
        """A block that is one session: it begins when we are in the room, or the first attempt has failed."""
        if self.session is not session:
            self.session, self._tried = session, trio.Event()
            self._occupancy.news.unpark_all()
        try:
            await self._tried.wait()
            yield
        finally:
            # The block may also be left while the session goes on: then `leave` has something to do.
            if self.session is session and session.ended is not None:
                self.session = None
                self._addressed = False
                self._occupancy.end(RoomLost(self._occupancy.room, LossCause.SESSION))

    async def leave(self, deadline: float) -> None:
        """Leave the room, and wait for its farewell for `deadline` seconds; nothing happens if we are not there."""
        session, self.session, self.left = self.session, None, True
        self._occupancy.news.unpark_all()
        if session is None or session is not self._client.session or not self._addressed:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        farewell = self._occupancy.leave()
        was_in = self._occupancy.joined
        self._farewell(session)
        with trio.CancelScope(shield=True), trio.move_on_after(deadline):
            if was_in:
                await farewell.wait()

    def on_event(self, event: Event) -> None:
        """Hear of the link: after a long break it has to be asked whether we are still in the room."""
        if isinstance(event, Suspended):
            self._suspended_at = trio.current_time() if self._suspended_at is None else self._suspended_at
        elif isinstance(event, Resumed) and self._suspended_at is not None:
            if trio.current_time() - self._suspended_at > self._rejoin.long_break and self._occupancy.joined:
                self._occupancy.doubt()
            self._suspended_at = None

    async def follow_config(self) -> None:
        """Ask the room anew what it is after its configuration was changed, once a second at most."""
        known = self._hearing.config_changes
        while True:
            while known == self._hearing.config_changes or self.session is None:
                await self._occupancy.news.park()
            known = self._hearing.config_changes
            await self.describe(self.session)
            await trio.sleep(1.0)

    # --- the loop

    async def run(self) -> None:
        """Be in the room, one stay after the other. Raises `RoomGone`; returns if the first attempt is refused."""
        delays = self._rejoin.delays()
        while True:
            session = await self._wait_session()
            entered_at: float | None = None
            try:
                await self._enter(session)
                entered_at = trio.current_time()
                await self._watch(session)
            except JoinRefused as refusal:
                if not self._occupancy.has_been_in:
                    self.first.fail(refusal)
                    self._has_tried(session)
                    return
                delay = self._after_refusal(refusal, delays)
            except (RoomLost, RoomGone) as loss:
                if entered_at is not None and trio.current_time() - entered_at >= self._rejoin.stable:
                    delays = self._rejoin.delays()
                    self._occupancy.settled_down()
                delay = self._after_loss(session, loss, delays)
            except ConnectionError as exc:
                logger.debug("%s waits for the next session: %s", self._occupancy.room, exc)
                self._lose(RoomLost(self._occupancy.room, LossCause.SESSION))
                delay = self._rejoin.initial
            self._has_tried(session)
            await self._pause(session, delay)

    async def _wait_session(self) -> Session:
        while self.session is None or self.session.ended is not None:
            await self._occupancy.news.park()
        return self.session

    async def _pause(self, session: Session, delay: float) -> None:
        """Wait for `delay` seconds, or until the session is over."""
        with trio.move_on_after(delay):
            while self.session is session:
                await self._occupancy.news.park()

    def _has_tried(self, session: Session) -> None:
        if self.session is session:
            self._tried.set()

    def _after_refusal(self, refusal: JoinRefused, delays: Iterator[float]) -> float:
        """Return the delay before the next attempt. Raises `RoomGone` if there is to be none."""
        reason = _FINAL.get(refusal.reason)
        if refusal.reason in _NO_ROOM and not self._terms.create:
            is_gone = refusal.condition is StanzaCondition.GONE
            reason = GoneReason.DESTROYED if is_gone else GoneReason.VANISHED
        if reason is not None:
            self._end(RoomGone(self._occupancy.room, reason, refusal.text, alternate=refusal.alternate))
        logger.warning("%s cannot be entered again, and will be tried again: %s", self._occupancy.room, refusal)
        self._client.on_event.emit(Trouble(f"open_room {self._occupancy.room}", refusal))
        if refusal.reason is JoinProblem.NICK_TAKEN:
            self._taken += 1
            return 0.0 if self._taken == 1 else next(delays)
        return next(delays)

    def _after_loss(self, session: Session, loss: RoomLost | RoomGone, delays: Iterator[float]) -> float:
        """Return the delay before the next attempt. Raises `RoomGone` if there is to be none."""
        kicked = isinstance(loss, RoomGone) and loss.reason is GoneReason.KICKED
        delay = self._rejoin.after_kick if kicked else None
        if isinstance(loss, RoomGone):
            if delay is None:
                if loss.reason is GoneReason.TOO_BIG:
                    self._farewell(session)
                self._end(loss)
            loss = RoomLost(loss.room, LossCause.KICKED, loss.text)
        if loss.cause is LossCause.DISORDER and self._occupancy.is_first_disorder:
            return 0.0
        self._lose(loss)
        if loss.cause is LossCause.SESSION:
            return 0.0
        return next(delays) if delay is None else delay

    def _lose(self, loss: RoomLost) -> None:
        self._hearing.reflections.lost(loss)
        if self._occupancy.has_been_in and not self._is_lost:
            self._is_lost = True
            self._occupancy.events.emit(loss)

    def _end(self, gone: RoomGone) -> None:
        """Raise `gone`, once all tasks that wait know of it."""
        self._occupancy.end(gone)
        self._hearing.reflections.lost(gone)
        self._addressed = False
        self._tried.set()
        raise gone

    # --- entering

    async def _enter(self, session: Session) -> None:
        """Join in turn. Raises JoinRefused, or the verdict of the room on a stay that ended while it began."""
        async with _turns.setdefault(self._client, trio.Semaphore(AT_ONCE)):
            await self.describe(session)
            joining = await self._join(session)
            if joining.renamed:  # the room still had us under another nick, and told us no occupants
                joining = await self._join(session)
        self._taken = 0
        self._occupancy.complete()
        self._has_tried(session)
        self.first.set(None)
        if self._is_lost:
            self._is_lost = False
            self._occupancy.events.emit(RoomBack(str(self._occupancy.nick), tuple(self._hearing.history)))

    async def describe(self, session: Session) -> None:
        """Ask the room what it is, and learn what of it can be believed."""
        try:
            self.info = await session.request(InfoQuery(), to=self._occupancy.room, timeout=INFO_TIMEOUT)
        except StanzaError as exc:
            logger.debug("%s does not tell its features: %s", self._occupancy.room, exc)
            self.info = None
        except TimeoutError:
            logger.warning("%s was asked for its features and did not answer", self._occupancy.room)
        self._occupancy.features.learn(frozenset() if self.info is None else self.info.features)

    async def _join(self, session: Session) -> Joining:
        occupancy = self._occupancy
        nick = self._wanted if not self._taken else self._rejoin.other_nick(self._wanted, self._taken)
        presence = join_presence(
            occupant_jid(occupancy.room, nick), self._terms.password, self._history(), self._show, self._status
        )
        session.enqueue(presence)
        self._addressed = True
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

    def _history(self) -> HistoryWanted:
        """Return how much history to ask for: at first as was asked for, later what we have missed."""
        last = self._hearing.last_live
        if not self._occupancy.has_been_in or self._terms.history == 0 or last is None:
            return self._terms.history if not self._occupancy.has_been_in else 0
        return last

    async def _wait_answer(self, session: Session, joining: Joining) -> None:
        if not await linked_timeout(session, joining.answered, self._rejoin.deadline):
            self._farewell(session)
            text = f"no answer within {self._rejoin.deadline:g} seconds"
            raise JoinRefused(JoinProblem.UNREACHABLE, StanzaCondition.REMOTE_SERVER_TIMEOUT, text)
        self._check_verdict()
        if joining.refusal is not None:
            self._addressed = False
            if joining.refusal.condition is StanzaCondition.ITEM_NOT_FOUND and self.info is not None:
                raise JoinRefused(JoinProblem.LOCKED, StanzaCondition.ITEM_NOT_FOUND, joining.refusal.texts)
            raise joining.refusal
        if CREATED not in joining.codes:
            return
        if not self._terms.create:
            self._farewell(session)
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
        except (XMPPError, TimeoutError) as exc:
            self._farewell(session)
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

    def _farewell(self, session: Session) -> None:
        self._addressed = False
        if session.ended is None:
            session.enqueue(Presence(type=PresenceType.UNAVAILABLE, to=self._address()))

    # --- watching

    async def _watch(self, session: Session) -> None:
        """Watch over the stay until it is over; raise why."""
        occupancy = self._occupancy
        self._asked_at, self._again_at, tries = -1.0, 0.0, 0
        while True:
            self._check_verdict()
            if session.ended is not None:
                raise RoomLost(occupancy.room, LossCause.SESSION)
            is_undecided = occupancy.heard_at <= self._asked_at
            due = self._again_at if is_undecided else occupancy.heard_at + self._rejoin.silence
            if not occupancy.in_doubt and trio.current_time() < due:
                with trio.move_on_at(due):
                    await occupancy.news.park()
                continue
            tries = tries if is_undecided else 0
            if await self._ask(session):
                continue
            self._asked_at = trio.current_time()
            self._again_at = self._asked_at + self._rejoin.undecided[min(tries, len(self._rejoin.undecided) - 1)]
            tries += 1

    async def _ask(self, session: Session) -> bool:
        """Ask the room whether we are in it; return whether that is known now. Ends the stay if we are not."""
        occupancy = self._occupancy
        occupancy.asked()
        for _ in range(2):
            await session.wait_linked()
            try:
                await session.request(Ping(), to=self._address(), timeout=self._rejoin.ping_timeout)
            except XMPPError as error:
                if error.condition in _UNDECIDED:
                    return False
                if error.condition is StanzaCondition.ITEM_NOT_FOUND:
                    if not await self._exists(session):
                        return True
                    continue  # our nick may have changed while we asked
                if error.condition not in _IN:
                    occupancy.end(RoomLost(occupancy.room, LossCause.NOT_IN_ROOM, error.text))
                    return True
            except (ErroneousStanza, TimeoutError):
                return False
            occupancy.heard()
            self._hearing.reflections.in_the_room()
            return True
        occupancy.end(RoomLost(occupancy.room, LossCause.NOT_IN_ROOM))
        return True

    async def _exists(self, session: Session) -> bool:
        """Return whether the room exists; end the stay if it does not."""
        room = self._occupancy.room
        try:
            await session.request(InfoQuery(), to=room, timeout=self._rejoin.ping_timeout)
        except XMPPError as error:
            if error.condition not in (StanzaCondition.ITEM_NOT_FOUND, StanzaCondition.GONE):
                return True
            gone = RoomGone(room, GoneReason.VANISHED, error.text)
            self._occupancy.end(RoomLost(room, LossCause.NOT_IN_ROOM) if self._terms.create else gone)
            return False
        except (ErroneousStanza, TimeoutError):
            return True
        return True
