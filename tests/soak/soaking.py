"""One soak: a bot here, a stranger in a process of its own, and a wire between them that is cut."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

import trioxmpp
from trioxmpp import Client, Liveness, ReconnectPolicy
from trioxmpp.testing.servers import SERVERS, RealServer, Relay, open_relay

from .bot import MIB, Got, Lines, Memory, Story, run
from .poison import LIMITS

ROOT = Path(__file__).parent.parent.parent
ACCOUNTS = {"romeo": "montague", "juliet": "capulet"}

#: Seconds that the rest may take once the stranger is silent, and seconds without any message in a burst.
PATIENCE = 60.0

#: Of the time, what is warm-up, and its least number of seconds: memory is only compared from then on.
WARM_UP, LEAST = 0.25, 30.0

#: Characters of a line of the log: strangers must not fill a disk.
LONGEST_LINE = 2000

#: MiB that the process may grow after the warm-up.
GROWTH = 10

#: The server sends stream errors on purpose; a client that keeps away for minutes after five of them is of no use here.
POLICY = ReconnectPolicy(initial=0.05, maximum=0.3, breaker=1_000_000)


class Stranger:
    """The other process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""

    async def report(self) -> dict[str, Any]:
        """Wait for its next report."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            more = await self._process.stdout.receive_some()
            if not more:
                raise RuntimeError(f"the stranger has ended: {await self._process.wait()}")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return dict(json.loads(line))

    async def go_on(self) -> dict[str, Any]:
        """Let it go on; return its next report."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(b"\n")
        return await self.report()


@asynccontextmanager
async def open_stranger(plan: dict[str, Any]) -> AsyncIterator[Stranger]:
    """Start the other process, and end it with the block."""
    command = [sys.executable, "-m", "tests.soak.stranger", json.dumps(plan)]
    process = await trio.lowlevel.open_process(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Stranger(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()


async def cut(relay: Relay, chance: random.Random, server: str) -> None:
    """Cut the wire, now and then and in every way, until cancelled.

    Prosody 0.12 goes on in the middle of a stanza that it had read in part before the link was cut. So its links are
    not cut within one.
    """
    ways = [Relay.reset, Relay.close, Relay.black_hole]
    if server != "prosody":
        ways.append(lambda relay: relay.reset(after=chance.randrange(1, 200)))
    while True:
        await trio.sleep(chance.uniform(1, 6))
        chance.choice(ways)(relay)


@asynccontextmanager
async def _meet(name: str, plan: dict[str, Any]) -> AsyncIterator[tuple[Client, Stranger, Relay]]:
    """Open a server, the stranger, a relay, and the bot's client."""
    async with (
        open_server_and_stranger(name, plan) as (endpoint, options, stranger),
        open_relay("127.0.0.1", int(endpoint.rpartition(":")[2])) as relay,
        trioxmpp.connect(
            "romeo@example.test/bot",
            ACCOUNTS["romeo"],
            endpoint=relay.endpoint,
            reconnect=POLICY,
            liveness=Liveness(1.0, 2.0),
            connect_timeout=20.0,
            limits=LIMITS,
            **options,
        ) as client,
    ):
        yield client, stranger, relay


@asynccontextmanager
async def open_server_and_stranger(
    name: str, plan: dict[str, Any], *, limited: bool = False
) -> AsyncIterator[tuple[str, dict[str, Any], Stranger]]:
    """Open a server and the stranger; give the endpoint, the options for `connect` that trust it, and the stranger.

    A real server may be `limited` as its package has it; these limits spare the stranger.
    """
    async with AsyncExitStack() as stack:
        real: RealServer | None = None
        if name != "embedded":
            server = SERVERS[name](accounts=ACCOUNTS, unlimited=["juliet"] if limited else None)
            real = await stack.enter_async_context(server)
            plan |= {"port": real.port, "ca_file": str(real.ca_file), "password": ACCOUNTS["juliet"]}
        stranger = await stack.enter_async_context(open_stranger(plan))
        first = await stranger.report()
        endpoint = str(first["endpoint"]) if real is None else real.endpoint
        options: dict[str, Any] = {"allow_plaintext": True} if real is None else {"tls": real.ssl_context()}
        yield endpoint, options, stranger


async def soak(name: str, seconds: float, *, seed: int, pause: float, only: str = "") -> bool:
    """Soak the bot; print what came of it; return whether all is as it should be.

    `only` is how the names of the poison begin that is sent.
    """
    plan = {"server": name, "seconds": seconds, "pause": pause, "accounts": ACCOUNTS, "only": only}
    lines, got = Lines(), Got()
    logging.getLogger("trioxmpp").addHandler(lines)
    async with _meet(name, plan) as (client, stranger, relay), trio.open_nursery() as nursery:
        story, memory = Story(client), Memory(max(seconds * WARM_UP, LEAST))
        await nursery.start(partial(run, client, got, echo=False))
        nursery.start_soon(memory.watch)
        cutting = await nursery.start(_cut_until_told, relay, random.Random(seed), name)
        warm = await stranger.go_on()
        await got.until(warm["good"])
        memory.warm()
        report = await stranger.report()
        cutting.cancel()
        with trio.move_on_after(PATIENCE):
            await got.until(report["good"])
        nursery.cancel_scope.cancel()
    logging.getLogger("trioxmpp").removeHandler(lines)
    return _tell(report, got, story, memory, lines, relay)


async def _cut_until_told(
    relay: Relay, chance: random.Random, name: str, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await cut(relay, chance, name)


def _tell(report: dict[str, Any], got: Got, story: Story, memory: Memory, lines: Lines, relay: Relay) -> bool:
    """Print what came of a soak; return whether all is as it should be."""
    lost = got.lost + report["good"] - got.next
    _tell_of_poison(report, lines)
    print(f"{report['good']} good messages, {report['rounds']} rounds of poison, {relay.connections} links")
    print(f"the bot got {got.next - got.lost}: {lost} lost, {got.doubled} doubled or late; {got.poison} others")
    for due, came in got.gaps[:10]:
        print(f"  number {due} was due, and {came} came")
    print(f"events: {dict(story.counts)}")
    for reason in sorted(set(story.reasons)):
        print(f"  a session ended {story.reasons.count(reason)} times: {reason}")
    print(f"memory: {memory.before / MIB:.1f} MiB at most in the warm-up, {memory.after / MIB:.1f} MiB after it")
    print(f"  in each tenth of the time: {memory.course}; with what the allocator keeps: {memory.kept / MIB:.1f} MiB")
    ended = report["ended"]
    good = {
        "each good message came once, in order": not lost and not got.doubled,
        f"no session was lost, but {ended} by XML that is not well-formed": (
            story.counts["Established"] == 1 + ended and story.counts["Destroyed"] == ended
        ),
        f"memory grew by {memory.growth:+.1f} MiB, and may grow by {GROWTH}": memory.after > 0
        and memory.growth <= GROWTH,
        f"no line of the log is of more than {LONGEST_LINE} characters": lines.longest <= LONGEST_LINE,
    }
    for name, holds in good.items():
        print(f"{'ok    ' if holds else 'FAILED'} {name}")
    return all(good.values())


def _tell_of_poison(report: dict[str, Any], lines: Lines) -> None:
    """Print which poison was sent, and what the library has logged."""
    for name, count in report["poison"].items():
        print(f"  sent {count} times: {name}")
    for name, count in report["refused"].items():
        print(f"  not taken {count} times: {name}")
    print(f"log: {sum(lines.counts.values())} lines from INFO on, the longest of {lines.longest} characters")
    for (level, text), count in lines.counts.most_common():
        print(f"  {count:6} {level} {text}")
