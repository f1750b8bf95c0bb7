"""``make proof-servers``: random programs of clients on a real server, whose timelines must miss and double nothing.

python -m tests.timelines [--server prosody|ejabberd] [--runs N] [--seed N]
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import trio

from trioxmpp.testing.servers import SERVERS

from .story import SM_TIMEOUT, play

#: Seconds after which a program hangs.
LIMIT = 300.0


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.timelines", description="Look for what timelines lose.")
    parser.add_argument("--server", choices=list(SERVERS), default="prosody")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    accounts = {f"{role}{run}": f"masque-{run}" for run in range(options.runs) for role in ("r", "j", "f")}
    failed, began = 0, time.monotonic()
    async with SERVERS[options.server](accounts=accounts, archive=True, sm_timeout=SM_TIMEOUT) as server:
        for run in range(options.runs):
            seed = options.seed + run
            try:
                with trio.fail_after(LIMIT):
                    await play(server, (f"r{run}", f"j{run}", f"f{run}"), seed)
            except* (AssertionError, trio.TooSlowError) as group:
                failed += 1
                print(f"seed {seed}: {[str(each)[:500] for each in leaves(group)]}", flush=True)
    seconds = time.monotonic() - began
    print(f"{options.runs} programs on {options.server} from seed {options.seed}: {failed} failed, {seconds:.0f} s")
    return bool(failed)


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the exceptions in a group that are no groups."""
    found: list[BaseException] = []
    for each in group.exceptions:
        found += leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


if __name__ == "__main__":
    sys.exit(trio.run(main))
