"""``make soak``: a bot that gets good messages and poison over a wire that is cut, for ten minutes.

python -m tests.soak [--server embedded|prosody|ejabberd] [--seconds N] [--only F16] [--seed N]
python -m tests.soak --burst [--count 100000] [--server prosody]
"""

from __future__ import annotations

import argparse
import random
import sys

import trio

from trioxmpp.testing.servers import SERVERS

from .soaking import burst, soak


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak a bot, and look for what is lost.")
    parser.add_argument("--server", choices=["embedded", *SERVERS], default="embedded")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between one good message and the next")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", default="", help="how the names of the poison begin that is sent, such as F16")
    parser.add_argument("--burst", action="store_true", help="messages as fast as can be, and no poison")
    parser.add_argument("--count", type=int, default=100_000, help="messages of the burst")
    options = parser.parse_args()
    if options.burst:
        return 0 if await burst(options.server, options.count) else 1
    print(f"seed {options.seed}, {options.seconds:.0f} s, on the server {options.server}", flush=True)
    how = {"seconds": options.seconds, "seed": options.seed, "pause": options.pause, "only": options.only}
    return 0 if await soak(options.server, **how) else 1


if __name__ == "__main__":
    sys.exit(trio.run(main))
