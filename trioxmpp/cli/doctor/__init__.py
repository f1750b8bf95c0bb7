"""Say why it does not connect: look for a server, try each way to it, and tell what to fix.

The doctor looks up the records of a domain, tries every endpoint by itself, one after the other, and tells how far it
came, how long each step took, what the certificate says and what the server offers. With an address it also logs in.
Nothing is changed anywhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import os
import ssl

from ...errors import JIDError
from ...jid import JID
from ...transport.endpoint import Endpoint
from ..errors import CommandError
from ..interrupt import run as run_until_interrupted
from ..output import open_output
from .advice import advice
from .examine import Patient, examine
from .report import report

__all__ = ["configure", "run"]

PASSWORD = "TRIOXMPP_PASSWORD"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("domain", help="the domain of the server, or an address at it: what stands behind the @")
    parser.add_argument("--jid", help=f"log in as this address; the password is asked for, or taken from ${PASSWORD}")
    parser.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="URL",
        help="try this in place of what the DNS says: xmpp://host:5222, xmpps://host:5223; may be repeated",
    )
    parser.add_argument("--ca-file", metavar="PEM", help="trust the certificate authorities in this file, and no other")
    parser.add_argument(
        "--timeout", type=float, default=15.0, help="seconds that each step may take (default: %(default)g)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="plain lines, also at a terminal")
    form.add_argument("--json", action="store_true", help="the findings for machines")
    parser.epilog = "Exit status: 0 if one could log in (with --jid: one did), 1 if not, 130 on Ctrl-C."


def run(arguments: argparse.Namespace) -> int:
    """Examine, and say what was found."""
    patient = _patient(arguments)
    if arguments.json:
        diagnosis = run_until_interrupted(lambda: examine(patient))
        findings = {**dataclasses.asdict(diagnosis), "advice": advice(diagnosis), "ok": diagnosis.ok}
        print(json.dumps(findings, indent=2))
    else:
        with open_output(plain=arguments.plain) as output:
            diagnosis = run_until_interrupted(lambda: examine(patient, output.status))
            report(diagnosis, output)
    return 0 if diagnosis.ok else 1


def _patient(arguments: argparse.Namespace) -> Patient:
    try:
        jid = None if arguments.jid is None else JID.parse(arguments.jid)
        domain = JID.parse(arguments.domain).domain
        endpoints = tuple(Endpoint.parse(url) for url in arguments.endpoint)
        tls = None if arguments.ca_file is None else ssl.create_default_context(cafile=arguments.ca_file)
    except (JIDError, ValueError, OSError) as exc:
        raise CommandError(str(exc)) from exc
    if jid is not None and jid.domain != domain:
        raise CommandError(f"{jid} is not an address at {domain}")
    password = None if jid is None else _password(jid)
    return Patient(domain, jid, password, endpoints, tls, arguments.timeout)


def _password(jid: JID) -> str:
    return os.environ.get(PASSWORD) or getpass.getpass(f"Password of {jid.bare}: ")
