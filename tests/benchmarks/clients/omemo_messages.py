"""A message encrypted for three devices, and decrypted by one: the library `twomemo` alone, and this library with it.

The limit computes what has to be computed, with sessions in memory. It writes no XML, no envelope and nothing to a
store, and asks nothing about trust. Usage: ``omemo_messages.py NUMBER``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import trio
import trio.testing
from omemo.storage import Just, Maybe, Nothing, Storage
from twomemo import Twomemo

from tests.im.omemo.measure import TEXT, measured

NUMBER = int(sys.argv[1])
ME, PEER = "romeo@example.test", "juliet@example.test"
#: The octets of an envelope (XEP-0420) with such a text.
PLAINTEXT = f"<envelope xmlns='urn:xmpp:sce:1'><content><body>{TEXT:300}</body></content></envelope>".encode()


class Memory(Storage):
    """A storage of the library in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}

    async def _load(self, key: str) -> Maybe[Any]:
        return Just(self._values[key]) if key in self._values else Nothing()

    async def _store(self, key: str, value: Any) -> None:
        self._values[key] = value

    async def _delete(self, key: str) -> None:
        self._values.pop(key, None)


async def limit(number: int) -> tuple[float, float]:
    """Return the seconds of CPU of encrypting for three devices, and of decrypting, each message."""
    mine, theirs = Twomemo(Memory()), [Twomemo(Memory()) for _ in range(3)]
    for backend in theirs:
        await backend.generate_pre_keys(25)
    _, material = await mine.encrypt_plaintext(PLAINTEXT)
    sessions, receiver = [], None
    for id, backend in enumerate(theirs, 1):
        bundle = await backend.get_bundle(PEER, id)
        session, encrypted = await mine.build_session_active(PEER, id, bundle, material)
        sessions.append(session)
        if id == 1:
            receiver, _ = await backend.build_session_passive(ME, 9, session.key_exchange, encrypted)
    assert receiver is not None
    encrypting, decrypting = [], []
    for turn in range(number + 1):
        began = time.process_time()
        content, material = await mine.encrypt_plaintext(PLAINTEXT)
        keys = [await mine.encrypt_key_material(session, material) for session in sessions]
        between = time.process_time()
        found = await theirs[0].decrypt_plaintext(content, await theirs[0].decrypt_key_material(receiver, keys[0]))
        ended = time.process_time()
        assert found == PLAINTEXT
        if turn:
            encrypting.append(between - began)
            decrypting.append(ended - between)
    return statistics.mean(encrypting), statistics.mean(decrypting)


async def ours(number: int) -> tuple[float, float]:
    """Return the same of this library, with one write to a store in memory for each."""
    costs = await measured(number, 0)
    assert costs.writes == (1, 1), costs.writes
    return statistics.mean(one for one, _ in costs.later), statistics.mean(other for _, other in costs.later)


def told(client: str, seconds: Sequence[float]) -> None:
    for scenario, each in zip(("omemo-encrypt", "omemo-decrypt"), seconds, strict=True):
        print(json.dumps([scenario, client, each * 1e6]))


if __name__ == "__main__":
    told("bare limit", trio.run(limit, NUMBER))
    told("trioxmpp", trio.run(ours, NUMBER, clock=trio.testing.MockClock(autojump_threshold=0)))
