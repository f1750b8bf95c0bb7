"""Make `stored_1.json`: what two devices have stored, and a message that is under way from one to the other.

A later version has to read it (`test_omemo_stored.py`). If the format of the notes changes, make another file beside
this one, with the number of the format: ``python -m tests.im.omemo.stored``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trio
import trio.testing

from tests.im.omemo.devices import JULIET, ROMEO, chat, phone, serving
from tests.im.world import Disk
from trioxmpp.im.omemo.storage import FORMAT

FILES = Path(__file__).parent


async def make() -> dict[str, Any]:
    """The stores of two devices after a talk: an answered session, one that was replaced, and skipped keys."""
    mine, theirs = Disk(), Disk()
    async with serving() as server, phone(server, f"{ROMEO}/a", mine) as a, phone(server, f"{JULIET}/b", theirs) as b:
        await a.omemo.devices(JULIET)
        await b.omemo.devices(ROMEO)
        crossing = [await a.omemo.encrypt(chat("one", JULIET)), await b.omemo.encrypt(chat("two", ROMEO))]
        await a.client.send(crossing[0])
        await b.client.send(crossing[1])
        await a.wait(1)
        await b.wait(1)
        late = await a.omemo.encrypt(chat("late", JULIET))
        await a.say("three", JULIET)
        await b.wait(2)
        await b.omemo.trust(b.omemo.known_devices(ROMEO)[0])
    return {
        "romeo": mine.notes["omemo"],
        "juliet": theirs.notes["omemo"],
        "late": late.serialise(),
        "format": FORMAT,
    }


def main() -> None:
    """Write the file."""
    made = trio.run(make, clock=trio.testing.MockClock(autojump_threshold=0))
    (FILES / f"stored_{FORMAT}.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
