"""The server and the clients as processes, and what is asked of them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
BUILD = ROOT / "build" / "bench"
CLIENTS = HERE / "clients"
CA = BUILD / "ca.pem"

PASSWORD = b"secret"
SALT = b"a pinch of salt"
ITERATIONS = 4096

#: The server's ports, by what it offers there.
PLAIN_TCP, MANAGED, TLS_PLAIN, TLS_SCRAM, WEBSOCKET = range(5)
#: Seconds that anything may take.
PATIENCE = 300.0


class Unavailable(Exception):
    """Something cannot be had here; the text says why, in a few words."""


class Lines:
    """The lines that a process writes, each within a time limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._selector.register(process.stdout, selectors.EVENT_READ)
        self._buffer = b""

    def close(self) -> None:
        self._selector.close()

    def next(self, patience: float) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + patience
        while b"\n" not in self._buffer:
            if not self._selector.select(deadline - time.monotonic()):
                raise TimeoutError(f"{self._process.args!r} said nothing for {patience:g} seconds")
            data = self._process.stdout.read1(65536)  # type: ignore[attr-defined]
            if not data:
                raise ChildProcessError(f"{self._process.args!r} has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


class Server:
    """The server process."""

    def __init__(self, certificate: Sequence[Path] = ()) -> None:
        binary = build_server(with_tls=bool(certificate))
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD, SALT, ITERATIONS)
        key = hmac.digest(salted, b"Server Key", "sha1")
        command = [str(binary), base64.b64encode(SALT).decode(), str(ITERATIONS), key.hex(), *map(str, certificate)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines = Lines(self._process)
        self._kept: list[dict[str, Any]] = []
        self.ports: list[int] = self.expect("listening")["ports"]

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def expect(
        self, event: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, patience: float = PATIENCE
    ) -> dict[str, Any]:
        """The next event of this kind that is wanted; others are kept until a caller asks for them."""
        for kept in self._kept:
            if kept["event"] == event and wanted(kept):
                self._kept.remove(kept)
                return kept
        while True:
            happened = json.loads(self._lines.next(patience))
            if happened["event"] == event and wanted(happened):
                return happened
            if happened["event"] == "error" or (happened["event"] == "gone" and happened["measuring"]):
                raise ChildProcessError(f"a client is gone in the middle of a task: {happened}")
            self._kept.append(happened)

    def forget(self) -> None:
        """Drop the events for which no caller has asked."""
        self._kept.clear()

    def close(self) -> None:
        self._lines.close()
        self._process.communicate(b"quit\n", timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Kind:
    """A client program: how it is called in tables, and how it is started."""

    name: str
    command: tuple[str, ...]
    warm_up: float = 0.1
    """Seconds of work before it is measured; compilers that learn while they run need more."""
    websocket: bool = False
    """Whether it does what it is told over WebSocket, too, given the option ``websocket``."""

    def start(self, *arguments: object, log: Path | None = None) -> Client:
        return Client(self, [*self.command, *map(str, arguments)], log)


class Client:
    """A client process."""

    def __init__(self, kind: Kind, command: list[str], log: Path | None) -> None:
        self.kind = kind
        self.conn = -1
        self._log = (log or BUILD / f"{kind.name.replace(' ', '-')}.log").open("ab")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment()
        )
        self._lines = Lines(self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_up(self) -> None:
        """Wait until it has imported what it needs."""
        if self._lines.next(60) != "up":
            raise ChildProcessError(f"{self.kind.name} did not come up; see {self._log.name}")

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def check(self) -> None:
        """Raise ChildProcessError if it is there no more."""
        if self._process.poll() is not None:
            raise ChildProcessError(f"{self.kind.name} has ended; see {self._log.name}")

    def rss(self) -> int:
        """Resident memory in octets."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise ChildProcessError("no such process")

    def close(self) -> None:
        self._lines.close()
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Measurement:
    """One task of one client: seconds, and how many stanzas they were for."""

    count: int
    cpu: float
    wall: float
    server: float
    text: str

    @property
    def cpu_us(self) -> float:
        return self.cpu / self.count * 1e6

    @property
    def wall_us(self) -> float:
        return self.wall / self.count * 1e6


def log_in(server: Server, client: Client, resource: str) -> None:
    """Let the client begin, and wait until it is there."""
    client.wait_up()
    client.go()
    for _ in range(60):
        try:
            client.conn = server.expect("ready", lambda event: event["resource"] == resource, 1)["conn"]
            return
        except TimeoutError:
            client.check()
    raise TimeoutError(f"{client.kind.name} did not log in within a minute")


def blast(server: Server, client: Client, lap: Path, laps: int, stanzas: int) -> Measurement:
    """Send the client that many laps, and wait until its application has seen all of them."""
    server.tell(f"blast {client.conn} {client.pid} {laps} {lap}")
    done = _done(server, client)
    seen = int(done["text"].split()[1])
    if seen != laps * stanzas:
        raise ChildProcessError(f"{client.kind.name} has seen {seen} stanzas of {laps * stanzas}")
    return Measurement(seen, done["cpu"], done["wall"], done["server"], done["text"])


def ask(server: Server, client: Client, task: str, number: int, *, messages: int | None = None) -> Measurement:
    """Have the client do a task, and wait until it has; `messages` is how many are to arrive meanwhile."""
    begin(server, client, task, number)
    return finish(server, client, number, messages=messages)


def begin(server: Server, client: Client, task: str, number: int) -> None:
    """Have the client begin a task."""
    server.tell(f"ask {client.conn} {client.pid} {task} {number}")


def finish(server: Server, client: Client, number: int, *, messages: int | None = None) -> Measurement:
    """Wait until the client has done the task that it has begun; see `ask`."""
    done = _done(server, client)
    if messages is not None and done["messages"] != messages:
        raise ChildProcessError(f"{client.kind.name} sent {done['messages']} messages of {messages}")
    return Measurement(number, done["cpu"], done["wall"], done["server"], done["text"])


def settled(client: Client, patience: float = 60.0) -> int:
    """Return the resident memory of a client when it has stayed the same for half a second."""
    last, since, deadline = -1, 0.0, time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if (now := client.rss()) != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since >= 0.5:
            break
    return last


def _done(server: Server, client: Client) -> dict[str, Any]:
    return server.expect("done", lambda event: event["conn"] == client.conn)


def build_server(*, with_tls: bool) -> Path:
    """Compile the server. Raises Unavailable if that cannot be done."""
    return compile_c(HERE / "server.c", "server-tls" if with_tls else "server", TLS_FLAGS if with_tls else [])


TLS_FLAGS = ["-DWITH_TLS", "-lssl", "-lcrypto"]


def compile_c(source: Path, name: str, flags: Sequence[str]) -> Path:
    """Compile a program, if it is not there yet. Raises Unavailable if that cannot be done."""
    if _compiler() is None:
        apt_install(["gcc", "libc6-dev"])
    compiler = _compiler()
    if compiler is None:
        raise Unavailable("there is no C compiler; as root: apt-get install --no-install-recommends gcc libc6-dev")
    BUILD.mkdir(parents=True, exist_ok=True)
    binary = BUILD / name
    newest = max(path.stat().st_mtime for path in (source, *source.parent.glob("*.h")))
    if binary.exists() and binary.stat().st_mtime > newest:
        return binary
    # Another process may be compiling it as well, or running it: the file appears as a whole.
    half_made = BUILD / f"{name}.{os.getpid()}"
    made = subprocess.run([compiler, "-O2", "-o", str(half_made), str(source), *flags], capture_output=True, text=True)
    if made.returncode:
        raise Unavailable(f"{source.name} cannot be compiled: {made.stderr.strip().splitlines()[0]}")
    half_made.replace(binary)
    return binary


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def apt_install(packages: Sequence[str]) -> None:
    """Install from Debian what is missing there; Unavailable if we are not root, or this is not Debian."""
    if (
        shutil.which("dpkg-query")
        and not subprocess.run(["dpkg-query", "-W", *packages], capture_output=True).returncode
    ):
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        raise Unavailable(f"as root: apt-get install --no-install-recommends {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        made = subprocess.run(["apt-get", "-qq", *arguments], capture_output=True, text=True, env=environment)
    if made.returncode:
        raise Unavailable(f"apt-get could not install {' '.join(packages)}")


def environment() -> dict[str, str]:
    """The environment of clients. Modules are compiled once, as those of an installed library are."""
    given = {**os.environ, "PYTHONPYCACHEPREFIX": str(BUILD / "pycache")}
    given.pop("PYTHONDONTWRITEBYTECODE", None)
    if CA.exists():
        given["NODE_EXTRA_CA_CERTS"] = str(CA)
    return given


def certificate() -> tuple[Path, Path, Path]:
    """A throw-away certificate for the domain, its key, and the CA that vouches for it.

    Raises Unavailable, or ImportError, if there is no TLS to be had.
    """
    if not Path("/usr/include/openssl/ssl.h").exists():
        apt_install(["libssl-dev"])
    return make_certificate("bench.example", "")


def make_certificate(host: str, name: str) -> tuple[Path, Path, Path]:
    """A throw-away certificate for `host`, its key, and the CA that vouches for it, in files of this `name`.

    Raises ImportError without trustme.
    """
    import trustme

    BUILD.mkdir(parents=True, exist_ok=True)
    paths = BUILD / f"{name}cert.pem", BUILD / f"{name}key.pem", BUILD / f"{name}ca.pem"
    ca = trustme.CA()
    issued = ca.issue_cert(host)
    with contextlib.suppress(FileNotFoundError):
        paths[0].unlink()
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(paths[0]), append=True)
    issued.private_key_pem.write_to_path(str(paths[1]))
    ca.cert_pem.write_to_path(str(paths[2]))
    return paths


OWN = Kind("trioxmpp", (sys.executable, str(CLIENTS / "client_trioxmpp.py")), websocket=True)
BARE = Kind("bare limit", (sys.executable, str(CLIENTS / "client_bare.py")))
#: The same over WebSocket, by trio-websocket.
BARE_WEBSOCKET = Kind(BARE.name, (sys.executable, str(CLIENTS / "client_bare_websocket.py")), websocket=True)
