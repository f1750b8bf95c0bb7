"""One attempt to enter a room, and the terms on which a room is entered again (XEP-0045 §7.2).

A join is a presence to the occupant address that we want. The room answers with the presences of all occupants, our
own one last, marked with status 110; then comes the history, then the subject, which may be empty. A refusal is an
error presence, from that address or from the room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum
from typing import Final

import trio

from ...client import ReconnectPolicy
from ...errors import StanzaCondition
from ...jid import JID, JIDError
from ...protocol.elements.muc import History, Join
from ...protocol.stanza import Presence, PresenceShow
from ...record import record
from .problems import JoinProblem, JoinRefused

__all__ = ["FROM_ARCHIVE", "HistoryWanted", "Joining", "Rejoin", "join_presence", "occupant_jid", "underscored"]


class FromArchive(Enum):
    """The only value is `FROM_ARCHIVE`."""

    FROM_ARCHIVE = "the archive of the room has what was missed"


#: A join asks for no history if the room has an archive, which `open_room_timeline` reads. Another room is left to
#: send as much as it likes, and later what was missed.
FROM_ARCHIVE: Final = FromArchive.FROM_ARCHIVE

#: How much history a join asks for: a number of messages, or all since a moment; None leaves it to the room.
HistoryWanted = int | datetime | FromArchive | None


def underscored(nick: str, attempt: int) -> str:
    """Return another nick for one that is taken: with an underscore for each attempt."""
    return nick + "_" * attempt


@record
class Rejoin:
    """How a stay in a room is healed. All times are in seconds.

    A lost stay is replaced after a random delay of between `initial` and three times the one before, `maximum` at most;
    it starts over once a stay has lasted for `stable`. `after_kick` is the delay after a kick by a moderator; with None
    a kick is `RoomGone`. `other_nick` gives another nick when ours was taken meanwhile, by the nick and the number of
    the attempt.

    A join may take `deadline`; the subject may follow our own presence after a `pause`, and if it does not, the room is
    entered all the same. After a `silence` of the room, and after a break of the link of more than `long_break`, we
    ping ourselves there (XEP-0410). An answer may take `ping_timeout`. If it cannot be known whether we are in the
    room, we ask again after the delays of `undecided`, the last of which repeats.

    A service that forgets an occupant tells the others, or should. Where that cannot be relied on, `resync` is the time
    after which the room is asked for all occupants anew; that costs one presence for each of them. None: never.
    """

    initial: float = 1.0
    maximum: float = 600.0
    stable: float = 60.0
    after_kick: float | None = None
    other_nick: Callable[[str, int], str] = underscored
    deadline: float = 60.0
    pause: float = 8.0
    silence: float = 900.0
    long_break: float = 60.0
    ping_timeout: float = 60.0
    undecided: tuple[float, ...] = (300.0, 600.0, 1200.0)
    resync: float | None = None

    def delays(self) -> Iterator[float]:
        """Return the delays before each attempt, in seconds."""
        return ReconnectPolicy(initial=self.initial, maximum=self.maximum).delays()


def occupant_jid(room: JID, nick: str) -> JID:
    """Return the address of an occupant. Raises JoinRefused if no address can hold the nick.

    Rooms allow nicks that RFC 7622 does not, such as an emoji; the room decides.
    """
    try:
        return room.replace(resource=nick)
    except JIDError:
        pass
    try:
        return JID.parse_inbound(f"{room}/{nick}")
    except JIDError as exc:
        raise JoinRefused(JoinProblem.NICK_MALFORMED, StanzaCondition.JID_MALFORMED, str(exc)) from None


def join_presence(
    to: JID,
    password: str | None,
    history: int | datetime | None,
    show: PresenceShow | None = None,
    status: str | None = None,
) -> Presence:
    """Return the presence that enters a room."""
    wanted = None
    if isinstance(history, datetime):
        wanted = History(since=history)
    elif history is not None:
        wanted = History(maxstanzas=history) if history else History(maxchars=0, maxstanzas=0)
    return Presence(to=to, show=show, status=status, payloads=[Join(password=password, history=wanted)])


class Joining:
    """One attempt to enter: what the room has answered so far.

    `nick` is the one that we ask for, `id` that of the presence.
    """

    def __init__(self, nick: str, id: str) -> None:
        self.nick = nick
        self.id = id
        self.codes: frozenset[int] = frozenset()
        """The status codes of our own presence."""
        self.own_nick: str | None = None
        """The nick that the room gave us, once our own presence has come."""
        self.renamed = False
        """Whether the room took the join for a change of the nick: then it has not told the occupants."""
        self.refusal: JoinRefused | None = None
        self.answered: trio.Event = trio.Event()
        """Set when our own presence or a refusal has come."""
        self.complete: trio.Event = trio.Event()
        """Set when the subject has come, or all is over."""

    def refuse(self, refusal: JoinRefused) -> None:
        """Note that the room does not let us in."""
        self.refusal = self.refusal or refusal
        self.answered.set()
        self.complete.set()

    def enter(self, nick: str, codes: frozenset[int]) -> None:
        """Note that our own presence has come."""
        self.own_nick = nick
        self.codes |= codes
        self.answered.set()
