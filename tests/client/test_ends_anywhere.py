"""`connect` and its end, cancelled after each single step of the program in turn: nothing may be left of either."""

from __future__ import annotations

import itertools

import pytest
import trio
import trio.testing

from tests.dialogs import message
from trioxmpp.testing import cancelled_after


class Left:
    """The remains of a client: tasks, links, sessions."""

    def __init__(self, road) -> None:
        self._road = road
        self._tasks = trio.lowlevel.current_statistics().tasks_living

    async def is_nothing(self) -> None:
        server = self._road.server
        await trio.testing.wait_all_tasks_blocked()
        assert not server.links
        # Where no farewell came through, the server keeps a session that can be resumed, as after any broken link.
        assert all(session.hibernating for session in server.sessions.values())
        for jid in list(server.sessions):
            server.forget(jid)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == self._tasks


@pytest.mark.parametrize("sm", [True, False])
async def test_connecting_may_be_cancelled_at_any_moment(autojump_clock, road, sm):
    """The moment of success included: a caller that is cancelled then must not wait for a session without a user."""
    road.server.policy.sm = sm
    reached: set[str] = set()
    left = Left(road)
    for steps in itertools.count(1):
        began = trio.current_time()

        async def visit() -> None:
            async with road.connect():
                reached.add("body")
                trio.lowlevel.current_task().parent_nursery.cancel_scope.cancel()
                await trio.sleep_forever()

        async def cancelled() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(visit)

        was_cancelled = await cancelled_after(steps, cancelled)
        assert trio.current_time() - began <= 2.0
        await left.is_nothing()
        if not was_cancelled:
            break
    assert reached
    assert steps > 50


class Countdown(trio.abc.Instrument):
    """Cancels a scope after a number of steps of the program."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._scope = scope
        self._steps = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps -= 1
        if self._steps == 0:
            self._scope.cancel()


async def leave(road, steps: int, error: Exception | None = None) -> tuple[bool, bool]:
    """Connect, leave, and be cancelled after that many steps; return whether that was in time, and was noticed."""
    countdown = None
    try:
        with trio.CancelScope() as scope:
            async with road.connect() as client:
                tokens = [client.enqueue(message(str(number))) for number in range(3)]
                began = trio.current_time()
                countdown = Countdown(scope, steps)
                trio.lowlevel.add_instrument(countdown)
                if error is not None:
                    raise error
    finally:
        if countdown is not None:
            trio.lowlevel.remove_instrument(countdown)
        assert trio.current_time() - began <= 2.0
        assert all(token.state.is_final for token in tokens)
        assert not client.established
    return scope.cancel_called, scope.cancelled_caught


@pytest.mark.parametrize("sm", [True, False])
async def test_leaving_may_be_cancelled_at_any_moment(autojump_clock, road, sm):
    road.server.policy.sm = sm
    left = Left(road)
    noticed = 0
    for steps in itertools.count(1):
        in_time, was_cancelled = await leave(road, steps)
        await left.is_nothing()
        noticed += was_cancelled
        if not in_time:
            break
    assert noticed > 5


@pytest.mark.parametrize("sm", [True, False])
async def test_cancelling_who_leaves_by_an_error_does_not_hide_the_error(autojump_clock, road, sm):
    road.server.policy.sm = sm
    left = Left(road)
    for steps in range(1, 40):
        raised = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught:
            await leave(road, steps, raised)
        assert caught.value is raised
        await left.is_nothing()


async def test_a_broken_link_may_be_left_at_any_moment_of_its_repair(autojump_clock, road):
    left = Left(road)
    for steps in itertools.count(1):

        async def visit() -> None:
            async with road.connect() as client:
                session = road.session()
                session.link.reset()
                await road.server.until(lambda: session.resumptions)
                await client.send(message("I am back"))

        manager_began = trio.current_time()
        was_cancelled = await cancelled_after(steps * 5, visit)
        assert trio.current_time() - manager_began <= 10.0
        await left.is_nothing()
        if not was_cancelled:
            break
    assert steps > 20
