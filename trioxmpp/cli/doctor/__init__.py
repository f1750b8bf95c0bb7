"""Find out why a client cannot connect, and tell what to fix.

The doctor looks up what the DNS and the web server of a domain say, and tries every address of every endpoint by
itself. It tells how far it came, how long each step took, what the certificate says and what the server offers. With an
address it also logs in.
"""

from __future__ import annotations

import argparse
import getpass
import io
import math
import os
import ssl
import sys
from pathlib import Path

from ...errors import JIDError
from ...jid import JID
from ...text import because
from ...transport.endpoint import Endpoint
from ...transport.proxy import Proxy
from ..errors import UsageError
from ..interrupt import run as run_until_interrupted
from ..output import open_output
from .diagnose import diagnose
from .json_report import as_json
from .report import report
from .target import Target
from .terminal import for_terminal

__all__ = ["configure", "run"]

PASSWORD = "TRIOXMPP_PASSWORD"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("domain", help="the domain of the server, or an address at it: the part behind the @")
    parser.add_argument("--jid", help=f"log in as this address; the password is asked for, or taken from ${PASSWORD}")
    parser.add_argument(
        "--password-file", metavar="FILE", help="the password is the first line of this file; -: of the standard input"
    )
    parser.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="URL",
        help="try this instead of what DNS and host-meta name: xmpp://host:5222, xmpps://host:5223, wss://host/path; "
        "may be repeated",
    )
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help="connect through this proxy: socks5://host:1080, http://host:8080; default: none",
    )
    parser.add_argument("--ca-file", metavar="PEM", help="trust the certificate authorities in this file, and no other")
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="seconds that all of it may take (default: %(default)g)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="print plain lines, also at a terminal")
    form.add_argument("--json", action="store_true", help="print the findings as JSON, for programs")
    parser.epilog = (
        "Exit status: 0 if a login is possible (with --jid: has succeeded), 1 if not, 2 if the arguments cannot be "
        "used, 130 on Ctrl-C."
    )


def run(arguments: argparse.Namespace) -> int:
    """Diagnose, and report the findings."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names may be in any script, and a terminal may know only one.
        sys.stdout.reconfigure(errors="backslashreplace")
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
    password = None if jid is None else _password(jid, arguments.password_file)
    return Target(domain, jid, password, endpoints, tls, arguments.timeout, proxy=proxy)


def _password(jid: JID, file: str | None) -> str:
    try:
        if file is not None:
            text = sys.stdin.readline() if file == "-" else Path(file).read_text()
            return (text.splitlines() or [""])[0]
        return os.environ.get(PASSWORD) or getpass.getpass(f"Password of {jid.bare}: ")
    except (OSError, EOFError, UnicodeError) as exc:
        raise UsageError(because("there is no password", exc)) from exc
