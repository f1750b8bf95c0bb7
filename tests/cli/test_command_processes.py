"""`send`, `listen` and `trace` as processes: pipes, signals and terminals, on the embedded server over TLS."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.commands import ROOT, authorities, command, environment
from trioxmpp.cli import main
from trioxmpp.cli.errors import (
    LoginRefused,
    NotDelivered,
    RoomRefused,
    TookTooLong,
    Unreachable,
    UploadImpossible,
    UsageError,
)
from trioxmpp.testing import Server, open_server

ACCOUNTS = {"romeo": "montague", "juliet": "capulet"}


class Shell:
    """Runs commands with a configuration file for the accounts of a server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self._config = folder / "config.toml"
        lines = ['account = "romeo@example.test"']
        for name, password in ACCOUNTS.items():
            (folder / name).write_text(password + "\n")
            (folder / name).chmod(0o600)
            lines += [f'[accounts."{name}@example.test"]', f'password-file = "{name}"', 'ca-file = "ca.pem"']
            lines += [f'endpoint = "{server.starttls_endpoint}"']
        self._config.write_text("\n".join(lines))
        authorities(server.client_tls_context(), folder)

    def arguments(self, name: str, *arguments: str) -> list[str]:
        return command(name, "--config", str(self._config), *arguments)

    async def run(self, name: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        options: dict[str, Any] = {"stdin": stdin, "capture_stdout": True, "capture_stderr": True, "check": False}
        return await trio.run_process(self.arguments(name, *arguments), cwd=ROOT, env=environment(), **options)

    @asynccontextmanager
    async def listening(self, *arguments: str) -> AsyncIterator[trio.Process]:
        """A listener for juliet, which is available."""
        argv = self.arguments("listen", "--jid", "juliet@example.test/ear", *arguments)
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT, "env": environment()}
        process = await trio.lowlevel.open_process(argv, **options)
        try:
            await self.server.until(lambda: is_available(self.server, "juliet@example.test/ear"))
            yield process
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await process.stdout.aclose()
                await process.stderr.aclose()


def is_available(server: Server, jid: str) -> bool:
    return jid in server.sessions and server.sessions[jid].presence is not None


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with open_server(accounts=ACCOUNTS) as server:
        await server.listen()
        yield Shell(server, tmp_path)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def test_a_listener_prints_the_messages_that_another_process_sends(shell: Shell) -> None:
    async with shell.listening("--json", "--count", "2") as listener:
        piped = await shell.run("send", "juliet@example.test", stdin="Mercutio ♥\nand more\n".encode())
        argued = await shell.run("send", "juliet@example.test", "-m", "by argument")
        assert [(each.returncode, each.stdout, each.stderr) for each in (piped, argued)] == [(0, b"", b"")] * 2
        lines = (await read_all(listener.stdout)).splitlines()
        assert await listener.wait() == 0
    assert [json.loads(line)["body"] for line in lines] == ["Mercutio ♥\nand more", "by argument"]


async def test_a_failure_has_its_status_and_one_line(shell: Shell) -> None:
    ran = await shell.run("send", "nobody@example.test", "-m", "Hi")
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr == b"trioxmpp: nobody@example.test: service-unavailable\n"
    shell.server.add_account("romeo", "another")
    refused = await shell.run("send", "juliet@example.test", "-m", "Hi")
    assert (refused.returncode, refused.stdout) == (4, b"")
    assert refused.stderr.startswith(b"trioxmpp: cannot log in: ")
    assert refused.stderr.count(b"\n") == 1
    assert b"montague" not in refused.stderr


def test_each_kind_of_failure_has_a_status_of_its_own() -> None:
    kinds = [NotDelivered, UsageError, Unreachable, LoginRefused, UploadImpossible, RoomRefused, TookTooLong]
    assert [kind.status for kind in kinds] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("argv", "stdin", "told"),
    [
        (["juliet@@example.test", "-m", "Hi"], b"", "is not a host name"),
        (["juliet@example.test", "-m", "\x01"], b"", "body"),
        (["juliet@example.test", "--file", "/nowhere"], b"", "/nowhere is not a file"),
        (["juliet@example.test"], b" \n", "the standard input has no text"),
        (["juliet@example.test"], b"\xff", "utf-8"),
        (["juliet@example.test"], b"x" * (1 << 21), "longer than"),
        (["juliet@example.test", "--password-file", "-"], b"Hi", "both the text and the password"),
    ],
)
def test_a_message_that_cannot_be_sent_is_told_before_anything_is_done(argv, stdin, told, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    assert main(["send", *argv]) == 2
    line = capsys.readouterr().err
    assert line.startswith("trioxmpp: ")
    assert told in line


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_a_listener_cleanly(shell: Shell, number: signal.Signals, status: int) -> None:
    async with shell.listening("--quiet") as listener:
        listener.send_signal(number)
        assert await listener.wait() == status
        assert await read_all(listener.stderr) == f"trioxmpp: ended by {number.name}\n".encode()
        assert await read_all(listener.stdout) == b""
    assert not shell.server.sessions, "it has to log out"


async def test_a_reader_that_leaves_ends_a_listener_quietly(shell: Shell) -> None:
    async with shell.listening("--quiet") as listener:
        await listener.stdout.aclose()
        assert (await shell.run("send", "juliet@example.test", "-m", "Hi")).returncode == 0
        assert await listener.wait() == 141
        assert await read_all(listener.stderr) == b""


async def test_a_trace_sends_its_standard_input_and_ends(shell: Shell) -> None:
    ran = await shell.run("trace", stdin=b"<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>\n")
    assert (ran.returncode, ran.stderr) == (0, b"")
    lines = ran.stdout.decode().splitlines()
    assert all(line[9:12] in ("-> ", "<- ", "-- ") for line in lines)
    assert any("<starttls" in line for line in lines)
    assert any(line[9:].startswith("-> <iq") and "urn:xmpp:ping" in line for line in lines)
    assert "montague" not in ran.stdout.decode()
    assert "[hidden]" in ran.stdout.decode()


@pytest.mark.skipif(os.name != "posix", reason="there are no such terminals")
async def test_at_a_terminal_a_trace_is_coloured_and_reads_what_is_typed(shell: Shell) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    variables = environment(TERM="xterm-256color", COLUMNS="80")
    process = await trio.lowlevel.open_process(
        shell.arguments("trace"), stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=variables
    )
    shown = b""

    async def until(words: bytes) -> None:
        nonlocal shown
        while words not in shown:
            await trio.lowlevel.wait_readable(ours)
            shown += os.read(ours, 65536)

    try:
        await until(b"connected as romeo@example.test/")
        await until(b"type a stanza")
        os.write(ours, b"<iq type='get' id='typed-1'><ping xmlns='urn:xmpp:ping'/></iq>\n")
        await until(b"result")
        os.write(ours, b"\x04")  # Ctrl-D
        await until(b"</stream:stream")
        os.close(theirs)
        assert await process.wait() == 0
    finally:
        process.kill()
        os.close(ours)
    assert b"\x1b[" in shown
    assert shown.count(b"typed-1") == 2
    assert b"montague" not in shown


async def test_a_trace_that_is_interrupted_ends_with_130(shell: Shell) -> None:
    argv = shell.arguments("trace", "--no-input", "--jid", "romeo@example.test/eye")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT, "env": environment()}
    process = await trio.lowlevel.open_process(argv, **options)
    async with process.stdout, process.stderr:
        await shell.server.until(lambda: "romeo@example.test/eye" in shell.server.sessions)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        assert await read_all(process.stderr) == b"trioxmpp: ended by SIGINT\n"


def test_ctrl_c_before_the_session_leaves_no_traceback() -> None:
    """While the standard input is read, no trio runs yet."""
    with subprocess.Popen(
        command("send", "juliet@example.test", "--jid", "romeo@example.test"),
        cwd=ROOT,
        env=environment(TRIOXMPP_PASSWORD="montague"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            wait_until_it_reads(process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()


def wait_until_it_reads(pid: int) -> None:
    """Wait until a process sleeps in a read of its standard input, as Linux tells."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells what a process waits for")
    syscall = Path(f"/proc/{pid}/syscall")
    while True:
        try:
            words = syscall.read_text().split()
        except PermissionError:
            pytest.skip("this container does not tell what a process waits for")
        if words[:2] == ["0", "0x0"]:  # read(0, …) on x86-64
            return
        if words[:2] == ["63", "0x0"]:  # on aarch64
            return
        time.sleep(0.02)
