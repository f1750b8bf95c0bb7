"""Show a session that survives: two people talk while the wire of one is cut.

Romeo and Juliet log in to an XMPP server on this machine, over TCP and TLS, and send each other numbered messages.
Romeo's wire is cut three times: by a reset in the middle of a message, by a plain end of the connection, and by a
silence without any sign of an end. Each time the session is resumed (XEP-0198). In the end the tallies are compared:
every message must have arrived exactly once. It takes about ten seconds.
"""

from __future__ import annotations

import argparse
import json

from ...program.interrupt import run_until_interrupted
from ..output import Output, Silent, open_output
from .ledger import Ledger
from .report import report
from .stage import EMBEDDED, SERVERS, open_stage
from .story import perform

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--server",
        choices=SERVERS,
        default=EMBEDDED,
        help="which server to use: the one that comes with the library, or a real one, if it is installed; it is "
        "started for the demo alone, on free ports of 127.0.0.1 (default: %(default)s)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="plain lines, also at a terminal")
    form.add_argument("--json", action="store_true", help="nothing but a summary for machines, in the end")
    parser.epilog = "Exit status: 0 if nothing was lost or doubled and every cut was survived, 1 if not, 130 on Ctrl-C."


def run(arguments: argparse.Namespace) -> int:
    """Play it, and say how it ended."""
    if arguments.json:
        ledger = run_until_interrupted(lambda: _play(arguments.server, Silent()))
        print(json.dumps(ledger.summary(), indent=2))
    else:
        with open_output(plain=arguments.plain) as output:
            ledger = run_until_interrupted(lambda: _play(arguments.server, output))
            report(ledger, output)
    return 0 if ledger.ok else 1


async def _play(server: str, output: Output) -> Ledger:
    async with open_stage(server) as stage:
        return await perform(stage, output)
