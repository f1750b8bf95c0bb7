"""The command line: ``trioxmpp``, or ``python -m trioxmpp``.

Each command is a module or a package with three things in it: the docstring that its help begins with,
``configure(parser)``, which declares its options, and ``run(arguments)``, which does the work and returns the exit
status. A command imports what no other command needs when it runs.
"""

from __future__ import annotations

import argparse
import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from types import ModuleType

from .. import __version__
from ..program.interrupt import Interrupted
from . import demo, doctor, listen, send, trace
from .errors import CommandError, OutputClosed

__all__ = ["main"]

COMMANDS: dict[str, ModuleType] = {"send": send, "listen": listen, "trace": trace, "doctor": doctor, "demo": demo}

#: The exit statuses of shells: 128 and the number of SIGINT, or of SIGPIPE.
INTERRUPTED, BROKEN_PIPE = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv` (None: that of the process), and return its exit status.

    0: it has done what was wanted; 2: the arguments cannot be used; 130: Ctrl-C; 141: the reader of its output has
    left. The help of each command names its others.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except CommandError as exc:
        print(f"trioxmpp: {exc}", file=sys.stderr)
        return exc.status
    except Interrupted as exc:
        print(f"trioxmpp: {exc}", file=sys.stderr)
        return exc.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, OutputClosed):
        # The reader of our output has closed it. The rest of the buffer must not cause another error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trioxmpp",
        description="XMPP at the command line: send and receive messages, see the XML, find out what is wrong.",
        epilog="'trioxmpp COMMAND --help' tells more about a command, with examples.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trioxmpp {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        description = inspect.getdoc(command) or ""
        summary = description.partition("\n")[0].rstrip(".")
        subparser = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=_filled(description),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # `--password` must not be taken for `--password-file`, and a password for its name
        )
        command.configure(subparser)
        subparser.epilog = _filled((subparser.epilog or "").strip())
        subparser.set_defaults(run=command.run)
    return parser


def _filled(text: str) -> str:
    """Return `text` with each paragraph in lines that fit the terminal. An indented paragraph stays as it is."""
    width = shutil.get_terminal_size().columns - 2
    paragraphs = text.split("\n\n")
    return "\n\n".join(each if each.startswith(" ") else textwrap.fill(each, width) for each in paragraphs)
