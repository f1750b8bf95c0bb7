"""The account that a command logs in to: its options, its settings, and its way to the server."""

from __future__ import annotations

import argparse
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import trio

from .. import Client, connect
from ..client.cause import Cause
from ..errors import AuthenticationFailure, SessionLost
from ..jid import JID
from ..text import because
from ..transport.endpoint import Endpoint
from ..transport.proxy import Proxy
from .config import default_path, read_configuration
from .errors import LoginRefused, TookTooLong, Unreachable, UsageError
from .passwords import ENVIRONMENT, KEYRING_SERVICE, find_password
from .terminal import for_terminal

__all__ = [
    "ACCOUNT_HELP",
    "PASSWORD_FILE_HELP",
    "Account",
    "account_of",
    "add_account_options",
    "add_way_options",
    "network_errors_told",
    "seconds",
]

#: The environment variable with the address of the account.
JID_ENVIRONMENT = "TRIOXMPP_JID"

PASSWORD_FILE_HELP = (
    "the password is the first line of this file, which only you may be able to read; -: of the standard input"
)

ACCOUNT_HELP = f"""
The account is that of --jid, of the environment variable {JID_ENVIRONMENT}, or the one that the configuration file
names. Its password comes from --password-file, the environment variable {ENVIRONMENT}, the file that the configuration
names, the keyring ('keyring set {KEYRING_SERVICE} romeo@example.org' puts it there), or else a prompt.
"""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, and how to get to its server."""

    jid: JID
    password: str = field(repr=False)
    endpoints: Sequence[str | Callable[[], Any]] = ()
    """Where to connect to; empty: where the DNS says."""
    ca_file: str | None = None
    """The certificate authorities to trust, and no others; None: those of the system."""
    proxy: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    """Seconds that connecting may take."""
    allow_plaintext: bool = False

    def tls(self) -> ssl.SSLContext | None:
        """Return a new SSL context that trusts `ca_file`; None if the default is to be used."""
        return None if self.ca_file is None else ssl.create_default_context(cafile=self.ca_file)

    def connect(self, **options: Any) -> AbstractAsyncContextManager[Client]:
        """Return the block of `trioxmpp.connect` for this account, with further `options`."""
        return connect(
            self.jid,
            self.password,
            endpoint=tuple(self.endpoints) or None,
            tls=self.tls(),
            proxy=self.proxy,
            connect_timeout=self.timeout,
            allow_plaintext=self.allow_plaintext,
            **options,
        )


class _Group(Protocol):
    """A parser, or a group of options in one."""

    def add_argument(self, *names: str, **options: Any) -> object:
        """See `argparse.ArgumentParser.add_argument`."""
        ...


def add_way_options(parser: _Group) -> None:
    """Declare the options for the way to a server."""
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


def add_account_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options for the account."""
    group = parser.add_argument_group("account", "See below for what they default to.")
    group.add_argument("--jid", help="log in as this address; without a resource, the server chooses one")
    group.add_argument(
        "--password-file",
        metavar="FILE",
        help=PASSWORD_FILE_HELP,
    )
    group.add_argument("--config", metavar="FILE", type=Path, help=f"read this file (default: {_default_config()})")
    add_way_options(group)


def _default_config() -> str:
    place = default_path()
    return "none, without the extra trioxmpp[cli]" if place is None else str(place).replace("%", "%%")


def seconds(text: str) -> float:
    """Read a number of seconds, greater than 0. For argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a number of seconds, greater than 0, is wanted")
    return value


def account_of(arguments: argparse.Namespace, timeout: float = 60.0) -> Account:
    """Return the account that the arguments, the environment and the configuration file mean.

    Raises UsageError if there is none, it has no password, or a setting cannot be used.
    """
    configuration = read_configuration(arguments.config)
    named = arguments.jid or os.environ.get(JID_ENVIRONMENT)
    try:
        jid = configuration.account if named is None else JID.parse(named)
        if jid is None or jid.local is None:
            raise UsageError(f"which account? Use --jid, {JID_ENVIRONMENT}, or the configuration file")
        settings = configuration.of(jid)
        endpoints = arguments.endpoint or settings.endpoints
        proxy = arguments.proxy or settings.proxy
        ca_file = arguments.ca_file or settings.ca_file
        # Look at all of it before a person is asked for the password.
        for url in endpoints:
            Endpoint.parse(url)
        if proxy is not None:
            Proxy.parse(proxy)
        if ca_file is not None:
            ssl.create_default_context(cafile=ca_file)
    except (ValueError, OSError) as exc:
        raise UsageError(for_terminal(str(exc))) from exc
    password = find_password(jid, arguments.password_file, settings.password_file)
    return Account(jid, password, tuple(endpoints), None if ca_file is None else str(ca_file), proxy, timeout)


@contextmanager
def network_errors_told(limit: float | None = None) -> Iterator[None]:
    """``with`` block that makes a CommandError of what `connect` raises, and of a deadline after `limit` seconds."""
    try:
        yield
    except AuthenticationFailure as exc:
        kind = Unreachable if Cause.of(exc) is Cause.AUTH_LATER else LoginRefused
        raise kind(because("cannot log in", exc)) from exc
    except trio.TooSlowError as exc:
        raise TookTooLong("it took too long" if limit is None else f"it took more than {limit:g} seconds") from exc
    except SessionLost as exc:
        in_doubt = f"; messages in doubt: {len(exc.undelivered)}" if exc.undelivered else ""
        raise Unreachable(for_terminal(str(exc)) + in_doubt) from exc
    except ConnectionError as exc:
        raise Unreachable(for_terminal(str(exc)) or type(exc).__name__) from exc
