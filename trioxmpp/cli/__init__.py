"""The command line: ``trioxmpp``, or ``python -m trioxmpp``.

Each command is a module of its own, or a package if it is longer, with three things in it: the docstring that its help
begins with, ``configure(parser)``, which declares its options, and ``run(arguments)``, which does the work and returns
the exit status. What only one of them needs it imports when it runs.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from .. import __version__
from . import demo, doctor
from .errors import CommandError
from .interrupt import Interrupted

__all__ = ["main"]

COMMANDS: dict[str, ModuleType] = {"demo": demo, "doctor": doctor}

#: As shells have it: 128 and the number of SIGINT; the number of SIGPIPE.
INTERRUPTED, BROKEN_PIPE = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names (None: that of the process), and return its exit status.

    0: it did, and what it looked at is in order; 1: not so; 2: nobody understood what was wanted; 130: Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except CommandError as exc:
        print(f"trioxmpp: {exc}", file=sys.stderr)
        return 1
    except Interrupted as exc:
        print(f"trioxmpp: {exc}", file=sys.stderr)
        return exc.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough. What is left in the buffer must not be a reason to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trioxmpp",
        description="An XMPP client library for trio. Its command line shows what it does.",
        epilog="'trioxmpp COMMAND --help' tells more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"trioxmpp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        description = inspect.getdoc(command) or ""
        summary = description.partition("\n")[0].rstrip(".")
        subparser = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(subparser)
        subparser.set_defaults(run=command.run)
    return parser
