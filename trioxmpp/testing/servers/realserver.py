"""A real server of any kind: start, stop, harm."""

from __future__ import annotations

import abc
import os
import signal
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import trio

from .certificates import Authority
from .errors import ServerError
from .ports import answers, free_ports, loopback
from .process import Child, unprivileged
from .tree import SYSTEM, Tree

__all__ = ["DOMAIN", "RealServer"]

#: Its subdomain "anonymous" lets users in without a name (XEP-0175). In "invited", of Prosody, a registration needs the
#: token of an invitation (XEP-0445).
DOMAIN = "example.test"
ACCOUNTS = {"romeo": "montague", "juliet": "capulet"}
#: The port of the STUN and TURN servers that it announces (XEP-0215); nothing listens there.
TURN_PORT = 3478
READY_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 10.0
POLL_INTERVAL = 0.02

#: The mechanisms of servers; not each has all. One with channel binding (-PLUS) comes with the one without.
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")

HELLO = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()
STARTTLS = b"urn:ietf:params:xml:ns:xmpp-tls"


class RealServer(abc.ABC):
    """One XMPP server, running as a child process while the ``async with`` block does.

    `sm_timeout` is the time in seconds for which a session stays resumable after its connection broke (XEP-0198 §5);
    `accounts` are the passwords by user name; `mechanisms` are the SASL mechanisms on offer (None: all that the server
    supports and that take a password); with EXTERNAL among them, a user with a certificate needs no password. `archive`
    is whether every message is archived (XEP-0313), which costs most of the throughput. `sasl2` and `fast` are whether
    it offers XEP-0388 and XEP-0484, if it supports them; ejabberd always offers the former. `component`
    is the domain of its component, and the secret (XEP-0114). With `unlimited`, the limits of the Debian package apply
    to the stanzas in flight, and to the rate at which all accounts but these may write; None: no limits.
    `administrators` are the users that may administer the server (XEP-0133). `tree` is the folder into which the server
    was unpacked with all that it needs; None: it is installed.

    Raises `ServerError` if there is no such server. Entering the block raises it if the server is not ready in a
    minute. Cancelling that is safe: nothing stays behind. A server may also outlive one
    `trio.run`: create it, ``trio.run(server.start)``, and `close` it in the end.
    """

    name: ClassVar[str]
    """The name of the Debian package."""

    port: int
    tls_port: int
    http_port: int
    https_port: int
    component_port: int

    domain = DOMAIN
    """The domain served; the certificate is valid for it, for ``localhost``, 127.0.0.1 and ::1."""

    def __init__(
        self,
        *,
        sm_timeout: int = 300,
        accounts: Mapping[str, str] | None = None,
        mechanisms: Sequence[str] | None = None,
        archive: bool = False,
        sasl2: bool = True,
        fast: bool = True,
        component: tuple[str, str] | None = None,
        unlimited: Sequence[str] | None = None,
        administrators: Sequence[str] = (),
        tree: Path | str | None = None,
    ) -> None:
        self.tree: Tree = SYSTEM if tree is None else Tree(Path(tree).resolve())
        if self._version(self.tree) is None:
            raise ServerError(f"{self.name} is not installed; on Debian: apt-get install {self.name}")
        self.version: tuple[int, ...] = self._version(self.tree) or ()
        """Such as ``(0, 12, 3)``."""
        self.accounts: dict[str, str] = dict(ACCOUNTS if accounts is None else accounts)
        self.addresses: tuple[str, ...] = loopback()
        """The addresses at which it listens: 127.0.0.1, and ::1 if this machine has it."""
        self.component = component
        self.port, self.tls_port, self.http_port, self.https_port, self.component_port = free_ports(5)
        self.sm_timeout = sm_timeout
        self.mechanisms: tuple[str, ...] = MECHANISMS if mechanisms is None else tuple(mechanisms)
        self.archive = archive
        self.sasl2 = sasl2
        self.fast: bool = sasl2 and fast
        self.unlimited: tuple[str, ...] | None = None if unlimited is None else tuple(unlimited)
        self.administrators: tuple[str, ...] = tuple(administrators)
        self._owner = unprivileged()
        # The unprivileged user must be able to enter it, and TMPDIR may be anywhere.
        self._temporary = tempfile.TemporaryDirectory(prefix="trioxmpp-", dir="/tmp" if self._owner else None)
        self.directory: Path = Path(self._temporary.name).resolve()
        self._child = Child(self.directory, self._owner)
        self._authority = Authority(self.directory, DOMAIN, f"*.{DOMAIN}", "localhost", "127.0.0.1", "::1")
        self._configure()
        self._hand_over()

    # --- endpoints

    @property
    def endpoint(self) -> str:
        """The endpoint for connections that begin in plaintext (STARTTLS)."""
        return f"xmpp://127.0.0.1:{self.port}"

    @property
    def tls_endpoint(self) -> str:
        """The endpoint for connections that begin with TLS (XEP-0368)."""
        return f"xmpps://127.0.0.1:{self.tls_port}"

    @property
    def component_endpoint(self) -> str:
        """The endpoint for components (XEP-0114), in plaintext."""
        return f"xmpp://127.0.0.1:{self.component_port}"

    @property
    def ws_endpoint(self) -> str:
        """The endpoint for WebSockets without TLS (RFC 7395)."""
        return f"ws://127.0.0.1:{self.http_port}/xmpp-websocket"

    @property
    def wss_endpoint(self) -> str:
        """The endpoint for WebSockets over TLS (RFC 7395)."""
        return f"wss://127.0.0.1:{self.https_port}/xmpp-websocket"

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that signed the server's, in PEM."""
        return self._authority.file

    def certificate_of(self, user: str) -> tuple[Path, Path]:
        """Return a certificate for a login as this user (EXTERNAL), and its key, for `load_cert_chain`."""
        return self._authority.issue(f"{user}@{self.domain}")

    def ssl_context(self) -> ssl.SSLContext:
        """Return a client's context that trusts only this server's authority."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    @property
    def log(self) -> str:
        """The log and the output so far."""
        logs = sorted(self.directory.glob("*.log"))
        return "".join(f"--- {log.name}\n{log.read_text(errors='replace')}" for log in logs)

    # --- start and stop

    async def __aenter__(self) -> RealServer:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether its process exists, running or paused."""
        return self._child.running

    async def start(self) -> None:
        """Start it, and return when it offers stream features and its accounts exist. Does nothing while it runs.

        The ports and the data are those it had before, if it ran before. Raises `ServerError` if it is not ready in a
        minute. When cancelled, or when it fails, the process is gone again, and all that it wrote with it.
        """
        if self.running:
            return
        self._child.start(self._command(), self._environment())
        try:
            with trio.move_on_after(READY_TIMEOUT):
                if await self._becomes_ready():
                    return
            raise ServerError(f"{self.name} {'was not ready in time' if self.running else 'ended'}\n{self.log[-4000:]}")
        except BaseException:
            self.close()
            raise

    async def restart(self) -> None:
        """Kill it and start it again, on the same ports and with the same data. Its sessions are lost."""
        self.kill()
        await self.start()

    async def shutdown(self) -> None:
        """Ask it to end (SIGTERM) and return when it did: ejabberd ends every stream with system-shutdown.

        If it takes longer than ten seconds, or when cancelled, it is killed.
        """
        try:
            self._child.signal(signal.SIGTERM)
            with trio.move_on_after(SHUTDOWN_TIMEOUT):
                await self._child.wait()
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would. `start` and `restart` bring it back."""
        self._child.kill()

    def pause(self) -> None:
        """Stop the process (SIGSTOP): connections stay open, but get no answer until `resume_process`."""
        self._child.signal(signal.SIGSTOP)

    def resume_process(self) -> None:
        """Continue the process after `pause` (SIGCONT). Does nothing to a server that was not paused."""
        self._child.signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove all its files; it cannot be started again."""
        self.kill()
        self._temporary.cleanup()

    # --- differences between servers

    @classmethod
    def installed(cls, tree: Path | str | None = None) -> bool:
        """Return whether the server is installed on this machine, or in that tree."""
        return cls._version(SYSTEM if tree is None else Tree(Path(tree).resolve())) is not None

    @classmethod
    @abc.abstractmethod
    def _version(cls, tree: Tree) -> tuple[int, ...] | None:
        """Return the version of the server; None if it is not installed."""

    @abc.abstractmethod
    def _configure(self) -> None:
        """Write the configuration."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    def _environment(self) -> dict[str, str]:
        """Return additional environment variables of the command."""
        return {}

    def _has_accounts(self) -> bool:
        """Return whether the accounts exist, now that it runs."""
        return True

    # --- helpers

    def _fill(self, template: str, **more: str) -> str:
        """Return the template with every @NAME@ replaced."""
        values = {
            **more,
            "DIR": self.directory,
            "DOMAIN": DOMAIN,
            "PORT": self.port,
            "TLS_PORT": self.tls_port,
            "HTTP_PORT": self.http_port,
            "COMPONENT_PORT": self.component_port,
            "HTTPS_PORT": self.https_port,
            "SM_TIMEOUT": self.sm_timeout,
            "END_POINT": self._authority.end_point,
            "TURN": f"turn.{DOMAIN}",
            "TURN_PORT": TURN_PORT,
            "ADMINISTRATORS": ", ".join(f'"{user}@{DOMAIN}"' for user in self.administrators),
            "NOT_OFFERED": ", ".join(f'"{name}"' for name in _all_but(self.mechanisms)),
        }
        for name, value in values.items():
            template = template.replace(f"@{name}@", str(value))
        return template

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _hand_over(self) -> None:
        """Give the directory to the user that the server runs as."""
        if self._owner is not None:
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    async def _becomes_ready(self) -> bool:
        """Poll until the server is ready; return False if it ends instead."""
        while self.running:
            # The port accepts connections long before the server knows the domain.
            if self._has_accounts() and await answers(self.port, HELLO, STARTTLS):
                return True
            await trio.sleep(POLL_INTERVAL)
        return False


def _all_but(mechanisms: Sequence[str]) -> list[str]:
    """Return the SASL mechanisms that the server shall not offer."""
    unwanted = [name for name in MECHANISMS if name not in mechanisms]
    return ["DIGEST-MD5", "X-OAUTH2", *unwanted, *(f"{name}-PLUS" for name in unwanted if name != "PLAIN")]
