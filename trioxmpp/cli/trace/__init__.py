"""Show the XML of a login and of all that follows, and send XML by hand.

Each stanza, nonza, header and footer is a line: -> is sent, <- received, -- tells of the connection. Passwords and
tokens are hidden. A stanza that you type is sent as it is; it may be of several lines, and an empty line gives up a
half. Ctrl-D waits for the answers to your requests, logs out, and ends the command.
"""

from __future__ import annotations

import argparse
import sys

from ...program.interrupt import run_until_interrupted
from ..account import ACCOUNT_HELP, account_of, add_account_options
from ..output import escape_unprintable

__all__ = ["configure", "run"]

EXAMPLES = """
Examples:

  trioxmpp trace
  trioxmpp trace --jid romeo@example.org --no-input
  echo "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>" | trioxmpp trace
  trioxmpp trace --plain | tee login.txt
"""

STATUS = """
Exit status: 0 if it ended by Ctrl-D or the end of the input; 2 if the arguments cannot be used; 3 if the server was not
reached, or the session was lost; 4 if the server does not let us log in; 130 on Ctrl-C; 141 if the reader of the output
has left.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--plain", action="store_true", help="no colours, also at a terminal")
    parser.add_argument("--no-input", action="store_true", help="send nothing by hand; end by Ctrl-C")
    add_account_options(parser)
    parser.epilog = EXAMPLES + ACCOUNT_HELP + STATUS


def run(arguments: argparse.Namespace) -> int:
    """Trace until the input ends, or a signal comes."""
    from ...program.standardinput import StandardInput
    from .printer import open_printer
    from .session import trace

    escape_unprintable()
    account = account_of(arguments)
    printer = open_printer(plain=arguments.plain)
    source = None if arguments.no_input else StandardInput()
    hint = "type a stanza and Enter to send it; Ctrl-D ends" if source and sys.stdin.isatty() else None
    run_until_interrupted(lambda: trace(account, printer, source, hint=hint))
    return 0
