"""`trioxmpp send`: messages and files reach people and rooms, and each failure has its status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.cli.commands import account
from tests.xep.webserver import InMemory
from trioxmpp import JID, MessageType
from trioxmpp.cli.account import Account
from trioxmpp.cli.errors import (
    CommandError,
    LoginRefused,
    NotDelivered,
    RoomRefused,
    TookTooLong,
    Unreachable,
    UploadImpossible,
)
from trioxmpp.cli.send import Order, deliver
from trioxmpp.protocol import ns
from trioxmpp.testing import Faults, ScriptedServer, open_server
from trioxmpp.xep.muc import RoomMessage, open_room
from trioxmpp.xep.upload import shared_url

HERE, FILE = Path(), Path("balcony.txt")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a bench take no other fixtures: their folder is the current one, with a file in it."""
    monkeypatch.chdir(tmp_path)
    FILE.write_text("But, soft!")


def order(*recipients: str, **options: Any) -> Order:
    return Order(tuple(map(JID.parse, recipients)), **options)


@on_every_bench(accounts=2)
async def test_a_message_reaches_a_person_and_a_contact_that_is_not_there_gets_it_later(bench: Bench) -> None:
    juliet = bench.clients[1]
    async with juliet.messages.subscribe(MessageType.CHAT) as inbox:
        to = (str(juliet.jid), bench.jid(1))
        failures = await deliver(order(*to, text="Art thou\nnot Romeo?", subject="A question"), account(bench, 0, HERE))
        assert failures == []
        message = await inbox.receive()
    assert (message.body, message.subject) == ("Art thou\nnot Romeo?", "A question")
    assert message.from_ is not None
    assert str(message.from_.bare) == bench.jid(0)


@on_every_bench(accounts=2)
async def test_a_recipient_that_does_not_exist_is_told_and_the_others_get_it(bench: Bench) -> None:
    async with bench.clients[1].messages.subscribe(MessageType.CHAT) as inbox:
        to = (f"nobody@{bench.domain}/nowhere", str(bench.clients[1].jid))
        failures = await deliver(order(*to, text="Hi"), account(bench, 0, HERE))
        assert (await inbox.receive()).body == "Hi"
    assert [type(each) for each in failures] == [NotDelivered]
    assert str(failures[0]).startswith(f"nobody@{bench.domain}/nowhere: ")


@on_every_bench(accounts=2)
async def test_a_room_hears_what_is_sent_to_it(bench: Bench) -> None:
    place = bench.room()
    async with (
        open_room(bench.clients[1], place, "juliet", create=True) as room,
        room.events() as events,
    ):
        assert await deliver(order(place, text="Hi", is_room=True, nick="voice"), account(bench, 0, HERE)) == []
        while not isinstance(event := await events.receive(), RoomMessage):
            pass
    assert (event.entry.nick, event.entry.text) == ("voice", "Hi")


@on_every_bench(accounts=1)
async def test_a_room_that_cannot_be_entered_is_told(bench: Bench) -> None:
    (failure,) = await deliver(order(bench.room(), text="Hi", is_room=True), account(bench, 0, HERE))
    assert type(failure) is RoomRefused
    (failure,) = await deliver(order(bench.domain, text="Hi", is_room=True), account(bench, 0, HERE))
    assert "not the address of a room" in str(failure)


@on_every_bench(accounts=2)
async def test_a_file_is_uploaded_and_its_address_is_sent(bench: Bench) -> None:
    transport = None if bench.server is None else InMemory(bench.server)
    async with bench.clients[1].messages.subscribe(MessageType.CHAT) as inbox:
        wanted = order(str(bench.clients[1].jid), text="Look", file=FILE, allow_private=True)
        assert await deliver(wanted, account(bench, 0, HERE), transport=transport) == []
        assert (await inbox.receive()).body == "Look"
        url = shared_url(await inbox.receive())
    assert url is not None
    assert url.endswith("balcony.txt")


@on_every_bench(accounts=1)
async def test_a_password_that_is_wrong_is_told_and_not_repeated(bench: Bench) -> None:
    with pytest.raises(LoginRefused) as caught:
        await deliver(order(bench.jid(0), text="Hi"), account(bench, 0, HERE, password="mercutio-9"))
    assert "mercutio-9" not in str(caught.value)


def run(main: Any) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def failure_of(endpoint: Any, **options: Any) -> CommandError:
    sender = Account(JID.parse("romeo@example.test"), "secret", (endpoint,), allow_plaintext=True, timeout=30)
    with pytest.raises(CommandError) as caught:
        await deliver(order("juliet@example.test", text="Hi"), sender, **options)
    return caught.value


def test_each_failure_of_the_connection_has_its_error() -> None:
    async def main() -> None:
        async with open_server() as server:
            server.faults = Faults(silent=True)
            assert type(await failure_of(server.endpoint)) is Unreachable
            late = await failure_of(server.endpoint, timeout=10)
            assert type(late) is TookTooLong
            assert "10 seconds" in str(late)
            server.faults = Faults(refuse_login="temporary-auth-failure")
            assert type(await failure_of(server.endpoint)) is Unreachable
            await server.crash()
            refused = await failure_of(server.endpoint)
            assert type(refused) is Unreachable
            assert "down" in str(refused)

    run(main)


def test_a_session_that_is_lost_tells_how_many_messages_are_in_doubt() -> None:
    async def main() -> None:
        server = ScriptedServer()

        async def script() -> None:
            peer = await server.accept()
            await peer.negotiates("romeo@example.test/orchard")
            await peer.hears()
            peer.close()
            again = await server.accept()
            await again.authenticates()
            await again.hears()
            await again.says(f"<failed xmlns='{ns.SM}'><item-not-found xmlns='{ns.STANZA_ERRORS}'/></failed>")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(script)
            lost = await failure_of(server.endpoint)
            nursery.cancel_scope.cancel()
        assert type(lost) is Unreachable
        assert str(lost).endswith("; messages in doubt: 1")

    run(main)


def test_a_file_that_the_service_does_not_take_is_told() -> None:
    async def main() -> None:
        async with open_server(accounts={"romeo": "secret"}) as server:  # without an upload service
            sender = Account(JID.parse("romeo@example.test"), "secret", (server.endpoint,), allow_plaintext=True)
            wanted = order("romeo@example.test", file=FILE)
            (failure,) = await deliver(wanted, sender)
            assert type(failure) is UploadImpossible
            assert "no upload service" in str(failure)
            server.upload.serve()
            await trio.Path(FILE).unlink()
            (failure,) = await deliver(wanted, sender)
            assert type(failure) is UploadImpossible

    run(main)


def test_a_message_for_which_the_server_ends_the_session_is_in_doubt() -> None:
    async def main() -> None:
        async with open_server(accounts={"romeo": "secret", "juliet": "secret"}, max_stanza=2000) as server:
            sender = Account(JID.parse("romeo@example.test"), "secret", (server.endpoint,), allow_plaintext=True)
            with pytest.raises(Unreachable, match="messages in doubt: 1"):
                await deliver(order("juliet@example.test", text="x" * 4000), sender)
            assert not server.accounts["juliet"].offline

    run(main)
