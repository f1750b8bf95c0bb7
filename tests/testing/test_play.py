"""Talking to a bot beside a server of its own, line by line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs, run
from trioxmpp import Presence
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.testing.play import HELP, main, play

TUTORIAL = "docs/tutorial.md"


async def typed(*lines: str) -> AsyncIterator[str]:
    """Lines that come a second apart."""
    for line in lines:
        await trio.sleep(1)
        yield f"{line}\n"


@pytest.fixture
def shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[str]]:
    """Return a function that plays with the bot of a step of the tutorial, and returns the lines that are shown."""
    monkeypatch.chdir(tmp_path)

    def lines_of(step: int, *lines: str) -> list[str]:
        run(play, load(programs(TUTORIAL)[step - 1], TUTORIAL)["main"], typed(*lines))
        return capsys.readouterr().out.splitlines()

    return lines_of


def test_a_line_is_said_to_the_bot(shows) -> None:
    assert shows(1, "Ho!", "", "/help", "Hey")[1:] == ["bot: Ho!", *HELP.splitlines(), "bot: Hey"]


def test_the_bot_answers_after_a_crash_of_the_server(shows) -> None:
    lines = shows(2, "ping", "/crash", "shout back")
    assert [line for line in lines if line.startswith("bot: ")] == ["bot: pong", "bot: BACK!"]


def test_the_bot_becomes_a_contact(shows) -> None:
    lines = shows(3, "/add")
    for line in ("* bot: subscribed", "* bot: subscribe", "* bot: available", "bot: Good morrow!"):
        assert line in lines
    assert "* bot: unavailable" not in lines


def test_the_room_is_shared_with_the_bot(shows) -> None:
    lines = shows(4, "/say too early", "/join", "/say Nurse, come")
    assert "* in the hall with Nurse" in lines
    assert lines[-2:] == ["Nurse in the hall: Welcome, you!", "Nurse in the hall: What is thy will?"]


def test_a_file_of_the_bot_is_shown(shows) -> None:
    lines = shows(6, "note buy wax", "notes")
    assert "    - buy wax" in lines
    assert lines[-1].startswith("bot: https://upload.example.test/")


def test_the_first_line_is_taken_when_the_bot_has_appeared(capsys: pytest.CaptureFixture[str]) -> None:
    """A bot that reads its archive first would take an earlier line for one that it has missed."""

    async def bot(jid: str, password: str, **options: Any) -> None:
        async with trioxmpp.connect(jid, password, **options) as client:
            await trio.sleep(1.5)
            print("the bot appears")
            await client.send(Presence())
            await trio.sleep_forever()

    async def lines() -> AsyncIterator[str]:
        print("a line is taken")
        yield "Ho!\n"

    run(play, bot, lines())
    assert capsys.readouterr().out == "the bot appears\na line is taken\n"


def test_an_error_of_the_bot_is_raised_as_it_is() -> None:
    async def bot(jid: str, password: str, **options: object) -> None:
        raise AuthenticationFailure("no")

    with pytest.raises(AuthenticationFailure):
        run(play, bot, typed())


@pytest.mark.parametrize("arguments", [[], ["bot.py"]])
def test_a_file_without_a_bot_is_refused(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bot.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["play", *arguments])
    with pytest.raises(SystemExit, match=r"usage|no function main"):
        main()
