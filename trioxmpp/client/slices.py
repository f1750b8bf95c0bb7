"""Long work in slices: whatever the length of a list that a peer sent, the loop is not held for more than a few ms."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Generic, Self, TypeVar

import trio

__all__ = ["SLICE", "Slices"]

T = TypeVar("T")

#: Items of one slice. To read and keep one takes some ten microseconds, and a checkpoint as much.
SLICE = 100


class Slices(Generic[T]):
    """An asynchronous iterator over lists of at most `size` items. Before each of them other tasks get their turn."""

    def __init__(self, items: Iterable[T], size: int = SLICE) -> None:
        self._items = iter(items)
        self._size = size

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[T]:
        """Return the next slice. Cancelling loses none."""
        await trio.lowlevel.checkpoint()
        taken = list(islice(self._items, self._size))
        if not taken:
            raise StopAsyncIteration
        return taken
