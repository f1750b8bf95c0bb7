"""``make chaos``: a bot killed with ``kill -9`` twenty times during a stream of 2,000 messages each way.

python -m tests.chaos [--server prosody|ejabberd] [--count N] [--kills N] [--poison N] [--large] [--timeline] [--seed N]
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import tempfile
from pathlib import Path

import trio

from trioxmpp.testing.servers import SERVERS

from .killing import Outcome, chaos, late_blocks


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill a bot, and look for what is lost.")
    parser.add_argument("--server", choices=list(SERVERS), default=None, help="one server, and not all")
    parser.add_argument("--count", type=int, default=2000, help="messages each way")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between one message and the next")
    parser.add_argument("--poison", type=int, default=5, help="rounds of what exceeds the limits of the bot")
    parser.add_argument("--large", action="store_true", help="one message of the bot is too large for the server")
    parser.add_argument("--timeline", action="store_true", help="the bot reads a timeline, and the server has archives")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    good = True
    for name in [options.server] if options.server else SERVERS:
        print(f"seed {options.seed}, {options.kills} kills, {options.count} messages each way, on {name}", flush=True)
        with tempfile.TemporaryDirectory() as directory:
            async with SERVERS[name](archive=options.timeline) as server:
                outcome = await chaos(
                    server,
                    Path(directory),
                    count=options.count,
                    kills=options.kills,
                    pause=options.pause,
                    seed=options.seed,
                    poison=options.poison,
                    large=options.large,
                    timeline=options.timeline,
                )
        good &= is_complete(outcome, options.count)
        good &= is_told(outcome, large=options.large)
    return 0 if good else 1


def is_complete(outcome: Outcome, count: int) -> bool:
    """Print what each side got; return whether that was all, once, and in order as far as order is promised."""
    starts = collections.Counter(outcome.starts)
    print(f"{outcome.kills} kills in {outcome.seconds:.0f} s; sessions: {dict(starts)}")
    good = outcome.finished
    for reason in outcome.lost_sessions:
        print(f"a session was lost: {reason:.200}")
    for who, got, repeated, allowed in (
        ("the bot", outcome.bot_got, outcome.bot_repeated, len(outcome.lost_sessions)),
        ("its peer", outcome.peer_got, outcome.peer_repeated, 0),
    ):
        lost = len({*map(str, range(count))} - set(got))
        doubled, late = len(got) - len(set(got)), late_blocks(got)
        print(f"{who} got {len(got)}: {lost} lost, {doubled} doubled; {repeated} came again and were known by id")
        print(f"  {late or 'no'} blocks came late, and {allowed or 'none'} may")
        good &= not lost and not doubled and len(got) == count and late <= allowed
    return good


def is_told(outcome: Outcome, *, large: bool) -> bool:
    """Print what the bot was told about poison; return whether it was told once, or once more after a kill."""
    print(f"of {outcome.poison} stanzas of poison, {len(outcome.passed_over)} were told of as passed over")
    for id, error in outcome.refused:
        print(f"the message {id} could not be delivered: {error:.200}")
    told = (len(outcome.passed_over) - outcome.poison, len(outcome.refused) - large)
    return all(0 <= more <= outcome.kills for more in told)


if __name__ == "__main__":
    sys.exit(trio.run(main))
