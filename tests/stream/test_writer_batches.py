"""The number of stanzas that the writer takes at once."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import message


async def test_the_writer_keeps_up_with_a_sender_that_gives_it_turns(autojump_clock, scene):
    """A write takes several turns of the scheduler. A queue that grows with each turn of the sender has no end."""
    await scene.starts()
    longest = 0
    for number in range(64 * 30):
        scene.client.enqueue(message(str(number)))
        if number % 64 == 63:
            longest = max(longest, len(scene.stream.core.session.outgoing))
            await trio.lowlevel.checkpoint()
    assert longest <= 64 * 5
    await wait_all_tasks_blocked()
    assert len(scene.stream.core.session.outgoing) == 0
