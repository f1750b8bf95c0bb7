"""The programs of the page about contacts do what the page says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs, run
from trioxmpp.im.presence import appear
from trioxmpp.im.roster import open_roster
from trioxmpp.protocol.stanza import PresenceShow
from trioxmpp.testing import Server, open_server

PAGE = "docs/contacts.md"
ROMEO, JULIET = "romeo@example.test/orchard", "juliet@example.test/balcony"


def program(name: str) -> Callable[..., Any]:
    """The function of this name, from the one program that defines it."""
    (source,) = [source for source in programs(PAGE) if f"def {name}(" in source]
    return load(source, PAGE)[name]


def options(server: Server) -> dict[str, Any]:
    return {"endpoint": server.endpoint, "allow_plaintext": True}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_every_program_of_the_page_is_run() -> None:
    names = ["roster_browser", "presence_list", "block", "disco_browser", "who_can_ping"]
    assert len(programs(PAGE)) == len(names)
    for name in names:
        program(name)


def test_the_roster_browser_shows_contacts_and_what_happens_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with open_server(contacts=[("romeo", "juliet")]) as server, trio.open_nursery() as nursery:
            server.add_account("tybalt", "secret")
            settings = options(server)
            nursery.start_soon(lambda: program("roster_browser")(ROMEO, "secret", **settings))
            await server.until(lambda: ROMEO in server.sessions and server.sessions[ROMEO].wants_roster)
            async with (
                trioxmpp.connect("romeo@example.test/other", "secret", **settings) as other,
                open_roster(other) as roster,
            ):
                await roster.put("juliet@example.test", name="Juliet")
                await roster.subscribe("tybalt@example.test")
                await roster.wait("tybalt@example.test", lambda contact: contact is not None)
                await roster.remove("juliet@example.test")
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    run(main)
    assert lines(capsys) == [
        "juliet@example.test - both",
        "changed: juliet@example.test both -> both",
        "added: tybalt@example.test",
        "removed: juliet@example.test",
    ]


def test_the_presence_list_shows_contacts_come_change_and_go(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with open_server(contacts=[("romeo", "juliet")]) as server, trio.open_nursery() as nursery:
            settings = options(server)
            nursery.start_soon(lambda: program("presence_list")(ROMEO, "secret", **settings))
            await server.until(lambda: ROMEO in server.sessions and server.sessions[ROMEO].presence is not None)
            async with trioxmpp.connect(JULIET, "secret", **settings) as juliet:
                async with appear(juliet, status="on the balcony", farewell="Good night") as ours:
                    await trio.testing.wait_all_tasks_blocked()
                    ours.set(show=PresenceShow.AWAY)
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    run(main)
    assert lines(capsys) == [
        f"{JULIET} is here: available on the balcony",
        f"{JULIET} is now: away",
        f"{JULIET} has gone Good night",
    ]


def test_the_block_list_has_what_was_blocked(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with open_server() as server:
            await program("block")(ROMEO, "secret", "tybalt@example.net", "example.org", **options(server))

    run(main)
    assert lines(capsys) == ["example.org", "tybalt@example.net", "True"]


def test_the_disco_browser_shows_identities_features_and_items(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with open_server(rooms=True) as server:
            await program("disco_browser")(ROMEO, "secret", "example.test", **options(server))
            await program("disco_browser")(ROMEO, "secret", "romeo@example.test", **options(server))

    run(main)
    shown = lines(capsys)
    assert shown[0].startswith("server/im")
    assert "  urn:xmpp:blocking" in shown
    assert any(line.startswith("conference.example.test") for line in shown)
    assert any(line.startswith("account/registered") for line in shown)


def test_capabilities_say_what_a_friend_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with open_server(contacts=[("romeo", "juliet")]) as server:
            settings = options(server)
            async with trioxmpp.connect(JULIET, "secret", **settings) as juliet, appear(juliet):
                await program("who_can_ping")(ROMEO, "secret", "juliet@example.test", **settings)

    run(main)
    assert lines(capsys) == [f"{JULIET} True"]
