"""``make soak``: a bot that gets good messages and poison over a wire that is cut, for ten minutes.

python -m tests.soak [--server embedded|prosody|ejabberd] [--seconds N] [--only F16] [--seed N]
python -m tests.soak burst [--count 100000] [--server prosody|ejabberd] [--unmanaged] [--limited]
python -m tests.soak slow [--count 100] [--octets 100000] [--server prosody|ejabberd]
"""

from __future__ import annotations

import argparse
import random
import sys

import trio

from trioxmpp.testing.servers import SERVERS

from .bursts import burst, slow
from .soaking import soak


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak a bot, and look for what is lost.")
    parser.add_argument("what", choices=["soak", "burst", "slow"], nargs="?", default="soak")
    parser.add_argument("--server", choices=["embedded", *SERVERS], default=None)
    parser.add_argument("--seconds", type=float, default=600, help="of a soak")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between one good message and the next")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", default="", help="how the names of the poison begin that is sent, such as F16")
    parser.add_argument("--count", type=int, default=None, help="messages of a burst, or large ones")
    parser.add_argument("--octets", type=int, default=100_000, help="of a large message")
    parser.add_argument("--unmanaged", action="store_true", help="a burst without stream management")
    parser.add_argument("--limited", action="store_true", help="a burst on a server with the limits of its package")
    options = parser.parse_args()
    if options.what == "soak":
        server = options.server or "embedded"
        print(f"seed {options.seed}, {options.seconds:.0f} s, on the server {server}", flush=True)
        how = {"seconds": options.seconds, "seed": options.seed, "pause": options.pause, "only": options.only}
        return 0 if await soak(server, **how) else 1
    good = True
    for server in [options.server] if options.server else SERVERS:
        if options.what == "slow":
            good &= await slow(server, options.count or 100, options.octets)
        else:
            count = options.count or 100_000
            good &= await burst(server, count, managed=not options.unmanaged, limited=options.limited)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(trio.run(main))
