"""Both ends of XEP-0198, as values, on a link that loses what it likes: against a model that is two lists.

A program is a list of steps, chosen by hypothesis. `Model` never looks into the machines: it knows what each end has
sent, what the other one has handled of it, and counts without an end. Each machine has to agree after each step.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.protocol import sm
from trioxmpp.protocol.sm import HandledCountTooHigh, StreamManagement

PROOF = bool(os.environ.get("TRIOXMPP_PROOF"))
PROGRAMS = int(os.environ.get("TRIOXMPP_PROGRAMS") or (6000 if PROOF else 200))
WRAP = 2**32


class Model:
    """One direction: stanzas are the numbers from 0 on; the counters of both ends began at `start`."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.sent = 0
        self.handled = 0
        self.told = 0
        """How many the sender knows to be handled."""

    def h(self, count: int) -> int:
        return (self.start + count) % WRAP


class World:
    """Two ends and a link; `wire[end]` is what `end` has put on it and has not arrived."""

    def __init__(self, starts: tuple[int, int]) -> None:
        self.starts = starts
        self.sessions = 0
        self.begin()

    def begin(self) -> None:
        """Both ends have agreed on a new session."""
        self.models = [Model(start) for start in self.starts]
        self.machines: list[StreamManagement[int]] = [
            StreamManagement(base=self.starts[end] % WRAP, handled=self.starts[1 - end] % WRAP) for end in (0, 1)
        ]
        self.acked: list[list[int]] = [[], []]
        self.arrived: list[list[int]] = [[], []]
        self.wire: list[list[Any]] = [[], []]
        self.up = True
        self.sessions += 1

    # --- what may happen

    def send(self, end: int, count: int) -> None:
        for _ in range(count):
            number = self.models[end].sent
            self.machines[end].sent(number)
            self.models[end].sent += 1
            if self.up:
                self.wire[end].append(number)

    def ask(self, end: int, _: int) -> None:
        if self.up:
            self.wire[end].append(sm.REQUEST)

    def arrive(self, end: int, count: int) -> None:
        """The first `count` elements that `end` has sent arrive at the other one, which processes them."""
        for _ in range(min(count, len(self.wire[end]))):
            element = self.wire[end].pop(0)
            if element == sm.REQUEST:
                self.wire[1 - end].append(sm.ack(self.machines[1 - end].handled))
            elif isinstance(element, str):
                self.settle(1 - end, sm.parse_ack(xml.fromstring(element)))
            else:
                self.arrived[end].append(element)
                self.machines[1 - end].received()
                self.models[end].handled += 1

    def settle(self, end: int, h: int) -> None:
        """`end` hears how much the other one has handled: as many as it had when it said so."""
        self.acked[end] += self.machines[end].acked(h)
        self.models[end].told += (h - self.models[end].h(self.models[end].told)) % WRAP

    def overack(self, end: int, excess: int) -> None:
        """A count that is too high changes nothing, and says what is right."""
        machine, model = self.machines[end], self.models[end]
        with pytest.raises(HandledCountTooHigh) as caught:
            machine.acked(model.h(model.sent + 1 + excess))
        assert (caught.value.h, caught.value.send_count) == (model.h(model.sent + 1 + excess), model.h(model.sent))

    def lose(self, end: int, count: int) -> None:
        """The link breaks: a few elements of one end still arrive."""
        if self.up:
            self.arrive(end, count)
            self.wire = [[], []]
            self.up = False

    def resume(self, how: int, dies: int) -> None:
        """End 0 asks to resume. It `dies` before the other one hears of it (1), or before the answer is here (2)."""
        if self.up or dies == 1:
            return
        self.settle(1, self.machines[0].handled)
        if dies == 2:
            return
        self.settle(0, self.machines[1].handled)
        assert self.models[0].told == self.models[0].handled
        self.up = True
        for end in (0, 1):
            self.wire[end] = list(self.machines[end].in_flight())
            assert self.wire[end] == list(range(self.models[end].handled, self.models[end].sent))

    def refuse(self, counts: int, _: int) -> None:
        """End 1 has forgotten the session, except perhaps for its count; what is left is undelivered, or unknown."""
        if self.up:
            return
        if counts % 2:
            self.settle(0, self.machines[1].handled)
            assert self.acked[0] == self.arrived[0]
        lost = list(self.machines[0].unacked)
        assert self.acked[0] + lost == list(range(self.models[0].sent))
        self.begin()

    # --- what must hold

    def check(self) -> None:
        for end in (0, 1):
            machine, model = self.machines[end], self.models[end]
            assert self.arrived[end] == list(range(model.handled)), "lost, doubled, or out of order"
            assert self.acked[end] == list(range(model.told)), "settled what was not acknowledged, or not in order"
            assert list(machine.unacked) == list(range(model.told, model.sent)), "forgotten, or settled twice"
            assert machine.base == model.h(model.told)
            assert self.machines[1 - end].handled == model.h(model.handled)
            flying = [element for element in self.wire[end] if isinstance(element, int)]
            assert not self.up or self.arrived[end] + flying == list(range(model.sent))


STEPS = ["send", "send", "arrive", "arrive", "ask", "overack", "lose", "resume", "resume", "refuse"]
step = st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(0, 4))
start = st.integers(WRAP - 8, WRAP + 2)
programs = st.integers(1, 60).flatmap(lambda length: st.lists(step, min_size=length, max_size=length))


@settings(max_examples=PROGRAMS, derandomize=not PROOF)
@given(starts=st.tuples(start, start), program=programs)
def test_two_machines_agree_with_two_lists(tally, starts, program):
    with tally.program("counters", len(program)):
        world = World(starts)
        for name, end, count in program:
            getattr(world, name)(end, count)
            world.check()
