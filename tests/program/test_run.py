"""Programs that end in ``trioxmpp.run(main)``: their arguments, their usage, and their ends."""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import pty
import queue
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs
from tests.failures import check_each
from trioxmpp import Message, MessageType
from trioxmpp.jid import JID, JIDError
from trioxmpp.program.commandline import SECRETS, Misuse, arguments, usage
from trioxmpp.testing import open_server

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"

Main = Callable[..., Awaitable[object]]
Ended = tuple[int | str | None, str]


@pytest.fixture
def end_of(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Return a function that runs a program by `run`, and returns its exit status and its standard error."""
    for name in ("XMPP_PASSWORD", "XMPP_SECRET"):
        monkeypatch.setenv(name, "secret")

    def ends(main: Main, *words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["program.py", *words])
        status: int | str | None = 0
        try:
            trioxmpp.run(main)
        except SystemExit as end:
            status = end.code
        return status, capfd.readouterr().err

    return ends


def test_each_word_is_an_argument_and_the_password_comes_from_the_environment() -> None:
    async def one(jid: str, password: str, to: str, text: str = "Hello", *, web: object = None, **options: Any) -> None:
        """A program with all kinds of parameters."""

    async def many(jid: str, password: str, *addresses: str) -> None:
        """A program with any number of words."""

    async def component(domain: str, secret: str, endpoint: str) -> None:
        """A program of a component."""

    async def optional(jid: str = "romeo@example.org", password: str = "secret") -> None:
        """A program that needs no word."""

    variables = {"XMPP_PASSWORD": "p", "XMPP_SECRET": "s"}
    cases: list[tuple[Main, str, list[str] | None]] = [
        (one, "", None),
        (one, "romeo", None),
        (one, "romeo juliet", ["romeo", "p", "juliet"]),
        (one, "romeo juliet Ho", ["romeo", "p", "juliet", "Ho"]),
        (one, "romeo juliet Ho Ho", None),
        (many, "", None),
        (many, "romeo", ["romeo", "p"]),
        (many, "romeo -paris --tybalt", ["romeo", "p", "-paris", "--tybalt"]),
        (component, "irc.example.org", None),
        (component, "irc.example.org xmpp://127.0.0.1", ["irc.example.org", "s", "xmpp://127.0.0.1"]),
        (optional, "", []),
        (optional, "juliet", ["juliet", "p"]),
    ]

    def check(case: tuple[Main, str, list[str] | None]) -> None:
        main, words, expected = case
        given: list[str] | None = None
        with contextlib.suppress(Misuse):
            given = arguments(main, ["program.py", *words.split()], variables)
        assert given == expected

    check_each([(f"{case[0]} {case[1]}", case) for case in cases], check)
    assert usage(one, "program.py") == "usage: XMPP_PASSWORD=... python program.py JID TO [TEXT]"
    assert usage(many, "program.py") == "usage: XMPP_PASSWORD=... python program.py JID [ADDRESSES ...]"
    assert usage(component, "x.py") == "usage: XMPP_SECRET=... python x.py DOMAIN ENDPOINT"


def words_of(main: Main) -> tuple[int, int | None]:
    """Return how many words a program needs, and how many it takes; None: any number."""
    parameters = [each for each in inspect.signature(main).parameters.values() if each.name not in SECRETS]
    positional = [each for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    takes_any = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
    return len([each for each in positional if each.default is each.empty]), None if takes_any else len(positional)


def misuses(main: Main) -> Iterator[tuple[str, int, str]]:
    """Yield a name, a number of words and a password, for each way to call a program wrongly."""
    needed, most = words_of(main)
    for number in range(needed):
        yield f"{number} of {needed} words", number, "secret"
    if most is not None:
        yield f"{most + 1} words, but {most} at most", most + 1, "secret"
    yield "no password", needed, ""


def test_each_example_that_is_called_wrongly_says_how_to_call_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    paths = [path for path in sorted(EXAMPLES.glob("*.py")) if 'if __name__ == "__main__":' in path.read_text()]
    assert len(paths) >= 30

    def check(case: tuple[Path, int, str]) -> None:
        path, number, password = case
        monkeypatch.setattr(sys, "argv", [str(path), *["example.invalid"] * number])
        for name in SECRETS.values():
            monkeypatch.setenv(name, password)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(path), run_name="__main__")
        assert end.value.code == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert re.fullmatch(rf"usage: XMPP_(PASSWORD|SECRET)=\.\.\. python {path} \S.*\n", err), err

    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        check_each(
            [
                (f"{path.name}: {name}", (path, number, password))
                for path in paths
                for name, number, password in misuses(runpy.run_path(str(path))["main"])
            ],
            check,
        )


def test_a_malformed_address_ends_with_one_line(end_of: Callable[..., Ended]) -> None:
    async def main(jid: str, password: str) -> None:
        async with trioxmpp.connect(jid, password):
            raise AssertionError("it connects")

    status, err = end_of(main, "romeo@@example.org")
    assert status == 2
    assert re.fullmatch(r"program\.py: .*@example.*\n", err), err


def test_a_malformed_address_that_is_no_word_is_a_fault_of_the_program(end_of: Callable[..., Ended]) -> None:
    async def main(jid: str) -> None:
        JID.parse("a@@b")

    with pytest.raises(JIDError):
        end_of(main, "romeo@example.org")


def test_a_login_that_is_refused_ends_with_one_line(end_of: Callable[..., Ended]) -> None:
    async def main(jid: str, password: str) -> None:
        async with (
            open_server(accounts={"romeo": "another"}) as server,
            trioxmpp.connect(jid, password, endpoint=server.endpoint, allow_plaintext=True),
        ):
            raise AssertionError("it connects")

    status, err = end_of(main, "romeo@example.test")
    assert status == 1
    assert re.fullmatch(r"program\.py: .*not-authorized.*\n", err), err


def test_a_mistake_of_the_program_leaves_as_it_is(end_of: Callable[..., Ended]) -> None:
    async def main() -> None:
        async with trio.open_nursery():
            raise KeyError("a mistake")

    with pytest.raises(ExceptionGroup) as found:
        end_of(main)
    assert found.group_contains(KeyError)


def test_the_garbage_collector_leaves_alone_what_was_imported(end_of: Callable[..., Ended]) -> None:
    """A full collection would hold all tasks of the program while it goes over the modules."""
    frozen = []

    async def main() -> None:
        await trio.lowlevel.checkpoint()
        frozen.append(gc.get_freeze_count())

    assert end_of(main) == (0, "")
    assert frozen[0] > 20_000
    assert gc.get_freeze_count() < frozen[0]


def test_a_program_may_end_itself_from_within_a_nursery(end_of: Callable[..., Ended]) -> None:
    async def main(jid: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            sys.exit(f"no card of {jid}")

    assert end_of(main, "romeo") == ("no card of romeo", "")


async def _talk_and_interrupt(jid: str, number: int, options: queue.Queue[dict[str, Any]], story: list[str]) -> None:
    """Be the server of a bot and its contact: ask it once, send a signal to this process, and see the bot leave."""
    async with open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server:
        await server.listen()
        options.put({"endpoint": server.starttls_endpoint, "tls": server.client_tls_context()})
        with trio.fail_after(60):
            await server.until(lambda: any(each.presence is not None for each in server.sessions.values()))
            async with (
                trioxmpp.connect(
                    "juliet@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True
                ) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                await juliet.send(Message(to=jid, type=MessageType.CHAT, body="Romeo, Romeo"))
                story.append((await anext(inbox)).body or "")
                os.kill(os.getpid(), number)
                await server.until(lambda: not any(each.startswith(jid) for each in server.sessions))
                story.append("the session is closed")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_bot_of_the_readme_closes_its_session_on_a_signal(
    number: signal.Signals, status: int, end_of: Callable[..., Ended]
) -> None:
    (source,) = programs("README.md")
    bot = load(source, "README.md")["main"]
    options: queue.Queue[dict[str, Any]] = queue.Queue()
    story: list[str] = []

    async def main(jid: str, password: str) -> None:
        await bot(jid, password, **options.get(timeout=30))

    arguments = (_talk_and_interrupt, "romeo@example.test", number, options, story)
    others = threading.Thread(target=trio.run, args=arguments)
    others.start()
    assert end_of(main, "romeo@example.test") == (status, "")
    others.join(60)
    assert story == ["Romeo, Romeo", "the session is closed"]


def in_a_terminal(*command: str, prompt: bytes, typed: bytes) -> tuple[int, bytes]:
    """Run a program at a terminal where a person types after a prompt; return its status and its output."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XMPP_")}
    options = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True}
    with subprocess.Popen(command, env={**environment, "PYTHONPATH": str(ROOT)}, **options) as process:
        assert process.stdout is not None
        try:
            out = b""
            while prompt not in out and (data := os.read(process.stdout.fileno(), 1000)):
                out += data
            os.write(ours, typed)
            return process.wait(timeout=60), out + process.stdout.read()
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)


def test_a_person_at_a_terminal_is_asked_for_the_password(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import trioxmpp\n\n\nasync def main(jid, password):\n    print(jid, len(password))\n\n\ntrioxmpp.run(main)\n"
    )
    command = [sys.executable, "-W", "ignore", str(path), "romeo@example.org"]
    status, out = in_a_terminal(*command, prompt=b"Password of romeo@example.org: ", typed=b"s3cret\n")
    assert status == 0
    assert out.endswith(b"romeo@example.org 6\n")
    assert b"s3cret" not in out


def test_ctrl_c_ends_a_play_that_waits_for_a_line(tmp_path: Path) -> None:
    """A person who types nothing has not to press Enter, too."""
    (source,) = programs("README.md")
    (tmp_path / "bot.py").write_text(source)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "trioxmpp.testing.play", "bot.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(b"Ho!\n")
            process.stdin.flush()
            lines = iter(process.stdout.readline, b"")
            assert b"bot: Ho!\n" in lines
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
            assert process.stderr.read() == b""
        finally:
            process.kill()
