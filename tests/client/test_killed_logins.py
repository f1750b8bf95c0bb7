"""A process that dies at any moment around a login leaves a store with which the next one gets in."""

from __future__ import annotations

import os
import random
import signal
import ssl
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

import trioxmpp
from trioxmpp import JID, Credentials, Established, Login, MemoryStore, ReconnectPolicy, Resumed, StoredSession
from trioxmpp.testing import Faults, Server, open_server


@dataclass
class Photo:
    """How things stand at one moment: what a process that dies just then leaves behind, and what the server knows."""

    login: Login
    tokens: dict[tuple[str, str], list[str]]
    counts: dict[str, int]


class Camera(trio.abc.Instrument):
    """Takes a photo after each step of any task; keeps those that differ in a token."""

    def __init__(self, server: Server, store: MemoryStore) -> None:
        self._photos: dict[str, Photo] = {}
        self._account = server.accounts["romeo"]
        self._store = store

    @property
    def photos(self) -> list[Photo]:
        return [*self._photos.values()]

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        tokens = {key: [*each] for key, each in self._account.tokens.items()}
        login = Login() if self._store.ticket is None else self._store.ticket.login
        photo = Photo(login, tokens, {**self._account.counts})
        key = repr((login.token and (login.token.token, login.token.count), photo.tokens, photo.counts))
        self._photos.setdefault(key, photo)


@asynccontextmanager
async def open_secure(*, count_tokens: bool = False) -> AsyncIterator[Server]:
    async with open_server(accounts={"romeo": "montague"}, starttls="required") as server:
        server.policy.sasl2, server.policy.count_tokens = True, count_tokens
        yield server


def connect(server: Server, store: MemoryStore, asked: list[None]):
    def credentials() -> Credentials:
        asked.append(None)
        return Credentials("romeo", "montague")

    return trioxmpp.connect(
        "romeo@example.test",
        credentials=credentials,
        store=store,
        endpoint=server.endpoint,
        tls=server.client_tls_context(),
        reconnect=ReconnectPolicy(initial=0.1, maximum=0.1),
    )


async def photographed(*, count_tokens: bool = False) -> list[Photo]:
    """The life of a client that logs in again and again, over links of which some do not last as long as that."""
    store = MemoryStore()
    async with open_secure(count_tokens=count_tokens) as server:
        camera = Camera(server, store)
        trio.lowlevel.add_instrument(camera)
        try:
            async with connect(server, store, []) as client, client.events() as events:
                for cut in (None, None, *range(1000, 1900, 50)):
                    server.plan(Faults(cut_out=cut, refuse_resume="with-h" if cut else None))
                    server.links[-1].reset()
                    while not isinstance(await anext(events), (Established, Resumed)):
                        pass
                    (known,) = server.accounts["romeo"].tokens.values()
                    assert store.ticket.login.token.token in (known if cut else known[-1:])
        finally:
            trio.lowlevel.remove_instrument(camera)
    return camera.photos


async def asked_after(photo: Photo, server: Server) -> int:
    """How often the password is asked for by a process that finds this."""
    server.accounts["romeo"].tokens = {key: [*tokens] for key, tokens in photo.tokens.items()}
    server.accounts["romeo"].counts = {**photo.counts}
    links, asked = server.link_count, []
    store = MemoryStore(StoredSession(JID.parse("romeo@example.test"), 0.0, login=photo.login))
    async with connect(server, store, asked) as client:
        assert client.established
    assert server.link_count == links + 1  # whatever there was
    return len(asked)


@pytest.mark.parametrize("count_tokens", [False, True])
async def test_a_token_that_is_in_the_store_is_good_whenever_the_process_dies(autojump_clock, count_tokens):
    photos = await photographed(count_tokens=count_tokens)
    kept = {photo.login.token.token for photo in photos if photo.login.token}
    assert len(kept) > 10
    async with open_secure(count_tokens=count_tokens) as server:
        for photo in photos:
            assert await asked_after(photo, server) == (photo.login.token is None)


async def test_with_a_server_that_drops_the_token_before_at_once_there_is_the_password(autojump_clock):
    photos, too_late = await photographed(), 0
    async with open_secure() as server:
        for photo in photos:
            for tokens in photo.tokens.values():
                del tokens[:-1]
            token = photo.login.token
            is_good = token is not None and [token.token] in photo.tokens.values()
            assert await asked_after(photo, server) == (not is_good)
            too_late += token is not None and not is_good
    assert too_late  # the moments between what the server says and what is written


CLIENT = textwrap.dedent("""
    import sys, trio, trioxmpp
    from trioxmpp import Credentials, FileStore, ReconnectPolicy, Resumed, SQLiteStore
    import ssl

    def credentials():
        print("asked", flush=True)
        return Credentials("romeo", "montague")

    async def main(kind, path, endpoint, authority):
        async with trioxmpp.connect(
            "romeo@example.test",
            credentials=credentials,
            store={"file": FileStore, "sqlite": SQLiteStore}[kind](path),
            endpoint=endpoint,
            tls=ssl.create_default_context(cafile=authority),
            reconnect=ReconnectPolicy(initial=0.001, maximum=0.001),
        ) as client:
            print("in", flush=True)
            await trio.sleep_forever()

    trio.run(main, *sys.argv[1:])
""")


@pytest.mark.parametrize("kind", ["file", "sqlite"])
async def test_a_process_that_is_really_killed_is_followed_by_one_that_needs_no_password(tmp_path: Path, kind):
    """While its links break all the time, so that it gets one token after the other; on a clock that is real."""
    chance = random.Random(17)
    async with open_secure(count_tokens=True) as server:
        await server.listen()
        trusted = server.client_tls_context().get_ca_certs(binary_form=True)
        (tmp_path / "ca.pem").write_text("".join(map(ssl.DER_cert_to_PEM_cert, trusted)))
        arguments = [kind, str(tmp_path / "session"), server.starttls_endpoint, str(tmp_path / "ca.pem")]
        said, logins = "", 0
        for _ in range(6):
            command = [sys.executable, "-c", CLIENT, *arguments]
            process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
            assert process.stdout is not None
            with trio.fail_after(60):
                here = ""
                while "in\n" not in here:
                    more = await process.stdout.receive_some()
                    assert more, f"it has ended: {await process.wait()}"
                    here += more.decode()
            said += here
            with trio.move_on_after(chance.uniform(0.1, 0.4)):
                while True:
                    for link in server.links:
                        link.reset()
                    await trio.sleep(chance.uniform(0.005, 0.02))
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            await process.stdout.aclose()
        logins = server.link_count
        assert len(server.accounts["romeo"].tokens) == 1  # one client, all the time
    assert logins > 20
    assert said == "asked\n" + 6 * "in\n"
