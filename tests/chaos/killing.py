"""A bot is killed, again and again, while it writes and gets messages, and started again each time.

In the end each side must have got all that the other wrote, and nothing twice.

The peer must have got it in order. So must the bot, unless a session of it was lost: then the server takes what was in
flight for offline messages, and delivers those when the bot is available again, behind what has come meanwhile. RFC
6120 §10.1 demands order on one stream only, and XEP-0198 §5 on the streams of one session. So each session that was
lost may bring one block of messages late.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import trio

import trioxmpp
from tests.soak.poison import from_a_stranger
from tests.soak.stranger import RawStranger
from trioxmpp import Client, Message, MessageType
from trioxmpp.testing.servers import RealServer

from .bot import Ledger

ROOT = Path(__file__).parent.parent.parent

#: Seconds that the bot may take for what is left once it is not killed any more.
PATIENCE = 60.0


@dataclass
class Outcome:
    """The fate of the messages of both sides. `repeated` are those that came twice, and were known by their ids."""

    finished: bool = False
    kills: int = 0
    starts: list[str] = field(default_factory=list)
    """How each process found the session: new, resumed, or replaced."""
    bot_got: list[str] = field(default_factory=list)
    bot_repeated: int = 0
    peer_got: list[str] = field(default_factory=list)
    peer_repeated: int = 0
    poison: int = 0
    """How many stanzas a stranger has sent that exceed the limits of the bot."""
    passed_over: list[str] = field(default_factory=list)
    """The log lines of the library about them, in all processes."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """The ids of the bot's messages that could not be delivered, and the errors."""
    lost_sessions: list[str] = field(default_factory=list)
    """Why sessions of the bot were lost."""
    seconds: float = 0.0


def late_blocks(got: list[str]) -> int:
    """Return how many blocks of messages came later than messages that were written behind them."""
    return sum(int(after) < int(before) for before, after in itertools.pairwise(got))


class Peer:
    """The other side: never killed, and knows a message that it has had by its id."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.got: list[str] = []
        self.repeated = 0
        self._ids: set[str | None] = set()
        self._more = trio.lowlevel.ParkingLot()

    async def read(self) -> None:
        async with self.client.messages.subscribe(MessageType.CHAT) as inbox:
            async for message in inbox:
                if message.id in self._ids:
                    self.repeated += 1
                    continue
                self._ids.add(message.id)
                self.got.append(str(message.body))
                self._more.unpark_all()

    async def write(self, to: str, count: int, pause: float) -> None:
        for number in range(count):
            message = Message(to=to, type=MessageType.CHAT, body=str(number), id=f"peer-{number}")
            self.client.enqueue(message)
            await trio.sleep(pause)

    async def has_got(self, count: int) -> None:
        while len(self.got) < count:
            await self._more.park()


class Bot:
    """The process that is killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: trio.Process | None = None

    async def start(self) -> str:
        """Start it; what it found in its store."""
        self._process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.chaos.bot", str(self._directory)], cwd=ROOT, stdout=subprocess.PIPE
        )
        return await self._says()

    async def kill(self) -> None:
        """As by ``kill -9``."""
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        assert self._process.stdout is not None
        await self._process.stdout.aclose()

    async def ends(self) -> None:
        """Wait until it has done all, and has ended well."""
        assert self._process is not None
        assert await self._says() == "done"
        assert await self._process.wait() == 0

    async def _says(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            more = await self._process.stdout.receive_some()
            assert more, f"the bot has ended: {await self._process.wait()}"
            said += more
        return said.decode().strip()


async def send_poison(server: RealServer, to: str, rounds: int, count: int, peer: Peer, outcome: Outcome) -> None:
    """Send what exceeds the limits of the bot in the name of a stranger, in rounds spread over `count` messages.

    The library logs the first ten on each link one by one.
    """
    port = int(server.endpoint.rpartition(":")[2])
    plan = {"port": port, "ca_file": str(server.ca_file), "password": server.accounts["juliet"]}
    inputs = [
        poison
        for number in range(rounds)
        for poison in from_a_stranger(number, f"to='{to}'", server.name)
        if poison.name.startswith("F1 ")
    ]
    async with trio.open_nursery() as nursery:
        stranger = RawStranger(plan, nursery)
        await stranger.log_in()
        for index, poison in enumerate(inputs):
            await peer.has_got(count * index // len(inputs))
            outcome.poison += await stranger.poison(poison)
        nursery.cancel_scope.cancel()


async def chaos(
    server: RealServer,
    directory: Path,
    *,
    count: int,
    kills: int,
    pause: float,
    seed: int | None = None,
    poison: int = 0,
    large: bool = False,
    timeline: bool = False,
) -> Outcome:
    """Kill the bot `kills` times while `count` messages go each way, `pause` seconds after one another.

    With them go `poison` rounds of poison to the bot and, if `large`, one message of the bot that is too large for the
    server. With `timeline` the bot reads a timeline, in place of acknowledging each message when it is done.
    """
    bot_jid, peer_jid = f"romeo@{server.domain}/bot", f"juliet@{server.domain}/peer"
    plan = {
        "jid": bot_jid,
        "password": server.accounts["romeo"],
        "endpoint": server.endpoint,
        "ca_file": str(server.ca_file),
        "peer": peer_jid,
        "count": count,
        "pause": pause,
        "poison": poison,
        "large": large,
        "timeline": timeline,
    }
    (directory / "plan.json").write_text(json.dumps(plan))
    outcome, bot, chance = Outcome(), Bot(directory), random.Random(seed)
    began = time.monotonic()
    async with (
        trioxmpp.connect(
            peer_jid, server.accounts["juliet"], endpoint=server.endpoint, tls=server.ssl_context()
        ) as client,
        trio.open_nursery() as nursery,
    ):
        peer = Peer(client)
        nursery.start_soon(peer.read)
        outcome.starts.append(await bot.start())
        nursery.start_soon(peer.write, bot_jid, count, pause)
        if poison:
            nursery.start_soon(send_poison, server, bot_jid, poison, count, peer, outcome)
        for kill in range(kills):
            await peer.has_got(count * (kill + 1) // (kills + 1))
            await trio.sleep(chance.uniform(0, 0.1))
            await bot.kill()
            outcome.kills += 1
            outcome.starts.append(await bot.start())
        with trio.move_on_after(PATIENCE):
            await bot.ends()
            await peer.has_got(count)
            outcome.finished = True
        await bot.kill()
        nursery.cancel_scope.cancel()
    with Ledger(directory / "ledger.db") as ledger:
        outcome.bot_got, outcome.bot_repeated = ledger.got, ledger.repeated
        outcome.passed_over, outcome.refused = ledger.passed_over, ledger.refused
        outcome.lost_sessions = ledger.lost
    outcome.peer_got, outcome.peer_repeated = peer.got, peer.repeated
    outcome.seconds = time.monotonic() - began
    return outcome
