"""The questions about hashes that are not known: one for each hash, few at a time, and not too many in a second.

A stranger can announce a new hash in each presence. So the hashes that wait are bounded, the newest win, and the
questions leave no faster than `rate` in a second after a burst of `most`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import trio

from ...jid import JID
from .verified import Announced

__all__ = ["Questions"]

#: How many entities that announce one hash are remembered while it is not known, each to be asked once.
CANDIDATES = 8


class _Question:
    """A hash that is not known, and those that announce it and have not been asked."""

    def __init__(self, announced: Announced) -> None:
        self.announced = announced
        self.candidates: OrderedDict[JID, str] = OrderedDict()
        self.is_open = False


class Questions:
    """Has ``ask(announced, jid, node)`` called for each hash; it returns whether that answered the question."""

    def __init__(
        self, ask: Callable[[Announced, JID, str], Awaitable[bool]], *, most: int, rate: float, unknown: int
    ) -> None:
        self._ask = ask
        self._most = most
        self._interval = 1 / rate
        self._unknown = unknown
        self._questions: OrderedDict[str, _Question] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._arrived = trio.Event()
        self._free = trio.Semaphore(most)
        self._paid_until = -math.inf

    def __len__(self) -> int:
        return len(self._questions)

    def add(self, announced: Announced, jid: JID) -> None:
        """Have the hash looked up that `jid` announces."""
        question = self._questions.get(announced.key)
        if question is None:
            question = self._questions[announced.key] = _Question(announced)
        question.candidates[jid] = announced.node
        if len(question.candidates) > CANDIDATES:
            question.candidates.popitem(last=False)
        if not question.is_open:
            self._waiting[announced.key] = None
            self._arrived.set()
        while len(self._waiting) > self._unknown:
            oldest, _ = self._waiting.popitem(last=False)
            del self._questions[oldest]

    def clear(self) -> None:
        """Forget all questions that have not been asked."""
        for key in self._waiting:
            del self._questions[key]
        self._waiting.clear()

    async def run(self) -> None:
        """Ask, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._free.acquire()
                await self._pace()
                nursery.start_soon(self._answer, await self._next())

    async def _pace(self) -> None:
        """Wait until another question may leave: a burst of `most`, then one each interval."""
        now = trio.current_time()
        self._paid_until = max(self._paid_until, now - self._most * self._interval) + self._interval
        await trio.sleep_until(self._paid_until)

    async def _next(self) -> _Question:
        while not self._waiting:
            self._arrived = trio.Event()
            await self._arrived.wait()
        key, _ = self._waiting.popitem()
        question = self._questions[key]
        question.is_open = True
        return question

    async def _answer(self, question: _Question) -> None:
        key = question.announced.key
        jid, node = question.candidates.popitem()
        try:
            is_answered = await self._ask(question.announced, jid, node)
        finally:
            self._free.release()
            question.is_open = False
        if is_answered or not question.candidates:
            self._questions.pop(key, None)
        elif self._questions.get(key) is question:
            self._waiting[key] = None
            self._arrived.set()
