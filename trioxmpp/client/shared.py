"""Things that several services of one client share: made by the first that needs one, ended by the last that leaves.

A service that must see a kind of stanza before the application does, however many blocks of it run, needs one place
that knows them all. This is that place, per client, so that no module has to keep a table of clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

__all__ = ["Shared"]

C = TypeVar("C")
T = TypeVar("T")


class _Entry:
    """One thing that is shared, and the number of blocks that hold it."""

    def __init__(self, block: AbstractContextManager[Any]) -> None:
        self.block = block
        self.value = block.__enter__()
        self.holders = 0


class Shared(Generic[C]):
    """The things that the services of `owner` share, by the functions that make them."""

    def __init__(self, owner: C) -> None:
        self._owner = owner
        self._entries: dict[object, _Entry] = {}

    @contextmanager
    def __call__(self, make: Callable[[C], AbstractContextManager[T]]) -> Iterator[T]:
        """``with`` block that gives what ``make(client)`` gives: the same for all blocks that run at a time.

        The first block enters ``make(client)``, the last one leaves it.
        """
        entry = self._entries.get(make)
        if entry is None:
            entry = self._entries[make] = _Entry(make(self._owner))
        entry.holders += 1
        try:
            yield entry.value
        finally:
            entry.holders -= 1
            if not entry.holders:
                del self._entries[make]
                entry.block.__exit__(None, None, None)
