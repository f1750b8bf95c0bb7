"""The fate of an outgoing stanza: `StanzaToken` and its eight states.

The application holds a `StanzaToken`: it can look, wait, and retract. The stream holds the same object as an
`OutgoingStanza`, which can change the state as well.
"""

from __future__ import annotations

import enum
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from ...errors import StanzaAborted, StanzaDropped
from ...protocol.stanza import IQ, Message, Presence
from ..asyncness import is_async

__all__ = ["ACKED", "ACTIVE", "SENT", "OnStateChange", "OutgoingStanza", "StanzaState", "StanzaToken"]

_module_logger = logging.getLogger(__name__)


class StanzaState(enum.Enum):
    """The states of an outgoing stanza. All but ACTIVE and SENT are final."""

    # There is one of each, and the hash of its name, which is the default, costs much more.
    if not TYPE_CHECKING:  # checkers take an alias for a field
        __hash__ = object.__hash__

    ACTIVE = "active"
    """Enqueued, not yet taken by the stream."""
    SENT = "sent"
    """Sent with stream management, not yet acknowledged."""
    ACKED = "acked"
    """Sent, and the server acknowledged it."""
    SENT_WITHOUT_SM = "sent-without-sm"
    """Sent, but it will never be acknowledged: whether the server has it is unknown."""
    ABORTED = "aborted"
    """Retracted before it was sent."""
    DROPPED = "dropped"
    """Dropped by a filter."""
    DISCONNECTED = "disconnected"
    """The stream ended before it was sent, or the server said afterwards that it never got it."""
    FAILED = "failed"
    """Could not be written as XML, or is larger than the server takes, or ended every link on which it was sent."""

    @property
    def is_final(self) -> bool:
        """Whether a stanza in this state will stay in it."""
        return self is not ACTIVE and self is not SENT


#: The usual ones. Before Python 3.12 it takes five times as long to look up a member of an enum as a global name.
ACTIVE: Final = StanzaState.ACTIVE
SENT: Final = StanzaState.SENT
ACKED: Final = StanzaState.ACKED

_NEXT: dict[StanzaState, frozenset[StanzaState]] = {
    **dict.fromkeys(StanzaState, frozenset()),
    ACTIVE: frozenset(StanzaState) - {ACTIVE, ACKED},
    SENT: frozenset({ACKED, StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED, StanzaState.FAILED}),
}


#: A function that is called with the token of a stanza and its new state.
OnStateChange: TypeAlias = "Callable[[StanzaToken, StanzaState], object]"


class StanzaToken:
    """Follows one stanza up to the server, and no further: receipts of the recipient are XEP-0184.

    `stanza` is what was enqueued, even if a filter sent something else in its place. ``await token`` waits until the
    stanza was sent; with stream management, until the server acknowledged it. Cancelling the last task that awaits the
    token retracts the stanza, if it is still ACTIVE. `on_state_change` is called with the token and its new state after
    each change; an exception in it is logged.
    """

    __slots__ = (
        "_awaiting",
        "_exception",
        "_is_sent_awaited",
        "_logger",
        "_lot",
        "_state",
        "_taken",
        "_thread",
        "_watchers",
        "on_state_change",
        "size",
        "stanza",
    )

    def __init__(
        self,
        stanza: Message | Presence | IQ,
        *,
        on_state_change: OnStateChange | None = None,
        logger: logging.Logger = _module_logger,
        size: int | None = None,
    ) -> None:
        if on_state_change is not None and is_async(on_state_change):
            raise TypeError("on_state_change is a plain function; changes() tells a task of each state")
        self._logger = logger
        self._thread = threading.get_ident()
        self.stanza: Message | Presence | IQ = stanza
        self.on_state_change: OnStateChange | None = on_state_change
        self.size: int = stanza.approximate_size() if size is None else size
        """The octets of the stanza, roughly, when the token was made."""
        self._state = ACTIVE
        self._exception: Exception | None = None
        self._taken = False  # by the writer, which alone decides from then on
        self._awaiting = 0  # how many tasks are in `await token`
        self._lot: trio.lowlevel.ParkingLot | None = None
        self._is_sent_awaited = False  # else no task needs to wake for it, for it is not final
        self._watchers: tuple[Callable[[StanzaState], None], ...] = ()

    def __repr__(self) -> str:
        return f"<StanzaToken {self._state.name} of {self.stanza!r}>"

    # A token is one of its kind, but `SessionLost.undelivered` holds tokens, and errors are copied and pickled.
    def __copy__(self) -> StanzaToken:
        return self

    def __deepcopy__(self, memo: object) -> StanzaToken:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _settled, (self.stanza, self._state if self._state.is_final else StanzaState.DISCONNECTED)

    if TYPE_CHECKING:

        @property
        def state(self) -> StanzaState:
            """The current state."""
            ...

    else:  # without a call of Python, since the writer looks at each token
        state = property(attrgetter("_state"), doc="The current state.")

    @property
    def exception(self) -> Exception | None:
        """The exception that ``await token`` raises, or would raise: None unless the stanza was not sent."""
        if self._exception is not None and self._state is StanzaState.FAILED:
            return self._exception
        match self._state:
            case StanzaState.ABORTED:
                return StanzaAborted("stanza aborted")
            case StanzaState.DROPPED:
                return StanzaDropped("stanza dropped by filter")
            case StanzaState.DISCONNECTED:
                return ConnectionError("disconnected: the session is over, and the server does not have this stanza")
            case StanzaState.FAILED:
                return ValueError("failed to send stanza")
            case _:
                return None

    def abort(self) -> None:
        """Retract the stanza. Harmless if it is aborted already; RuntimeError if it has left the queue."""
        if self._thread != threading.get_ident():
            raise RuntimeError("this stanza belongs to another thread; call this there, with trio.from_thread.run_sync")
        if self._state is StanzaState.ABORTED:
            return
        if self._state is not ACTIVE or self._taken:
            raise RuntimeError(f"cannot abort: the stanza was already sent ({self._state.name})")
        self._set_state(StanzaState.ABORTED)

    def _retract(self) -> None:
        """`abort`, if it is not too late for that."""
        if self._state is ACTIVE and not self._taken:
            self._set_state(StanzaState.ABORTED)

    def __await__(self) -> Generator[Any, Any, None]:
        return self._sent().__await__()

    async def _sent(self) -> None:
        """Wait until the stanza was sent; cancelling the last who waits retracts it, if that is still possible.

        Raises ConnectionError (DISCONNECTED), StanzaAborted, StanzaDropped, or the reason of a failure.
        """
        self._awaiting += 1
        try:
            await self.wait()
        except trio.Cancelled:
            if self._awaiting == 1:
                self._retract()
            raise
        finally:
            self._awaiting -= 1
        if self._state is not ACKED and (exception := self.exception) is not None:
            raise exception

    async def wait(self, *states: StanzaState) -> StanzaState:
        """Wait until the stanza is in one of `states`, or in any final one, and return the state it is in.

        Unlike ``await token`` this raises nothing, and cancelling it does not touch the stanza.
        """
        if self._state in states or self._state.is_final:
            await trio.lowlevel.checkpoint()
            return self._state
        if self._lot is None:
            self._lot = trio.lowlevel.ParkingLot()
        self._is_sent_awaited = self._is_sent_awaited or SENT in states
        while not (self._state in states or self._state.is_final):
            await self._lot.park()
        return self._state

    def changes(self) -> StateChanges:
        """An asynchronous iterator over the states from the current one on; it ends after a final one."""
        return StateChanges(self)

    def _watch(self, watcher: Callable[[StanzaState], None]) -> None:
        """Call `watcher` with each state from now on."""
        self._watchers += (watcher,)

    def _set_state(self, state: StanzaState, exception: Exception | None = None) -> None:
        if state is self._state:
            return  # retransmission, or settled twice in the same way: nothing that could be seen
        if state not in _NEXT[self._state]:
            raise RuntimeError(f"trioxmpp bug: {self!r} cannot become {state.name}")
        self._state = state
        self._exception = exception
        if self._lot is not None and (state is not SENT or self._is_sent_awaited):
            self._lot.unpark_all()
        if self._watchers:
            watchers = self._watchers
            if state.is_final:
                self._watchers = ()  # most of them know the token: without this, only the garbage collector frees both
            for watcher in watchers:
                watcher(state)
        if self.on_state_change is not None:
            try:
                self.on_state_change(self, state)
            except Exception:
                self._logger.exception("on_state_change of %r failed", self)


class OutgoingStanza(StanzaToken):
    """The stream's end of a token, as trio's memory channels have two ends: only the stream changes the state."""

    __slots__ = ()

    become: Final = StanzaToken._set_state
    watch: Final = StanzaToken._watch
    retract: Final = StanzaToken._retract

    def take(self) -> None:
        """Mark the stanza as being written: it cannot be retracted any more."""
        self._taken = True


class StateChanges:
    """The states of a token, one by one; `StanzaToken.changes` makes it."""

    def __init__(self, token: StanzaToken) -> None:
        self._token = token
        self._states = deque([token.state])
        self._wakeup = trio.lowlevel.ParkingLot()
        self._ended = False
        token._watch(self._changed)

    def _changed(self, state: StanzaState) -> None:
        self._states.append(state)
        self._wakeup.unpark()

    def __aiter__(self) -> StateChanges:
        return self

    async def __anext__(self) -> StanzaState:
        """The next state. Cancelling loses none."""
        if self._ended:
            await trio.lowlevel.checkpoint()
            raise StopAsyncIteration
        if self._states:
            await trio.lowlevel.checkpoint()
        while not self._states:
            await self._wakeup.park()
        state = self._states.popleft()
        if state.is_final:
            self._ended = True
            self._token._watchers = tuple([one for one in self._token._watchers if one != self._changed])
        return state


def _settled(stanza: Message | Presence | IQ, state: StanzaState) -> StanzaToken:
    """Return a token that follows nothing any more: a pickled one, in a process that does not have the stream."""
    token = StanzaToken(stanza)
    token._state = state
    return token
