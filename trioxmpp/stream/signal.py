"""Something that happens, and who wants to hear of it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVarTuple

from .inbox import DEFAULT_CAPACITY, Inbox, Subscription

__all__ = ["Signal"]

logger = logging.getLogger(__name__)

Ts = TypeVarTuple("Ts")


class Signal(Generic[*Ts]):
    """Functions that are called, in the order in which they were connected, each time something happens.

    Listeners are isolated: what one of them raises is logged, and neither the others nor the stream notice, nor is it
    disconnected. What they return is ignored.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[*Ts], object], ...] = ()

    def connect(self, listener: Callable[[*Ts], object]) -> Callable[[*Ts], object]:
        """Call `listener` from now on. Returns it, so that this serves as a decorator. TypeError if it is async."""
        if inspect.iscoroutinefunction(listener):
            raise TypeError("a listener is a plain function; use subscribe() to hear of it in a task")
        self._listeners = (*self._listeners, listener)
        return listener

    def disconnect(self, listener: Callable[[*Ts], object]) -> None:
        """Call `listener` no more. ValueError if it is not connected."""
        listeners = list(self._listeners)
        listeners.remove(listener)
        self._listeners = tuple(listeners)

    @contextmanager
    def context_connect(self, listener: Callable[[*Ts], object]) -> Iterator[None]:
        """`listener` is called while the block runs."""
        self.connect(listener)
        try:
            yield
        finally:
            self.disconnect(listener)

    def subscribe(self, capacity: float = DEFAULT_CAPACITY) -> Subscription[Any]:
        """``async with`` block that gives an inbox of what was emitted: the argument, or a tuple if not just one."""
        listeners: dict[Inbox[Any], Callable[[*Ts], object]] = {}

        def attach(inbox: Inbox[Any]) -> None:
            def put(*args: *Ts) -> None:
                values: tuple[Any, ...] = args
                inbox.put(values[0] if len(values) == 1 else values)

            listeners[inbox] = self.connect(put)

        return Subscription(attach, lambda inbox: self.disconnect(listeners.pop(inbox)), capacity)

    def emit(self, *args: *Ts) -> None:
        """Call the listeners that are connected now."""
        for listener in self._listeners:
            try:
                listener(*args)
            except Exception:
                logger.exception("listener %r failed", listener)
