"""That the programs of the page about nodes do what it says, on the embedded server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs, run
from trioxmpp import JID, Client
from trioxmpp.im.bookmarks import Bookmark, open_bookmarks
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep.muc import open_room
from trioxmpp.xep.vcard import fetch_vcard

PAGE = "docs/nodes.md"
ROMEO, JULIET = ("romeo@example.test/1", "secret"), ("juliet@example.test/1", "secret")


def on_a_server(test: Callable[[Server, dict[str, Any]], Any], **settings: Any) -> None:
    async def main() -> None:
        async with open_server(contacts=[("romeo", "juliet")], **settings) as server:
            await test(server, {"endpoint": server.endpoint, "allow_plaintext": True})

    run(main)


def program(number: int) -> dict[str, Any]:
    return load(programs(PAGE)[number], PAGE)


def test_all_programs_of_the_page_are_tested() -> None:
    assert len(programs(PAGE)) == 4


def test_tunes_are_published_and_watched(capsys: pytest.CaptureFixture[str]) -> None:
    tunes = program(0)

    async def main(server: Server, options: dict[str, Any]) -> None:
        await tunes["tune_publisher"](*JULIET, "Lark", "Morning", **options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: tunes["tune_watcher"](*ROMEO, **options))
            await server.until(lambda: "romeo@example.test/1" in server.sessions)
            await trio.sleep(60)
            await tunes["tune_publisher"](*JULIET, "Nightingale", "Night", **options)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    for dialect in (Dialect.PROSODY_13, Dialect.EJABBERD_26):
        on_a_server(main, dialect=dialect)
        lines = capsys.readouterr().out.splitlines()
        assert lines == ["juliet@example.test listens to Morning", "juliet@example.test listens to Night"]


def test_a_service_has_the_weather(capsys: pytest.CaptureFixture[str]) -> None:
    weather = program(1)

    async def main(server: Server, options: dict[str, Any]) -> None:
        server.pubsub.serve()
        await weather["weather_station"](*ROMEO, "pubsub.example.test", [18, 21], **options)
        await weather["weather_reader"](*JULIET, "pubsub.example.test", **options)

    on_a_server(main)
    assert capsys.readouterr().out.splitlines() == ["subscribed", "18", "21", "now: 21"]


def test_bookmarks_open_rooms(capsys: pytest.CaptureFixture[str]) -> None:
    keeper = program(2)["room_keeper"]
    room = JID.parse("orchard@conference.example.test")

    async def main(server: Server, options: dict[str, Any]) -> None:
        async with (
            trioxmpp.connect(*JULIET, **options) as juliet,
            open_room(juliet, room, "Juliet", create=True),
            trioxmpp.connect("romeo@example.test/2", "secret", **options) as other,
            open_bookmarks(other) as bookmarks,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(lambda: keeper(*ROMEO, "Romeo", **options))
            await trio.sleep(60)
            await bookmarks.put(Bookmark(room, autojoin=True))
            await trio.sleep(60)
            await bookmarks.remove(room)
            await trio.sleep(60)
            nursery.cancel_scope.cancel()

    on_a_server(main, rooms=True)
    assert capsys.readouterr().out.splitlines() == [f"in {room}", f"left {room}"]


def test_an_avatar_is_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = tmp_path / "romeo.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + b"romeo")

    async def main(server: Server, options: dict[str, Any]) -> None:
        await program(3)["avatar_setter"](*ROMEO, image, **options)
        async with trioxmpp.connect(*JULIET, **options) as juliet:
            await shows(juliet, image.read_bytes())

    async def shows(client: Client, data: bytes) -> None:
        card = await fetch_vcard(client, "romeo@example.test")
        assert [photo.data for photo in card.photos] == [data]

    on_a_server(main)
    assert capsys.readouterr().out.startswith("image/png ")
