"""OMEMO with another implementation: slixmpp with its plugin `slixmpp-omemo`, on real servers.

The plugin is under the AGPL, so it lives in an environment of its own, and no test of `make test` needs it.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import trioxmpp
from tests.im.omemo.devices import taking_part, until
from tests.interop.driver import PYTHON
from trioxmpp.im.omemo import Encrypted, omemo_2
from trioxmpp.testing.servers import SERVERS, RealServer

SCRIPT = Path(__file__).with_name("peer_slixmpp_omemo.py")


class Peer:
    """A slixmpp client: what it has told."""

    def __init__(self, process: trio.Process) -> None:
        self.told: list[dict[str, Any]] = []
        self._process = process

    async def read(self) -> None:
        rest = b""
        assert self._process.stdout is not None
        async for data in self._process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            self.told += map(json.loads, lines)

    async def say(self, text: str, to: str, version: str) -> None:
        line = json.dumps({"say": text, "to": to, "version": version})
        assert self._process.stdin is not None
        await self._process.stdin.send_all(line.encode() + b"\n")

    def all(self, key: str) -> list[Any]:
        return [each[key] for each in self.told if key in each]


@asynccontextmanager
async def slixmpp(server: RealServer, user: str) -> AsyncIterator[Peer]:
    configuration = {
        "jid": f"{user}@{server.domain}/slixmpp",
        "password": server.accounts[user],
        "host": "127.0.0.1",
        "port": server.port,
        "ca_file": str(server.ca_file),
    }
    process = await trio.lowlevel.open_process(
        [str(PYTHON), "-P", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        async with trio.open_nursery() as nursery:
            peer = Peer(process)
            nursery.start_soon(peer.read)
            assert process.stdin is not None
            await process.stdin.send_all(json.dumps(configuration).encode() + b"\n")
            await until(lambda: peer.all("ready"))
            yield peer
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.parametrize("name", list(SERVERS))
@pytest.mark.parametrize("version", ["2", "older"])
async def test_messages_are_read_both_ways(name: str, version: str) -> None:
    methods = [omemo_2]
    if version == "older":
        if importlib.util.find_spec("oldmemo") is None:
            pytest.skip("oldmemo is not installed")
        from tests.im.omemo.test_omemo_older import OLDER

        methods = [OLDER.older_omemo]
    server = SERVERS[name](accounts={"alice": "secret1", "bob": "secret2"}, archive=True)
    try:
        await server.start()
        alice, bob = f"alice@{server.domain}", f"bob@{server.domain}"
        client = trioxmpp.connect(
            f"{alice}/trio", "secret1", endpoint=server.endpoint, tls=server.ssl_context(), connect_timeout=20
        )
        async with client as ours, slixmpp(server, "bob") as peer, taking_part(ours, methods=methods) as one:
            await one.say("hello, slixmpp", bob)
            await until(lambda: peer.all("heard"))
            for number in range(3):
                await peer.say(f"theirs {number}", alice, version)
                await one.say(f"ours {number}", bob)
            await until(lambda: len(one.entries) == 3)
            await until(lambda: len(peer.all("heard")) == 4)
            assert peer.all("heard") == ["hello, slixmpp", "ours 0", "ours 1", "ours 2"]
            assert {each["version"] for each in peer.told if "heard" in each} == {version}
            assert set(peer.all("device")) == {one.omemo.own.id}
            assert one.heard == [(f"theirs {number}", "Encrypted") for number in range(3)]
            mark = one.entries[0].encryption
            assert isinstance(mark, Encrypted)
            assert [mark.device.id] == peer.all("ready")
            assert not peer.all("failed")
    finally:
        server.close()
