"""The demo, from its command line to the sockets and back, on a real clock and the embedded server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from trioxmpp import StanzaState
from trioxmpp.cli import main
from trioxmpp.cli.demo.stage import EMBEDDED, PASSWORDS, Stage, open_stage
from trioxmpp.cli.demo.story import CUTS, Cut, Tempo, perform
from trioxmpp.cli.output import Silent
from trioxmpp.testing import open_server

ROOT = Path(__file__).parent.parent.parent
# Quick, but for what a loaded machine must not reach: a link that is taken for dead, or a story that is given up.
FAST = Tempo(
    talk=0.2, pace=0.02, soft_timeout=1.5, round_trip_time=1.5, first_delay=0.05, last_delay=0.1, patience=60, limit=120
)
HANGS = 120
"""Seconds after which a process that should have ended never will."""


@contextmanager
def demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo in a process of its own, as a shell would start it in a pipe."""
    command = [sys.executable, "-m", "trioxmpp", "demo", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert any(word in line for line in process.stdout), f"it never said {word!r}"


def test_it_shows_people_and_machines_a_session_that_survives_three_cuts(capsys):
    with demo("--json") as other:
        assert main(["demo"]) == 0
        summary, complaints = other.communicate(timeout=HANGS)
    told, errors = capsys.readouterr()
    assert errors == ""
    assert "\x1b" not in told  # this is no terminal
    for sentence in ("cut 1 of 3", "cut 2 of 3", "cut 3 of 3", "Connection reset", "nothing was heard"):
        assert sentence in told
    assert told.count("Suspended") == told.count("Resumed") == 3
    assert told.splitlines()[-1] == "0 lost, 0 doubled, 3 resumptions after 3 cuts"
    assert (other.returncode, complaints) == (0, "")
    assert json.loads(summary)["ok"] is True


async def test_every_token_is_acknowledged_and_every_cut_was_felt():
    async with open_stage(EMBEDDED) as stage:
        ledger = await perform(stage, Silent(), tempo=FAST)
    summary = json.loads(json.dumps(ledger.summary()))
    assert summary["ok"]
    assert (summary["lost"], summary["doubled"], summary["resumptions"]) == (0, 0, 3)
    assert summary["tokens"] == {"acked": summary["sent"]}
    assert all(direction["sent"] > 20 for direction in summary["directions"])
    assert [outage["cut"] for outage in summary["outages"]] == [cut.name for cut in CUTS]
    reset, close, hole = summary["outages"]
    assert "reset" in reset["cause"]
    assert "closed" in close["cause"]
    assert "nothing was heard" in hole["cause"]
    assert FAST.soft_timeout < hole["seconds_to_notice"] < hole["seconds_to_resume"]


async def test_a_session_that_is_lost_ends_it_and_is_no_success():
    async with open_server(accounts=PASSWORDS) as server:
        port = await server.listen()
        stage = Stage("a server that forgets", server.domain, "127.0.0.1", port, server.client_tls_context())
        amnesia = Cut("amnesia", "is in order", lambda relay, romeo: server.forget("romeo@example.test/orchard"))
        ledger = await perform(stage, Silent(), tempo=FAST, cuts=[amnesia])
    assert not ledger.ok
    assert "the session is lost" in (ledger.failure or "")
    assert ledger.resumptions == 0
    assert ledger.lost
    assert ledger.states()[StanzaState.DISCONNECTED]  # the messages of Romeo from the time of the outage


async def test_a_story_without_an_end_is_given_up():
    async with open_stage(EMBEDDED) as stage:
        nothing = Cut("nothing", "is in order", lambda relay, romeo: None)
        ledger = await perform(stage, Silent(), tempo=replace(FAST, limit=1.0), cuts=[nothing])
    assert not ledger.ok
    assert ledger.failure == "it was not over after 1 seconds"


async def test_a_user_who_does_not_get_in_reads_why():
    async with open_stage(EMBEDDED) as stage:
        pass
    ledger = await perform(stage, Silent(), tempo=FAST)
    assert not ledger.ok
    assert "could not connect" in (ledger.failure or "")


def test_without_trustme_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    assert main(["demo", "--json"]) == 1
    told, errors = capsys.readouterr()
    assert told == ""
    assert errors == "trioxmpp: a certificate to throw away needs trustme; pip install 'trioxmpp[testing]'\n"


def test_ctrl_c_ends_it_before_its_story_does():
    with demo() as process:
        read_until(process, "cut 1 of 3")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=HANGS) == 130
        assert process.stdout is not None
        assert "lost" not in process.stdout.read()  # the story would have ended with its count
        assert process.stderr is not None
        assert process.stderr.read() == "trioxmpp: ended by SIGINT\n"


def test_a_reader_who_has_had_enough_ends_it():
    with demo() as process:
        read_until(process, "logged in")
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=HANGS) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""
