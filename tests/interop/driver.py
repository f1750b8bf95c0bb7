"""The other end of `peer_slixmpp`: a slixmpp client in a process of its own, for the time of a block."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import trio

from trioxmpp import JID
from trioxmpp.client import bare
from trioxmpp.testing.servers import RealServer

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / "build" / "interop" / "slixmpp" / "bin" / "python"
SCRIPT = Path(__file__).with_name("peer_slixmpp.py")

#: Seconds that an event may take. A later one counts as missing.
PATIENCE = float(os.environ.get("TRIOXMPP_INTEROP_PATIENCE", 20))


class PeerError(Exception):
    """A call that slixmpp refused; `condition` is that of the stanza error, if it was one."""

    def __init__(self, type: str, condition: str | None, text: str) -> None:
        super().__init__(f"{type}: {condition or ''} {text}")
        self.condition = condition


class SlixmppClient:
    """A slixmpp client that is logged in."""

    def __init__(self, process: trio.Process) -> None:
        self.jid = JID.parse("unknown.invalid")
        self.version = ""
        self.events: list[tuple[str, Any]] = []
        """Events that were not taken yet: the name that slixmpp gives each, and its data."""
        self._process = process
        self._answers: dict[int, Any] = {}
        self._news = trio.lowlevel.ParkingLot()
        self._number = 0
        self._over = False

    # --- requests

    async def call(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of slixmpp's client or of a plugin (``xep_0045.set_subject``), and return its result."""
        return await self.do("call", path=path, args=list(args), kwargs=kwargs)

    async def begin(self, path: str, *args: Any, **kwargs: Any) -> None:
        """Begin a call, and return at once; what becomes of it is not told."""
        await self.do("call", path=path, args=list(args), kwargs=kwargs, wait=False)

    async def do(self, request: str, **arguments: Any) -> Any:
        """Make a request of `peer_slixmpp`: ``do_occupants`` is ``do("occupants", room=...)``."""
        self._number += 1
        number = self._number
        line = {"id": number, "do": request, "arguments": encode(arguments)}
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps(line).encode() + b"\n")
        return await self.answer(number, request)

    async def answer(self, number: int, request: str) -> Any:
        with trio.move_on_after(2 * PATIENCE):
            while number not in self._answers and not self._over:
                await self._news.park()
        answer = self._answers.pop(number, None)
        assert answer is not None, f"slixmpp did not answer {request!r}; {self._what_happened()}"
        if "error" in answer:
            raise PeerError(**answer["error"])
        return decode(answer["result"])

    async def say(self, to: object, body: str | None, type: str = "chat", **more: Any) -> str:
        """Send a message, and return its id."""
        return str(await self.do("message", to=str(to), type=type, body=body, **more))

    async def appear(self, **shown: Any) -> None:
        """Become available, and wait until the server has told all."""
        await self.call("send_presence", **shown)
        # A server reflects the presence. ejabberd gives what waits without its payloads, so tests begin after this.
        await self.event("presence_available", lambda data: data["from"] == str(self.jid))

    # --- events

    async def event(self, name: str, fits: Callable[[Any], object] = lambda data: True) -> Any:
        """Wait for an event that was not taken yet, and take it: what slixmpp read."""
        with trio.move_on_after(PATIENCE):
            while True:
                for place, (given, data) in enumerate(self.events):
                    if given == name and fits(data):
                        del self.events[place]
                        return data
                if self._over:
                    break
                await self._news.park()
        raise AssertionError(f"slixmpp has told of no such {name!r}; {self._what_happened()}")

    def _what_happened(self) -> str:
        return "it told of " + "\n".join(f"{name} {json.dumps(data, default=str)[:600]}" for name, data in self.events)

    # --- lines

    async def read(self) -> None:
        """Read what the process writes, until it ends."""
        rest = b""
        assert self._process.stdout is not None
        async for data in self._process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            self._news.unpark_all()
        self._over = True
        self._news.unpark_all()

    def _take(self, line: dict[str, Any]) -> None:
        if "event" in line:
            self.events.append((line["event"], decode(line["data"])))
        else:
            self._answers[line["id"]] = line


def encode(value: Any) -> Any:
    """Return a value as `peer_slixmpp` reads it."""
    match value:
        case JID():
            return {"$jid": str(value)}
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$time": value.isoformat()}
        case dict():
            return {str(key): encode(item) for key, item in value.items()}
        case list() | tuple():
            return [encode(item) for item in value]
    return value


def decode(value: Any) -> Any:
    """Return what `peer_slixmpp` has written."""
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {key: decode(item) for key, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


@asynccontextmanager
async def open_slixmpp(
    server: RealServer,
    user: str,
    resource: str = "slixmpp",
    *,
    password: str | None = None,
    register: bool = False,
    plugins: dict[str, Any] | None = None,
) -> AsyncIterator[SlixmppClient]:
    """A slixmpp client that is logged in as `user` while the block runs. `plugins` are options by plugin.

    With `register` it creates the account first.
    """
    configuration = {
        "jid": f"{user}@{server.domain}/{resource}",
        "password": server.accounts[user] if password is None else password,
        "host": "127.0.0.1",
        "port": server.port,
        "ca_file": str(server.ca_file),
        "plugins": plugins or {},
        "register": register,
    }
    # For the HTTP client of slixmpp.
    environment = {**os.environ, "SSL_CERT_FILE": str(server.ca_file)}
    process = await trio.lowlevel.open_process(
        [str(PYTHON), "-P", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        with bare():
            async with trio.open_nursery() as nursery:
                slixmpp = SlixmppClient(process)
                nursery.start_soon(slixmpp.read)
                assert process.stdin is not None
                await process.stdin.send_all(json.dumps(configuration).encode() + b"\n")
                login = await slixmpp.answer(0, "the login")
                slixmpp.jid, slixmpp.version = JID.parse(login["jid"]), login["version"]
                yield slixmpp
                await process.stdin.aclose()
                with trio.move_on_after(5):
                    await process.wait()
                nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.move_on_after(10, shield=True):
            await process.wait()


async def eventually(look: Callable[[], Any], fits: Callable[[Any], object] = bool) -> Any:
    """Look again and again until what is seen fits, and return it. `look` may be a coroutine function."""
    seen: Any = None
    deadline = trio.current_time() + PATIENCE
    while trio.current_time() < deadline:
        seen = look()
        if hasattr(seen, "__await__"):
            seen = await seen
        if fits(seen):
            return seen
        await trio.sleep(0.05)
    raise AssertionError(f"it did not happen within {PATIENCE:.0f} seconds; the last that was seen: {seen!r}")


async def becomes(look: Callable[[], Any], expected: Any) -> None:
    """Look again and again until `expected` is seen; else fail as ``assert seen == expected`` does."""
    try:
        await eventually(look, lambda seen: seen == expected)
    except AssertionError:
        seen = look()
        assert (await seen if hasattr(seen, "__await__") else seen) == expected
        raise
