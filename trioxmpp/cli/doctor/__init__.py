"""Find out why a client cannot connect, and tell what to fix.

The doctor looks up what the DNS and the web server of a domain say, and tries every address of every endpoint by
itself. It tells how far it came, how long each step took, what the certificate says and what the server offers. With an
address it also logs in.
"""

from __future__ import annotations

import argparse
import math
import ssl

from ...errors import JIDError
from ...jid import JID
from ...program.interrupt import run_until_interrupted
from ...transport.endpoint import Endpoint
from ...transport.proxy import Proxy
from ..account import PASSWORD_FILE_HELP, add_way_options
from ..errors import UsageError
from ..output import escape_unprintable, open_output
from ..passwords import ENVIRONMENT, KEYRING_SERVICE, find_password
from ..terminal import for_terminal
from .diagnose import diagnose
from .json_report import as_json
from .report import report
from .target import Target

__all__ = ["configure", "run"]

EXAMPLES = f"""
Examples:

  trioxmpp doctor example.org
  trioxmpp doctor example.org --jid romeo@example.org
  trioxmpp doctor example.org --endpoint xmpps://192.0.2.7:5223 --json

The password comes from --password-file, the environment variable {ENVIRONMENT}, the keyring ('keyring set
{KEYRING_SERVICE} romeo@example.org' puts it there), or else a prompt.

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("domain", help="the domain of the server, or an address at it: the part behind the @")
    parser.add_argument("--jid", help="log in, too, as this address; see below for the password")
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help=PASSWORD_FILE_HELP,
    )
    add_way_options(parser)
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="seconds that all of it may take (default: %(default)g)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="print plain lines, also at a terminal")
    form.add_argument("--json", action="store_true", help="print the findings as JSON, for programs")
    parser.epilog = EXAMPLES + (
        "Exit status: 0 if a login is possible (with --jid: has succeeded), 1 if not, 2 if the arguments cannot be "
        "used, 130 on Ctrl-C."
    )


def run(arguments: argparse.Namespace) -> int:
    """Diagnose, and report the findings."""
    escape_unprintable()
    target = _target(arguments)
    if arguments.json:
        diagnosis = run_until_interrupted(lambda: diagnose(target))
        print(as_json(diagnosis))
    else:
        with open_output(plain=arguments.plain) as output:

            def progress(text: str) -> None:
                output.progress(for_terminal(text))

            diagnosis = run_until_interrupted(lambda: diagnose(target, progress))
            output.status("")
            report(diagnosis, output)
    return 0 if diagnosis.ok else 1


def _target(arguments: argparse.Namespace) -> Target:
    try:
        jid = None if arguments.jid is None else JID.parse(arguments.jid)
        domain = JID.parse(arguments.domain).domain
        endpoints = tuple(Endpoint.parse(url) for url in arguments.endpoint)
        proxy = None if arguments.proxy is None else Proxy.parse(arguments.proxy)
        tls = None if arguments.ca_file is None else ssl.create_default_context(cafile=arguments.ca_file)
    except (JIDError, ValueError, OSError) as exc:
        raise UsageError(for_terminal(str(exc))) from exc
    if jid is not None and (jid.domain != domain or jid.local is None):
        raise UsageError(f"{jid} is not the address of an account at {domain}")
    if not 0 < arguments.timeout < math.inf:
        raise UsageError("--timeout is a number of seconds, greater than 0")
    password = None if jid is None else find_password(jid, arguments.password_file)
    return Target(domain, jid, password, endpoints, tls, arguments.timeout, proxy=proxy)
