"""The programs of the page about running a bot."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs, run
from trioxmpp import AuthenticationFailure, Credentials, FileStore, Message, MessageType, Presence
from trioxmpp.testing import open_server

PAGE = "docs/running.md"
SERVICE, KEYRING, ACCOUNTS, THREAD, ASYNCIO = range(5)
NURSE = "nurse@example.test"
LIMIT = 30


def names(number: int) -> dict[str, Any]:
    return load(programs(PAGE)[number], PAGE)


async def told(inbox: Any) -> str:
    async for message in inbox:
        if message.body:
            return message.body
    raise AssertionError("no message")


def test_the_service_leaves_its_session_on_sigterm_and_goes_on_with_it(tmp_path: Path) -> None:
    service = names(SERVICE)["main"]

    async def main() -> None:
        accounts = {"nurse": "secret", "juliet": "secret"}
        async with open_server(accounts=accounts) as server, trio.open_nursery() as nursery:
            options = {"endpoint": server.endpoint, "allow_plaintext": True}

            async def live() -> None:
                await service(NURSE, "secret", FileStore(tmp_path / "session"), **options)

            async with (
                trioxmpp.connect("juliet@example.test/balcony", "secret", **options) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                await juliet.send(Presence())
                sessions = []
                for text in ("one", "two"):
                    nursery.start_soon(live)
                    await trio.testing.wait_all_tasks_blocked()
                    await juliet.send(Message(to=NURSE, type=MessageType.CHAT, body=text))
                    assert await told(inbox) == f"Thou saidst: {text}"
                    sessions.append([jid for jid in server.sessions if jid.startswith(NURSE)])
                    os.kill(os.getpid(), signal.SIGTERM)
                    await trio.sleep(30)
                    assert not nursery.child_tasks
                assert sessions[0] == sessions[1]
                await juliet.send(Message(to=NURSE, type=MessageType.CHAT, body="three"))
                nursery.start_soon(live)
                assert await told(inbox) == "Thou saidst: three"
            nursery.cancel_scope.cancel()

    run(main)


def test_a_password_that_is_refused_leaves_the_service_bare(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_server(accounts={"nurse": "secret"}) as server:
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            with pytest.raises(AuthenticationFailure):
                await names(SERVICE)["main"](NURSE, "wrong", FileStore(tmp_path / "session"), **options)

    run(main)


def test_the_password_comes_from_a_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = types.ModuleType("keyring")
    vars(keyring)["get_password"] = lambda service, name: {("xmpp", "nurse@example.org"): "s3cret"}[service, name]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert names(KEYRING)["from_keyring"]() == Credentials("nurse", "s3cret")


def test_one_account_that_fails_does_not_end_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        accounts = {f"bot{number}": "secret" for number in range(3)}
        async with (
            open_server(accounts={**accounts, "juliet": "secret"}) as server,
            trio.open_nursery() as nursery,
        ):
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            passwords = {f"{name}@example.test": "secret" for name in accounts} | {"bot1@example.test": "wrong"}
            nursery.start_soon(lambda: names(ACCOUNTS)["main"](passwords, **options))
            await trio.sleep(10)
            async with (
                trioxmpp.connect("juliet@example.test", "secret", **options) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                for name in ("bot0", "bot2"):
                    await juliet.send(Message(to=f"{name}@example.test", type=MessageType.CHAT, body=name))
                    assert await told(inbox) == name
            nursery.cancel_scope.cancel()
        assert "bot1@example.test is out: " in capsys.readouterr().out

    run(main)


@contextmanager
def server_in_a_thread() -> Iterator[dict[str, Any]]:
    """A server on loopback, in a trio loop of its own; gives the options to reach it."""
    found: dict[str, Any] = {}
    ready = threading.Event()

    async def serve() -> None:
        async with open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server:
            await server.listen()
            found["options"] = {"endpoint": server.starttls_endpoint, "tls": server.client_tls_context()}
            found["stop"], found["token"] = trio.Event(), trio.lowlevel.current_trio_token()
            ready.set()
            await found["stop"].wait()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(LIMIT)
    try:
        yield found["options"]
    finally:
        found["token"].run_sync_soon(found["stop"].set)
        thread.join(LIMIT)


def test_another_thread_sends_messages() -> None:
    with server_in_a_thread() as options:

        async def read() -> list[str]:
            with trio.fail_after(LIMIT):
                async with (
                    trioxmpp.connect("juliet@example.test", "secret", **options) as juliet,
                    juliet.messages.subscribe(MessageType.CHAT) as inbox,
                ):
                    ready.set()
                    await juliet.send(Presence())
                    return [await told(inbox), await told(inbox)]

        ready, read_texts = threading.Event(), []
        reader = threading.Thread(target=lambda: read_texts.extend(trio.run(read)))
        reader.start()
        assert ready.wait(LIMIT)
        sender = names(THREAD)["Sender"]
        with sender("romeo@example.test", "secret", **options) as ours:
            for text in ("one", "two"):
                ours.send("juliet@example.test", text)
            with pytest.raises(ValueError, match="not allowed in XML"):
                ours.send("juliet@example.test", "nul \0")
        with pytest.raises(AuthenticationFailure), sender("romeo@example.test", "wrong", **options):
            pass
        reader.join(LIMIT)
        assert read_texts == ["one", "two"]


def test_a_program_of_asyncio_has_a_client_as_a_guest(capsys: pytest.CaptureFixture[str]) -> None:
    with server_in_a_thread() as options:
        main = names(ASYNCIO)["main"]
        asyncio.run(asyncio.wait_for(main("romeo@example.test", "secret", **options), LIMIT))
    assert capsys.readouterr().out == "a note from asyncio to itself\n"


def test_the_unit_and_the_container_give_the_program_what_it_reads() -> None:
    text = (Path(__file__).parents[2] / PAGE).read_text()
    for language in ("ini", "dockerfile"):
        (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for variable in re.findall(r'os\.environ\["(\w+)"\]', programs(PAGE)[SERVICE]):
            assert f"{variable}=" in found, (language, variable)
