"""Long work in slices: other tasks get their turn between them."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioxmpp.client.slices import Slices


async def test_slices_have_all_items_in_their_order_and_no_more_than_their_size():
    for number in (0, 1, 99, 100, 101, 1000):
        parts = [part async for part in Slices(range(number))]
        assert [item for part in parts for item in part] == list(range(number))
        assert all(0 < len(part) <= 100 for part in parts)
    assert [part async for part in Slices("abcde", 2)] == [["a", "b"], ["c", "d"], ["e"]]


async def test_other_tasks_run_between_two_slices_and_each_slice_sees_a_cancellation():
    turns = []

    async def other():
        while True:
            turns.append(None)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        seen = [len(turns) async for _ in Slices(range(1000))]
        nursery.cancel_scope.cancel()
    assert len(seen) == 10
    assert seen[-1] - seen[0] >= 8  # trio decides which of two tasks has its turn first
    slices = Slices(range(1000))
    await anext(slices)
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(slices)
    assert scope.cancelled_caught
    assert (await anext(slices))[0] == 100  # none was lost
    with trio.testing.assert_checkpoints(), pytest.raises(StopAsyncIteration):
        await anext(Slices(()))
