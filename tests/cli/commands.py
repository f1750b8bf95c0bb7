"""Helpers for tests of commands: accounts of a bench, and processes that run a command."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from typing import Any

from tests.bench import Bench
from trioxmpp import JID
from trioxmpp.cli.account import Account

ROOT = Path(__file__).parent.parent.parent


def account(bench: Bench, number: int, folder: Path, **changes: Any) -> Account:
    """An account of a bench, as the command line would give it. `folder` is for a file with the authority to trust."""
    options = {
        "jid": JID.parse(bench.jid(number)),
        "password": bench.accounts[bench.names[number]],
        "endpoints": (bench.endpoint,),
        "ca_file": None if bench.tls is None else authorities(bench.tls, folder),
        "allow_plaintext": bench.server is not None,
    }
    return Account(**{**options, **changes})


def authorities(context: ssl.SSLContext, folder: Path) -> str:
    """Write the authorities that a context trusts to a file, and return its name."""
    pem = folder / "ca.pem"
    pem.write_text("".join(ssl.DER_cert_to_PEM_cert(each) for each in context.get_ca_certs(binary_form=True)))
    return str(pem)


def command(*arguments: str) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-m", "trioxmpp", *arguments]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process, without the settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIOXMPP_", "XDG_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "HOME": str(ROOT / "tests" / "nowhere"), **changes}
