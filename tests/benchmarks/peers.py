"""Getting the libraries that we are measured against: each into an environment of its own, below ``build/peers``."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .harness import CLIENTS, ROOT, Kind, Unavailable, apt_install, compile_c

PEERS = ROOT / "build" / "peers"
#: Seconds that an installation may take.
PATIENCE = 600


def slixmpp() -> tuple[Kind, str]:
    return _from_pip("slixmpp", ["slixmpp"])


def aioxmpp() -> tuple[Kind, str]:
    # It needs pytz, and does not say so; and Python 3.11, since later ones lack what it imports.
    if sys.version_info >= (3, 12):
        raise Unavailable("it runs on no Python newer than 3.11")
    return _from_pip("aioxmpp", ["aioxmpp", "pytz"])


def nbxmpp() -> tuple[Kind, str]:
    # The packages that PyGObject is compiled with, and those by which it finds GLib's HTTP library.
    debian = ["gcc", "libc6-dev", "pkg-config", "libcairo2-dev", "libgirepository1.0-dev", "gir1.2-soup-3.0"]
    kind, version = _from_pip("nbxmpp", ["PyGObject<3.52", "nbxmpp"], debian, check="import nbxmpp.client")
    return dataclasses.replace(kind, websocket=True), version


def xmppjs() -> tuple[Kind, str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("there is no node with npm (Debian: nodejs npm)")
    folder = PEERS / "xmppjs"

    def install() -> None:
        (folder / "package.json").write_text('{"private": true}\n')
        # It wants a WebSocket like that of browsers, which nodes before 22 do not have.
        _run([npm, "install", "--silent", "--no-audit", "--no-fund", "@xmpp/client", "ws"], folder)

    _once(folder, "@xmpp/client ws", install)
    script = folder / "client_xmppjs.mjs"  # modules are looked for beside the script
    shutil.copyfile(CLIENTS / script.name, script)
    package = json.loads((folder / "node_modules" / "@xmpp" / "client" / "package.json").read_text())
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    return Kind("xmpp.js", (node, str(script)), warm_up=0.6, websocket=True), f"{package['version']} on node {version}"


def libstrophe() -> tuple[Kind, str]:
    if not Path("/usr/include/strophe.h").exists():
        apt_install(["gcc", "libc6-dev", "libstrophe-dev"])
    binary = compile_c(CLIENTS / "client_strophe.c", "strophe", ["-lstrophe"])
    query = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "libstrophe-dev"], capture_output=True, text=True)
    return Kind("libstrophe", (str(binary),)), f"{query.stdout or 'of unknown version'}, C"


def have(wanted: Callable[[str], bool]) -> Iterator[tuple[str, Kind | None, str]]:
    """Each peer that is wanted: its name, what runs it (None: it cannot be had), and its version, or why not."""
    for name, get in {
        "slixmpp": slixmpp,
        "aioxmpp": aioxmpp,
        "nbxmpp": nbxmpp,
        "xmpp.js": xmppjs,
        "libstrophe": libstrophe,
    }.items():
        if wanted(name):
            try:
                kind, version = get()
            except Unavailable as exc:
                yield name, None, str(exc)
            else:
                yield name, kind, version


def _from_pip(name: str, requirements: list[str], debian: list[str] | None = None, check: str = "") -> tuple[Kind, str]:
    folder = PEERS / name
    python = folder / "bin" / "python"

    def install() -> None:
        if debian:
            apt_install(debian)
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], PEERS)
        for requirement in requirements:
            _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement], PEERS)
        _run([str(python), "-c", check or f"import {name}"], PEERS)

    _once(folder, " ".join(requirements), install)
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    version = subprocess.run([str(python), "-c", ask], capture_output=True, text=True).stdout.strip()
    return Kind(name, (str(python), str(CLIENTS / f"client_{name}.py"))), version


def _once(folder: Path, what: str, install: Callable[[], None]) -> None:
    """Install the peers that are missing. A peer that failed once is not tried again before the folder is removed."""
    noted = PEERS / f"{folder.name}.txt"
    if noted.exists() and folder.exists():
        first, _, why = noted.read_text().partition("\n")
        if first == what:
            if why:
                raise Unavailable(f"{why} (remove {folder.relative_to(ROOT)} to try again)")
            return
    print(f"installing {what} into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        install()
    except Unavailable as exc:
        folder.mkdir(exist_ok=True)
        noted.write_text(f"{what}\n{exc}")
        raise
    noted.write_text(f"{what}\n")


def _run(command: list[str], folder: Path) -> None:
    try:
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{Path(command[0]).name} took too long") from None
    if made.returncode:
        said = [line.strip() for line in (made.stderr or made.stdout).splitlines() if line.strip()]
        errors = [line for line in said if line.lower().startswith(("error", "npm err"))] or said or ["it failed"]
        raise Unavailable(errors[-1][:120])
