"""Something that happens, and the functions and tasks that want to hear of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVarTuple

from .asyncness import is_async
from .inbound.inbox import DEFAULT_CAPACITY, Inbox, Overflow, Subscription
from .inbound.losses import Losses
from .inbound.turns import Turns

__all__ = ["Signal"]

_logger = logging.getLogger(__name__)

Ts = TypeVarTuple("Ts")


class Signal(Generic[*Ts]):
    """Functions that are called, in the order in which they were connected, each time something happens.

    Listeners are isolated: an exception in one of them is logged, the others are called, and it stays connected. Their
    results are ignored.
    """

    def __init__(
        self,
        *,
        turns: Turns | None = None,
        weigh: Callable[[*Ts], int] | None = None,
        losses: Losses | None = None,
        logger: logging.Logger = _logger,
    ) -> None:
        self._turns = turns
        self._weigh = weigh
        self._losses = losses
        self._logger = logger
        self.listeners: tuple[Callable[[*Ts], object], ...] = ()
        """The functions that are connected, in order. Only the signal changes it."""
        self._inboxes: dict[Inbox[Any], Callable[[*Ts], object]] = {}

    def connect(self, listener: Callable[[*Ts], object]) -> Callable[[*Ts], object]:
        """Call `listener` from now on. Returns it, so that this serves as a decorator. TypeError if it is async."""
        if is_async(listener):
            raise TypeError("a listener is a plain function; use subscribe() to hear of it in a task")
        self.listeners = (*self.listeners, listener)
        return listener

    def disconnect(self, listener: Callable[[*Ts], object]) -> None:
        """Call `listener` no more. ValueError if it is not connected."""
        listeners = list(self.listeners)
        listeners.remove(listener)
        self.listeners = tuple(listeners)

    @contextmanager
    def context_connect(self, listener: Callable[[*Ts], object]) -> Iterator[None]:
        """`listener` is called while the block runs."""
        self.connect(listener)
        try:
            yield
        finally:
            self.disconnect(listener)

    def subscribe(self, capacity: float = DEFAULT_CAPACITY, *, overflow: Overflow = "end") -> Subscription[Any]:
        """``async with`` block that gives an inbox of what was emitted: the argument, or a tuple if not just one.

        `capacity` and `overflow` are those of `Dispatcher.subscribe`.
        """

        def attach(inbox: Inbox[Any]) -> None:
            def put(*args: *Ts) -> None:
                values: tuple[Any, ...] = args
                octets = 0 if self._weigh is None else self._weigh(*args)
                inbox.put(values[0] if len(values) == 1 else values, octets)

            self._inboxes[inbox] = self.connect(put)

        def detach(inbox: Inbox[Any]) -> None:
            self.disconnect(self._inboxes.pop(inbox))

        inbox: Inbox[Any] = Inbox(
            capacity, overflow=overflow, turns=self._turns, losses=self._losses, logger=self._logger
        )
        return Subscription(attach, detach, inbox)

    def close(self, reason: Exception | None = None) -> None:
        """End the inbox of each subscription, once its consumer had what is in it, with `reason` or without one."""
        for inbox in self._inboxes:
            inbox.close(reason)

    def emit(self, *args: *Ts) -> None:
        """Call the listeners that are connected now."""
        for listener in self.listeners:
            try:
                listener(*args)
            except Exception:
                self._logger.exception("listener %r failed", listener)
