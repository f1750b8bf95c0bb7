"""The programs in docs/examples, one test each: on the embedded server, in virtual time, and on real servers."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.bench import EMBEDDED, Bench
from tests.bench import Kind as Dialect
from tests.e2e.conftest import ACCOUNTS
from tests.e2e.kinds import KINDS
from tests.programs import COMPONENT, SECRET, Place, Test, open_place
from tests.xep.webserver import InMemory
from trioxmpp import Message, MessageType, Presence
from trioxmpp.testing import open_server
from trioxmpp.testing.servers import RealServer
from trioxmpp.xep.muc import RoomMessage, open_room

#: The octets of a small image.
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(60))

_guests = itertools.cycle(name for name in ACCOUNTS if name.startswith("guest"))


@asynccontextmanager
async def _embedded(dialect: Dialect) -> AsyncIterator[tuple[Bench, Any]]:
    accounts = {f"user{number}": "secret" for number in range(3)}
    settings = {"dialect": dialect.dialect, "rooms": True, "archive": True, "registration": True}
    async with open_server(accounts=accounts, starttls="required", **settings) as server:
        server.upload.serve()
        server.pubsub.serve()
        server.add_component(COMPONENT, SECRET)
        options = {"endpoint": server.endpoint, "tls": server.client_tls_context()}
        bench = Bench(dialect.label, dialect.dialect, server.domain, accounts, options)
        bench.server = server
        yield bench, server.component_endpoint


@asynccontextmanager
async def _real(server: RealServer) -> AsyncIterator[tuple[Bench, Any]]:
    await server.start()
    accounts = {name: ACCOUNTS[name] for name in itertools.islice(_guests, 3)}
    options = {"endpoint": server.endpoint, "tls": server.ssl_context()}
    yield Bench(server.name, None, server.domain, accounts, options), server.component_endpoint


def on_every_server(test: Test) -> Callable[..., None]:
    """Decorate a test that takes a `Place`, so that it runs once for each dialect and for each real server."""

    @functools.wraps(test)
    @pytest.mark.parametrize("kind", [*EMBEDDED, *KINDS], ids=lambda kind: getattr(kind, "label", kind))
    def run(kind: Dialect | str, real_servers: Any, tmp_path: Path) -> None:
        async def main() -> None:
            real = isinstance(kind, str)
            opened = (
                _real(real_servers.get(kind, archive=True, component=(COMPONENT, SECRET))) if real else _embedded(kind)
            )
            with trio.fail_after(60 if real else 86400):
                async with (
                    opened as (bench, component_endpoint),
                    open_place(bench, component_endpoint, tmp_path) as place,
                ):
                    await test(place)

        trio.run(main, clock=None if isinstance(kind, str) else kind.clock())

    del run.__wrapped__  # pytest would look there for the arguments
    return run


async def told(inbox: Any) -> str:
    """Return the next text that a client gets."""
    async for message in inbox:
        if message.body:
            return message.body
    raise AssertionError("no message")


# --- messages


@on_every_server
async def test_send(place: Place) -> None:
    async with place.connect(1) as juliet, juliet.messages.subscribe(MessageType.CHAT) as inbox:
        await place.run("send.py", place.jid(0), str(juliet.jid), "She speaks.")
        assert await told(inbox) == "She speaks."


@on_every_server
async def test_component_echo(place: Place) -> None:
    place.begin("component_echo.py", COMPONENT, place.component_endpoint, allow_plaintext=True)
    async with place.connect(0) as romeo, romeo.messages.subscribe() as inbox:
        for _ in range(20):  # until the component is there, the server answers with errors
            await romeo.send(Message(to=f"nymph@{COMPONENT}", type=MessageType.CHAT, body="Romeo"))
            answer = await inbox.receive()
            if answer.type is not MessageType.ERROR:
                break
            await trio.sleep(0.1)
        assert (str(answer.from_), answer.body) == (f"nymph@{COMPONENT}", "Romeo")


@on_every_server
async def test_carbons_sniffer(place: Place) -> None:
    sniffer = place.begin("carbons_sniffer.py", place.jid(0, "sniffer"))
    await sniffer.until("I am")
    async with place.connect(0, "desk") as romeo, place.connect(1) as juliet:
        await romeo.send(Presence())
        await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="Art thou there?"))
        await juliet.send(Message(to=romeo.jid, type=MessageType.CHAT, body="Ay."))
        await sniffer.until(
            f"sent {romeo.jid} -> {juliet.jid} Art thou there?", f"received {juliet.jid} -> {romeo.jid} Ay."
        )


@on_every_server
async def test_archive(place: Place) -> None:
    async with place.connect(0) as romeo, place.connect(1) as juliet:
        for number in range(12):
            await romeo.send(Message(to=juliet.jid.bare, type=MessageType.CHAT, body=f"line {number}"))
    lines: list[str] = []
    with trio.fail_after(20):
        while len(lines) < 14:  # ejabberd archives a moment later
            lines = await place.run("archive.py", place.jid(0), place.jid(1), "2020-01-01")
    assert [line.rpartition(": ")[2] for line in lines] == [
        "page 1",
        *(f"line {number}" for number in range(10)),
        "page 2",
        "line 10",
        "line 11",
    ]


# --- questions


@on_every_server
async def test_ping(place: Place) -> None:
    (line,) = await place.run("ping.py", place.jid(0))
    assert re.fullmatch(rf"{place.domain} answered in \d+\.\d+ seconds", line)
    (line,) = await place.run("ping.py", place.jid(0), place.jid(1, "nowhere"))
    assert "did not answer: " in line


@on_every_server
async def test_weather(place: Place) -> None:
    station = place.begin("weather_station.py", place.jid(1, "roof"))
    await station.until("I am")
    ask = functools.partial(place.run, "weather_query.py", place.jid(0), place.jid(1, "roof"))
    assert await ask("Verona") == ["31 degrees, clear"]
    (line,) = await ask("Atlantis")
    assert line.startswith("no report on Atlantis: ")


@on_every_server
async def test_disco_browser(place: Place) -> None:
    lines = await place.run("disco_browser.py", place.jid(0), place.domain)
    assert any(line.startswith("identity: server/im") for line in lines)
    assert "feature: http://jabber.org/protocol/disco#items" in lines
    assert any(line.startswith(f"item: conference.{place.domain}") for line in lines)
    (line,) = await place.run("disco_browser.py", place.jid(0), place.jid(1, "nowhere"))
    assert "does not tell: " in line


@on_every_server
async def test_versions(place: Place) -> None:
    async with place.connect(1) as juliet:
        lines = await place.run("versions.py", place.jid(0), place.domain, str(juliet.jid), place.jid(2, "nowhere"))
    answers = dict(line.split(": ", 1) for line in lines if "does not tell" not in line)
    assert set(answers) == {place.domain, str(juliet.jid)}
    assert len(lines) == 3


# --- contacts


@on_every_server
async def test_contacts_and_their_presence(place: Place) -> None:
    async with place.connect(0) as romeo, place.connect(1) as juliet:
        place.bench.clients += [romeo, juliet]
        await place.bench.add_contacts(0, 1)
        watched = place.begin("presence_list.py", place.jid(0, "list"))
        await watched.until(f"{juliet.jid} available")
        lines = await place.run("roster_browser.py", place.jid(0, "browser"), "1")
        assert lines[0] == "(no group)"
        assert lines[1].startswith(f"  - <{place.jid(1)}> [both]")
        assert any(line.startswith(f"    {juliet.jid.resource} (available)") for line in lines)
    await watched.until(f"{juliet.jid} is gone")


@on_every_server
async def test_block(place: Place) -> None:
    both = "paris@example.net", "tybalt@example.net"
    assert await place.run("block.py", place.jid(0), *both) == [*both]
    assert await place.run("block.py", place.jid(0), "-paris@example.net") == ["tybalt@example.net"]


@on_every_server
async def test_vcard(place: Place) -> None:
    await place.run("vcard.py", place.jid(0), "full_name=Romeo Montague", "description=A lover")
    (line,) = await place.run("vcard.py", place.jid(1), place.jid(0))
    assert "Romeo Montague" in line


# --- rooms


@on_every_server
async def test_room_bot_and_logger(place: Place) -> None:
    address = place.bench.room()
    async with place.connect(0) as romeo, open_room(romeo, address, "Romeo", create=True) as room:
        bot = place.begin("room_bot.py", place.jid(1), address, "Nurse")
        async with room.events() as events:
            log = None
            heard: list[str | None] = []
            async for event in events:
                match event:
                    case RoomMessage(entry=entry) if not entry.by_us:
                        heard.append(entry.text)
                if log is None and room.occupant("Nurse"):
                    log = place.begin("room_logger.py", place.jid(2), address, "Scribe")
                    await log.until("*** in ")
                    await room.say("Nurse! What sayest thou?")
                if "I heard that, Romeo." in str(heard):
                    break
        assert any("Hello, participant Scribe" in str(text) for text in heard)
        await log.until("Romeo: Nurse! What sayest thou?", "I heard that, Romeo.")
        assert bot.lines == []


# --- files


@on_every_server
async def test_upload(place: Place) -> None:
    server = place.bench.server
    web = {"tls": place.bench.tls, "allow_private": True} if server is None else {"transport": InMemory(server)}
    file = place.folder / "sun.png"
    file.write_bytes(PNG)
    async with place.connect(1) as juliet, juliet.messages.subscribe(MessageType.CHAT) as inbox:
        (url,) = await place.run("upload.py", place.jid(0), str(juliet.jid), str(file), web=web)
        assert url.startswith("https://")
        assert await told(inbox) == url
    (line,) = await place.run("upload.py", place.jid(0), place.jid(1), str(file), web={"service": place.jid(1)})
    assert line.startswith("not uploaded: ")


@on_every_server
async def test_bytestreams(place: Place) -> None:
    receiver = place.begin("bytestream_receiver.py", place.jid(1, "here"), place.jid(0), str(place.folder))
    await receiver.until("I am")
    letter = place.folder / "letter"
    letter.write_bytes(bytes(range(256)) * 200)
    for number in (1, 2):
        assert await place.run("bytestream_sender.py", place.jid(0), place.jid(1, "here"), str(letter)) == []
        name = f"{place.jid(0)}-{number}"
        await receiver.until(f"{name} came from {place.jid(0)}")
        assert (place.folder / name).read_bytes() == letter.read_bytes()
    (line,) = await place.run("bytestream_sender.py", place.jid(2), place.jid(1, "here"), str(letter))
    assert line.startswith("not sent: ")


# --- nodes


@on_every_server
async def test_node_client_and_events(place: Place) -> None:
    owner = place.jid(0) if place.bench.server is None else f"pubsub.{place.domain}"
    events = place.begin("node_events.py", place.jid(0, "watch"), owner, "notes")
    act = functools.partial(place.run, "node_client.py", place.jid(0), owner)
    assert await act("create", "notes") == []
    if place.bench.server is not None:  # the events of one's own account come without
        assert await act("subscribe", "notes") == []
    (first,) = await act("publish", "notes", "It is the east.")
    assert await act("items", "notes") == [f"{first} It is the east."]
    assert "notes" in await act("nodes")
    (line,) = await act("configuration", "notes")
    assert "access: " in line
    await events.until(f"published {first} It is the east.")
    assert await act("retract", "notes", first) == []
    assert await act("items", "notes") == []
    assert await act("delete", "notes") == []
    (line,) = await act("items", "notes")
    assert line.startswith("items failed: ")


@on_every_server
async def test_tune(place: Place) -> None:
    ours = place.begin("tune.py", place.jid(0, "desk"), "Prokofiev", "Dance of the Knights")
    line = f"{place.jid(0)} listens to Dance of the Knights by Prokofiev"
    # Seen once, on a busy machine: ejabberd sent no event for an item that was published while the client appeared.
    for number in range(5):
        if await ours.shows(line, within=5):
            return
        place.begin("tune.py", place.jid(0, f"desk{number}"), "Prokofiev", "Dance of the Knights")
    await ours.until(line)


@on_every_server
async def test_avatars(place: Place) -> None:
    face, saved = place.folder / "face.png", place.folder / f"{place.jid(0)}.png"
    saver = place.begin("avatars.py", place.jid(0, "saver"), str(place.folder))
    for number in range(5):  # as with the tune
        image = PNG + bytes(number)
        face.write_bytes(image)
        assert await place.run("set_avatar.py", place.jid(0), str(face)) == [
            f"image/png {hashlib.sha1(image).hexdigest()}"
        ]
        if await saver.shows(f"{saved.name}, {len(image)} octets", within=5):
            break
    assert saved.read_bytes() == image


# --- commands and accounts


@on_every_server
async def test_commands(place: Place) -> None:
    bot = place.jid(1, "bot")
    provider = place.begin("command_provider.py", bot)
    await provider.until("I am")
    assert await place.run("command_user.py", place.jid(0), bot) == ["greeting - Greeting"]
    assert await place.run("command_user.py", place.jid(0), bot, "greeting", "name=Romeo") == [
        "completed Hello, Romeo!"
    ]
    (line,) = await place.run("command_user.py", place.jid(0), bot, "nothing")
    assert line.startswith("the command failed: ")


@on_every_server
async def test_register_account(place: Place) -> None:
    name = f"nurse-of-{place.names[0]}@{place.domain}"
    assert await place.run("register_account.py", name) == [f"{name} has an account now"]
    (line,) = await place.run("register_account.py", name)
    assert line.startswith("no account: ")
