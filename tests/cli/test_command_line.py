"""The command line: its help, its version, and what it does with what it does not understand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import trioxmpp
from trioxmpp.cli import COMMANDS, main
from trioxmpp.cli.output import Plain, open_output

ROOT = Path(__file__).parent.parent.parent


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n    {name} " in told


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_and_its_exit_status(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    told = capsys.readouterr().out
    assert (COMMANDS[name].__doc__ or "").splitlines()[0] in told
    assert "Exit status: 0 if" in told


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"trioxmpp {trioxmpp.__version__}\n"


@pytest.mark.parametrize("argv", [[], ["dmeo"], ["demo", "--server", "openfire"], ["demo", "--plain", "--json"]])
def test_wrong_arguments_are_answered_with_the_usage(argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "usage: trioxmpp" in capsys.readouterr().err


def test_python_dash_m_is_the_same():
    command = [sys.executable, "-m", "trioxmpp", "--version"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == f"trioxmpp {trioxmpp.__version__}\n"


def test_a_command_imports_its_own_needs_when_it_runs():
    program = "import sys, trioxmpp.cli; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(ran.stdout.split()) & {"rich", "trustme", "trioxmpp.testing"}


class Terminal:
    """A stdout that says it is one."""

    def __init__(self, stdout) -> None:
        self._stdout = stdout

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name):
        return getattr(self._stdout, name)


@pytest.fixture
def pretend_terminal(monkeypatch):
    """Called by the test itself: between the fixtures and the test, pytest takes stdout for itself once more."""

    def pretend() -> None:
        monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)

    return pretend


def test_at_a_terminal_there_are_colours(pretend_terminal, capsys):
    pretend_terminal()
    with open_output() as output:
        output.line(1.5, "romeo", "Resumed", "good")
        output.status("1 sent")
        output.table(["what", "how many"], [["messages", "1"]])
    told = capsys.readouterr().out
    assert "\x1b[1;32mResumed" in told
    for word in ("1.5 s", "romeo", "1 sent", "how many", "messages"):
        assert word in told


def test_a_terminal_may_be_given_plain_lines(pretend_terminal, capsys):
    pretend_terminal()
    with open_output(plain=True) as output:
        output.line(1.5, "romeo", "Resumed", "good")
    assert capsys.readouterr().out == "  1.5 s  romeo   Resumed\n"


def test_without_rich_a_terminal_gets_plain_lines(pretend_terminal, monkeypatch):
    pretend_terminal()
    monkeypatch.setitem(sys.modules, "rich", None)
    with open_output() as output:
        assert isinstance(output, Plain)


def test_a_plain_paragraph_is_wrapped_and_keeps_its_indentation(capsys):
    with open_output(plain=True) as output:
        output.text("- " + "word " * 30)
        output.text("  " + "x" * 100)
        output.text()
        output.line(1.5, "romeo", "word " * 20)
        output.progress("looking")
    told = capsys.readouterr().out.splitlines()
    assert max(map(len, told)) <= 80
    assert [line[: len(line) - len(line.lstrip())] for line in told] == ["", "  ", "  ", "    ", "", "  ", " " * 17, ""]


def test_a_plain_table_is_aligned(capsys):
    with open_output() as output:
        output.table(["what", "number"], [["messages", "7"], ["cuts", "12345678"]])
    assert capsys.readouterr().out.splitlines() == [
        "what        number",
        "--------  --------",
        "messages         7",
        "cuts      12345678",
    ]
