"""The costs of encryption, in milliseconds of CPU and writes to the store: ``python -m tests.im.omemo.measure``.

One device writes to another, while its account and that of the peer have one more device each: a message is encrypted
for three. The key of a session is in memory; the texts have 120 characters.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import trio
import trio.testing

from tests.im.omemo.devices import JULIET, ROMEO, chat, phone, serving
from tests.im.omemo.test_omemo_kills import FreezingDisk
from trioxmpp import Message

TEXT = "what light " * 11
MESSAGES = 1_000
SESSIONS = 20


@dataclass(frozen=True)
class Costs:
    """Seconds of CPU of encrypting and of decrypting each message, and the writes of both devices for one."""

    first: Sequence[tuple[float, float]]
    """Of messages that begin sessions."""
    later: Sequence[tuple[float, float]]
    writes: tuple[float, float]


async def measured(messages: int, sessions: int) -> Costs:
    """Exchange messages in sessions that are there, and some that begin sessions. Runs on virtual time."""
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
            sealed = await a.omemo.encrypt(chat(TEXT, JULIET))
            between = time.process_time()
            copy = Message(to=JULIET, from_=a.client.jid, type=sealed.type, payloads=sealed.payloads)
            await c.omemo.decrypt(copy)
            return between - began, time.process_time() - between

        begun = []
        for _ in range(max(sessions, 1)):
            await a.omemo.forget(JULIET)
            begun.append(await exchange())
            await trio.sleep(5)
        for each in (c, d, b):
            await each.say("answered", ROMEO)
            await trio.sleep(5)
        writes = mine.writes["omemo"], theirs.writes["omemo"]
        timed = [await exchange() for _ in range(messages)]
        counts = (mine.writes["omemo"] - writes[0]) / messages, (theirs.writes["omemo"] - writes[1]) / messages
        return Costs(begun, timed, counts)


def shown(name: str, seconds: Sequence[float]) -> None:
    """Print one line of the table."""
    ordered = sorted(1e3 * each for each in seconds)
    last = ordered[int(len(ordered) * 0.99)]
    print(f"{name:32} mean {statistics.mean(ordered):6.2f}  median {statistics.median(ordered):6.2f}  p99 {last:6.2f}")


async def main() -> None:
    """Measure, and print."""
    costs = await measured(MESSAGES, SESSIONS)
    shown("encrypt for three devices", [one for one, _ in costs.later])
    shown("decrypt", [other for _, other in costs.later])
    shown("encrypt and begin two sessions", [one for one, _ in costs.first])
    shown("decrypt and begin a session", [other for _, other in costs.first])
    print("writes a message:", costs.writes[0], "by the sender,", costs.writes[1], "by the receiver")


if __name__ == "__main__":
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
