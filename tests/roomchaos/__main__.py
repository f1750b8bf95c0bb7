"""Rooms under chaos on a real server: in the end each client knows what the server knows. `make proof-servers` has it.

python -m tests.roomchaos [--server prosody|ejabberd] [--runs N] [--events N] [--seed N]
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import trio

from trioxmpp.testing.servers import SERVERS

from .story import ACCOUNTS, SM_TIMEOUT, play

#: Seconds after which a run hangs.
LIMIT = 900.0


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.roomchaos", description="Look for what rooms get wrong.")
    parser.add_argument("--server", choices=list(SERVERS), default="prosody")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    failed, began = 0, time.monotonic()
    async with SERVERS[options.server](accounts=ACCOUNTS, sm_timeout=SM_TIMEOUT) as server:
        for seed in range(options.seed, options.seed + options.runs):
            started = time.monotonic()
            try:
                with trio.fail_after(LIMIT):
                    found, log = await play(server, seed, options.events)
            except* trio.TooSlowError:
                found, log = ["it hangs"], []
            if found:
                failed += 1
                print("\n".join([f"seed {seed}:", *found, "after", *log[-30:]]), flush=True)
            else:
                print(f"seed {seed}: right, {time.monotonic() - started:.0f} s", flush=True)
    seconds = time.monotonic() - began
    print(f"{options.runs} runs on {options.server} from seed {options.seed}: {failed} failed, {seconds:.0f} s")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(trio.run(main))
