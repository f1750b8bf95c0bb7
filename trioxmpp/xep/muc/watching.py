"""Whether we are still in a room: a ping to ourselves, by way of the room, after a silence (XEP-0410).

The ping comes back only if the room has us. An error says that it has not, that it cannot be known now, or that our
nick is another one than we think; see XEP-0410 §3.
"""

from __future__ import annotations

import math

import trio

from ...client import Session
from ...errors import ErroneousStanza, StanzaCondition, XMPPError
from ...protocol.elements.disco import InfoQuery
from ...protocol.elements.ping import Ping
from .entering import Entrance, Terms
from .hearing import Hearing
from .occupancy import Occupancy
from .problems import GoneReason, LossCause, RoomGone, RoomLost

__all__ = ["Watch"]

_IN = frozenset({StanzaCondition.SERVICE_UNAVAILABLE, StanzaCondition.FEATURE_NOT_IMPLEMENTED})
_UNDECIDED = frozenset({StanzaCondition.REMOTE_SERVER_NOT_FOUND, StanzaCondition.REMOTE_SERVER_TIMEOUT})


class Watch:
    """Watches over a stay in a room."""

    def __init__(self, occupancy: Occupancy, hearing: Hearing, entrance: Entrance, terms: Terms) -> None:
        self._occupancy = occupancy
        self._hearing = hearing
        self._entrance = entrance
        self._may_create = bool(terms.create)
        self._rejoin = terms.rejoin

    async def run(self, session: Session) -> None:
        """Watch over the stay until it is over, and raise why; return if the room shall tell all occupants anew."""
        occupancy = self._occupancy
        asked_at, again_at, tries = -1.0, 0.0, 0
        resync_at = math.inf if self._rejoin.resync is None else trio.current_time() + self._rejoin.resync
        while True:
            if occupancy.verdict is not None:
                raise occupancy.verdict
            if session.ended is not None:
                raise RoomLost(occupancy.room, LossCause.SESSION)
            if occupancy.stale or trio.current_time() >= resync_at:
                await session.wait_linked()
                return
            is_undecided = occupancy.heard_at <= asked_at
            due = again_at if is_undecided else occupancy.heard_at + self._rejoin.silence
            if not occupancy.in_doubt and trio.current_time() < due:
                with trio.move_on_at(min(due, resync_at)):
                    await occupancy.news.park()
                continue
            tries = tries if is_undecided else 0
            if await self._ask(session):
                continue
            asked_at = trio.current_time()
            again_at = asked_at + self._rejoin.undecided[min(tries, len(self._rejoin.undecided) - 1)]
            tries += 1

    async def _ask(self, session: Session) -> bool:
        """Ask the room whether we are in it; return whether that is known now. Ends the stay if we are not."""
        occupancy = self._occupancy
        occupancy.asked()
        for _ in range(2):
            await session.wait_linked()
            try:
                await session.request(Ping(), to=self._entrance.address, timeout=self._rejoin.ping_timeout)
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
            self._occupancy.end(RoomLost(room, LossCause.NOT_IN_ROOM) if self._may_create else gone)
            return False
        except (ErroneousStanza, TimeoutError):
            return True
        return True
