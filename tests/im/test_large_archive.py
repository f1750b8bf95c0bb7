"""A large archive: each message is given once, in order, in little memory.

The peer is that of the benchmarks, a process of its own, which answers with ready-made text. `make test` reads 20,000
messages, and `make proof` 100,000. The cost of one message is measured by ``make bench``.
"""

from __future__ import annotations

import gc
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

import trioxmpp
from tests.benchmarks import crowds, floors
from trioxmpp.im.timeline import CaughtUp, Source, TimelineEvent, open_timeline

COUNT = 100_000 if os.environ.get("TRIOXMPP_PROOF") else 20_000
#: Octets by which the process may grow meanwhile.
GROWTH = 40 << 20


def size_of(name: str) -> int:
    """Return a size of this process, in octets."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def begin_peak() -> None:
    """Have the peak of the memory of this process begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.item("D5.18")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of the memory")
async def test_a_large_archive_is_given_once_in_order_and_in_little_memory() -> None:
    events: list[TimelineEvent] = []
    with floors.scripted([]) as ports:
        endpoint = f"xmpp://127.0.0.1:{json.loads(ports)[0]}"
        jid = f"{crowds.ME}/archive-{COUNT}"
        async with trioxmpp.connect(jid, "secret", endpoint=endpoint, allow_plaintext=True) as client:
            gc.collect()
            begin_peak()
            before = size_of("VmRSS")
            async with open_timeline(client, since=datetime(2026, 1, 1, tzinfo=UTC)) as timeline:
                timeline.on_event.connect(events.append)
                for number in range(COUNT):
                    entry = await anext(timeline)
                    assert (entry.archive_id, entry.source) == (f"{number:024}", Source.ARCHIVE)
                assert (timeline.duplicates, timeline.malformed, timeline.forged) == (0, 0, 0)
                grown = size_of("VmHWM") - before
    assert grown < GROWTH
    assert [event for event in events if not isinstance(event, CaughtUp)] == []
