"""The program of the page about many accounts does what its text says, and its tables state the defaults."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import trio

import trioxmpp
from tests.docs.test_pages import load, programs, run
from trioxmpp import Message, MessageType
from trioxmpp.fleet import MemberState, RestartPolicy, open_fleet
from trioxmpp.testing import open_server

PAGE = "docs/fleet.md"
TEXT = (Path(__file__).parents[2] / PAGE).read_text()


def test_the_bots_answer_and_one_that_cannot_log_in_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    bots = load(programs(PAGE)[0], PAGE)["echo_bots"]

    async def main() -> None:
        accounts = {"one": "secret", "two": "secret", "juliet": "secret"}
        async with open_server(accounts=accounts) as server, trio.open_nursery() as nursery:
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            passwords = {"one@example.test/1": "secret", "two@example.test/1": "secret", "no@example.test/1": "guess"}
            nursery.start_soon(lambda: bots(passwords, **options))
            async with (
                trioxmpp.connect("juliet@example.test", "secret", **options) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                await trio.sleep(10)
                for name in ("one", "two"):
                    await juliet.send(Message(to=f"{name}@example.test", type=MessageType.CHAT, body=name))
                    answer = await inbox.receive()
                    assert (answer.from_.local, answer.body) == (name, name)
            nursery.cancel_scope.cancel()

    run(main)
    assert capsys.readouterr().err.startswith("no@example.test/1 is down for good: ")


def test_the_tables_state_the_defaults() -> None:
    stated = dict(re.findall(r"^\| `(\w+)` \| ([\w.]+) \|", TEXT, re.MULTILINE))
    parameters = inspect.signature(open_fleet).parameters
    for name in ("at_once", "jitter", "patience"):
        assert float(stated[name]) == parameters[name].default
    policy = RestartPolicy()
    assert f"| `initial`, `maximum` | {policy.initial:g}, {policy.maximum:g} |" in TEXT
    assert stated["stable"] == f"{policy.stable:g}"
    assert stated["attempts"] == str(policy.attempts)
    assert f"| `never` | {', '.join(f'`{cause.name}`' for cause in sorted(policy.never, key=str))} |" in TEXT


def test_each_state_has_a_row() -> None:
    assert re.findall(r"^\| `([A-Z]+)` \|", TEXT, re.MULTILINE) == [state.name for state in MemberState]
