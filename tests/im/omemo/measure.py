"""The costs of encryption, in milliseconds of CPU and writes to the store: ``python -m tests.im.omemo.measure``.

One device writes to another, while its account and that of the peer have one more device each: a message is encrypted
for three. The key of a session is in memory; the texts have 120 characters.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import trio
import trio.testing

from tests.im.omemo.devices import JULIET, ROMEO, chat, phone, serving
from tests.im.omemo.test_omemo_kills import FreezingDisk
from trioxmpp import Message

MESSAGES = 1_000
SESSIONS = 20


def shown(name: str, seconds: Sequence[float]) -> None:
    """Print one line of the table."""
    ordered = sorted(1e3 * each for each in seconds)
    last = ordered[int(len(ordered) * 0.99)]
    print(f"{name:32} mean {statistics.mean(ordered):6.2f}  median {statistics.median(ordered):6.2f}  p99 {last:6.2f}")


async def main() -> None:
    """Measure, and print."""
    mine, theirs = FreezingDisk(), FreezingDisk()
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", mine, save_after=1e6) as a,
        phone(server, f"{ROMEO}/b", save_after=1e6) as b,
        phone(server, f"{JULIET}/c", theirs, reads=False, save_after=1e6) as c,
        phone(server, f"{JULIET}/d", save_after=1e6) as d,
    ):

        async def exchange() -> tuple[float, float]:
            began = time.process_time()
            sealed = await a.omemo.encrypt(chat("what light " * 11, JULIET))
            between = time.process_time()
            copy = Message(to=JULIET, from_=a.client.jid, type=sealed.type, payloads=sealed.payloads)
            await c.omemo.decrypt(copy)
            return between - began, time.process_time() - between

        begun = []
        for _ in range(SESSIONS):
            await a.omemo.forget(JULIET)
            begun.append(await exchange())
            await trio.sleep(5)
        for each in (c, d, b):
            await each.say("answered", ROMEO)
            await trio.sleep(5)
        writes = mine.writes["omemo"], theirs.writes["omemo"]
        timed = [await exchange() for _ in range(MESSAGES)]
        shown("encrypt for three devices", [one for one, _ in timed])
        shown("decrypt", [other for _, other in timed])
        shown("encrypt and begin two sessions", [one for one, _ in begun])
        shown("decrypt and begin a session", [other for _, other in begun])
        print("writes a message:", (mine.writes["omemo"] - writes[0]) / MESSAGES, "by the sender,", end=" ")
        print((theirs.writes["omemo"] - writes[1]) / MESSAGES, "by the receiver")


if __name__ == "__main__":
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
