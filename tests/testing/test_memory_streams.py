"""Links in memory obey the rules of trio's streams, and break like real ones."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioxmpp.testing import Faults, FaultyStream, memory_link


async def link():
    return memory_link()


async def clogged_link():
    ours, theirs = memory_link(capacity=1)
    for stream in (ours, theirs):
        await stream.send_all(b"x")
    return ours, theirs


async def faulty_link():
    ours, theirs = memory_link()
    return FaultyStream(ours, Faults(), ours.reset), FaultyStream(theirs, Faults(), theirs.reset)


async def clogged_faulty_link():
    ours, theirs = await clogged_link()
    return FaultyStream(ours, Faults(), ours.reset), FaultyStream(theirs, Faults(), theirs.reset)


async def test_a_link_passes_trios_checks_of_streams():
    await trio.testing.check_half_closeable_stream(link, clogged_link)


async def test_a_stream_without_faults_passes_trios_checks_of_streams():
    await trio.testing.check_two_way_stream(faulty_link, clogged_faulty_link)


async def test_each_direction_passes_trios_checks_of_streams():
    await trio.testing.check_one_way_stream(link, clogged_link)
    await trio.testing.check_one_way_stream(faulty_link, clogged_faulty_link)


async def test_one_read_gets_one_segment(autojump_clock):
    ours, theirs = memory_link()
    await ours.send_all(b"one")
    await ours.send_all(b"two")
    assert await theirs.receive_some() == b"one"
    assert await theirs.receive_some(1) == b"t"
    assert await theirs.receive_some(10) == b"wo"


async def test_after_a_close_the_other_end_reads_all_and_then_the_end(autojump_clock):
    ours, theirs = memory_link()
    await ours.send_all(b"last words")
    ours.close()
    assert await theirs.receive_some() == b"last words"
    assert await theirs.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await theirs.send_all(b"too late")


async def test_after_a_reset_the_other_end_reads_all_and_then_fails(autojump_clock):
    ours, theirs = memory_link()
    await ours.send_all(b"last words")
    ours.reset()
    assert await theirs.receive_some() == b"last words"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await theirs.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.send_all(b"too late")


async def test_a_reset_wakes_waiting_tasks(autojump_clock):
    ours, theirs = memory_link(capacity=1)

    async def fail(function, *args) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await function(*args)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail, theirs.receive_some)
        nursery.start_soon(fail, theirs.send_all, b"more than fits")
        await trio.testing.wait_all_tasks_blocked()
        ours.reset()


# --- faults


def faulty(faults: Faults, capacity: float = float("inf")):
    """The server's end, on which things go wrong, and the client's."""
    raw, theirs = memory_link(capacity)
    return FaultyStream(raw, faults, raw.reset), theirs


async def test_a_cut_lets_the_planned_number_of_bytes_out(autojump_clock):
    ours, theirs = faulty(Faults(cut_out=5))
    await ours.send_all(b"012")
    with pytest.raises(trio.BrokenResourceError, match="as planned"):
        await ours.send_all(b"345")
    assert ours.sent == 5
    assert await theirs.receive_some() == b"012"
    assert await theirs.receive_some() == b"34"
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_a_cut_lets_the_planned_number_of_bytes_in(autojump_clock):
    ours, theirs = faulty(Faults(cut_in=5))
    await theirs.send_all(b"0123456789")
    assert await ours.receive_some() == b"01234"
    assert ours.received == 5
    with pytest.raises(trio.BrokenResourceError, match="as planned"):
        await ours.receive_some()


async def test_a_black_hole_swallows_bytes_and_the_end(autojump_clock):
    ours, theirs = faulty(Faults(black_hole_in=2, black_hole_out=3))
    await ours.send_all(b"01234")
    assert await theirs.receive_some() == b"012"
    await theirs.send_all(b"abc")
    assert await ours.receive_some() == b"ab"
    theirs.close()
    with trio.move_on_after(1000) as scope:
        await ours.receive_some()
    assert scope.cancelled_caught
    assert ours.mute


async def test_a_delay_makes_each_segment_late(autojump_clock):
    ours, theirs = faulty(Faults(delay=2.0))
    began = trio.current_time()
    await ours.send_all(b"x")
    assert trio.current_time() - began == 2.0
    await theirs.send_all(b"y")
    assert await ours.receive_some() == b"y"
    assert trio.current_time() - began == 4.0


async def test_a_stream_delivers_one_byte_at_a_time(autojump_clock):
    ours, theirs = faulty(Faults(one_byte=True))
    await ours.send_all(b"abc")
    assert [await theirs.receive_some() for _ in range(3)] == [b"a", b"b", b"c"]
    await theirs.send_all(b"xyz")
    assert [await ours.receive_some() for _ in range(3)] == [b"x", b"y", b"z"]


async def test_garbage_comes_once_after_the_planned_number_of_bytes(autojump_clock):
    ours, theirs = faulty(Faults(garbage=b"\x00!", garbage_after=3))
    for _ in range(3):
        await ours.send_all(b"ab")
    assert [await theirs.receive_some() for _ in range(3)] == [b"ab", b"ab", b"\x00!ab"]


@pytest.mark.parametrize("direction", ["in", "out", "both"])
async def test_a_stall_stops_one_direction(autojump_clock, direction):
    ours, theirs = faulty(Faults())
    ours.stall(direction)
    await theirs.send_all(b"in")
    with trio.move_on_after(10) as reading:
        assert await ours.receive_some() == b"in"
    with trio.move_on_after(10) as writing:
        await ours.send_all(b"out")
    assert reading.cancelled_caught is (direction in ("in", "both"))
    assert writing.cancelled_caught is (direction in ("out", "both"))
