"""The race itself: a candidate that got there and is not used is closed, and a loser may run again."""

from __future__ import annotations

import pytest
import trio

from trioxmpp.client.race import Race, Search


class Runner:
    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.runs = self.open = 0

    async def run(self) -> None:
        self.runs += 1
        await trio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.open += 1

    async def aclose(self) -> None:
        self.open -= 1
        await trio.lowlevel.checkpoint()


class Waiter(Runner):
    """Gets there when the gate opens. A cancellation would wake one that sleeps, so it would not arrive."""

    def __init__(self, gate: trio.Event) -> None:
        super().__init__(0)
        self.gate = gate

    async def run(self) -> None:
        await self.gate.wait()
        self.open += 1


async def test_of_two_who_arrive_at_the_same_time_one_is_closed(autojump_clock, nursery):
    gate = trio.Event()
    one, two = Waiter(gate), Waiter(gate)
    race = Race([one, two])

    async def open_gate() -> None:
        await trio.sleep(1)
        gate.set()

    nursery.start_soon(open_gate)
    winner = await race.next_winner()
    assert winner in (one, two)
    assert one.open + two.open == 1
    assert winner.open == 1
    assert not race.is_over
    other = await race.next_winner()
    assert {winner, other} == {one, two}
    assert other.open == 1
    assert race.is_over
    assert await race.next_winner() is None


async def test_a_loser_runs_again_and_a_failure_does_not(autojump_clock):
    failed, slow, fast = Runner(0, OSError("no")), Runner(5), Runner(1)
    race = Race([failed, slow, fast])
    assert await race.next_winner() is fast
    assert await race.next_winner() is slow
    assert await race.next_winner() is None
    assert (failed.runs, slow.runs, fast.runs) == (1, 2, 1)


async def test_an_error_that_is_not_the_failure_of_a_way_comes_out(autojump_clock):
    mistake = KeyError("a mistake")
    other = Runner(5)
    with pytest.raises(KeyError) as raised:
        await Race([Runner(1, mistake), other]).next_winner()
    assert raised.value is mistake
    assert other.open == 0


async def test_a_winner_is_closed_when_all_is_cancelled(autojump_clock):
    with trio.CancelScope() as scope:

        class Canceller(Runner):
            async def run(self) -> None:
                await super().run()
                scope.cancel(reason="just now")

        last = Canceller(1)
        race = Race([last, Runner(5)])
        await race.next_winner()
    assert scope.cancelled_caught
    assert last.open == 0


async def test_the_finds_of_a_search_take_its_place(autojump_clock):
    first, second, third = Runner(10), Runner(10), Runner(0.1)

    async def look() -> list[Runner]:
        await trio.sleep(0.1)
        return [first, second]

    race = Race([Search(look), third])
    assert await race.next_winner() is third
    assert (first.runs, second.runs) == (1, 1)
    assert trio.current_time() == pytest.approx(0.1 + 0.25 + 0.25 + 0.1)


async def test_a_search_that_finds_nothing_is_no_end(autojump_clock):
    async def fails() -> list[Runner]:
        raise OSError("nothing")

    runner = Runner(0)
    assert await Race([Search(fails), runner]).next_winner() is runner
    assert await Race[Runner]([Search(fails)]).next_winner() is None
