"""Rooms of the embedded server: faults, limits, and dialogs that were not recorded."""

from __future__ import annotations

import pytest

from tests.testing.dialogs import heard
from tests.testing.raw import RawClient, log_in
from trioxmpp import xml
from trioxmpp.protocol import ns
from trioxmpp.testing import Dialect, open_server

MUC, ROOM = "http://jabber.org/protocol/muc", "capulets@conference.example.test"
USER, OWNER = f"{MUC}#user", f"{MUC}#owner"
PING = "<iq type='get' id='p' to='{}/{}'><ping xmlns='urn:xmpp:ping'/></iq>"


@pytest.fixture
async def server(autojump_clock):
    async with open_server(rooms=True) as server:
        yield server


async def joins(client: RawClient, nick: str, inner: str = "") -> list:
    await client.says(f"<presence to='{ROOM}/{nick}'><x xmlns='{MUC}'>{inner}</x></presence>")
    return await heard(client)


def field(name: str, value: str) -> str:
    return f"<field var='{name}'><value>{value}</value></field>"


async def configures(client: RawClient, **fields: str) -> list:
    values = "".join(
        f"<field var='muc#roomconfig_{name}'><value>{each}</value></field>" for name, each in fields.items()
    )
    form = f"<x xmlns='jabber:x:data' type='submit'>{values}</x>"
    await client.says(f"<iq type='set' id='c' to='{ROOM}'><query xmlns='{OWNER}'>{form}</query></iq>")
    return await heard(client)


async def speaks(client: RawClient, body: str) -> list:
    await client.says(f"<message type='groupchat' to='{ROOM}'><body>{body}</body></message>")
    return await heard(client)


def codes(elements) -> list[str]:
    return [status.get("code") for element in elements for status in element.iter(f"{{{USER}}}status")]


def condition(elements) -> str:
    (found,) = (each for element in elements for each in element.iter(f"{{{ns.STANZA_ERRORS}}}*"))
    return found.tag.partition("}")[2]


async def a_room(server) -> tuple[RawClient, RawClient]:
    """Romeo owns it, and Juliet is there, too."""
    romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
    await joins(romeo, "r")
    await configures(romeo)
    await joins(juliet, "j")
    await heard(romeo)
    return romeo, juliet


async def test_an_occupant_that_is_evicted_in_silence_learns_it_from_a_ping(autojump_clock, server):
    romeo, juliet = await a_room(server)
    server.rooms.evict(ROOM, "j")
    assert await heard(juliet) == []
    await juliet.says(PING.format(ROOM, "j"))
    assert condition(await heard(juliet)) == "not-acceptable"
    await speaks(romeo, "hello?")
    assert await heard(juliet) == []


async def test_a_service_that_restarts_forgets_rooms_unless_they_are_persistent(autojump_clock, server):
    romeo, juliet = await a_room(server)
    server.rooms.restart()
    await juliet.says(PING.format(ROOM, "j"))
    assert condition(await heard(juliet)) == "item-not-found"
    assert "201" in codes(await joins(romeo, "r"))
    await configures(romeo, persistentroom="1")
    server.rooms.restart()
    await romeo.says(PING.format(ROOM, "r"))
    assert condition(await heard(romeo)) == "not-acceptable"
    assert "201" not in codes(await joins(romeo, "r"))


async def test_a_room_may_give_another_nick_than_was_asked_for(autojump_clock, server):
    server.rooms.nick_assigned = lambda nick: nick.lower()
    romeo = await log_in(server)
    answer = await joins(romeo, "ROMEO")
    assert answer[0].get("from") == f"{ROOM}/romeo"
    assert set(codes(answer)) == {"110", "201", "210"}


async def test_history_is_as_long_as_the_client_wants(autojump_clock, server):
    romeo, juliet = await a_room(server)
    for number in range(5):
        await speaks(romeo, str(number))
    await juliet.says(f"<presence type='unavailable' to='{ROOM}/j'/>")
    await heard(juliet)
    for inner, wanted in (
        ("", ["0", "1", "2", "3", "4"]),
        ("<history maxstanzas='2'/>", ["3", "4"]),
        ("<history maxchars='0'/>", []),
        ("<history since='2999-01-01T00:00:00Z'/>", []),
        ("<history seconds='1000'/>", ["0", "1", "2", "3", "4"]),
    ):
        bodies = [each.findtext(f"{{{ns.CLIENT}}}body") for each in await joins(juliet, "j", inner)]
        assert [body for body in bodies if body is not None] == wanted, inner


async def test_members_only_puts_the_others_out(autojump_clock, server):
    romeo, juliet = await a_room(server)
    await configures(romeo, membersonly="1")
    assert set(codes(await heard(juliet))) == {"104", "322", "110"}
    assert condition(await joins(juliet, "j")) == "registration-required"


async def test_a_full_room_refuses_other_users(autojump_clock):
    for dialect, wanted in ((Dialect.PROSODY_13, "service-unavailable"), (Dialect.EJABBERD_26, "resource-constraint")):
        async with open_server(rooms=True, dialect=dialect) as server:
            romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
            await joins(romeo, "r")
            await configures(romeo, maxusers="1")
            assert condition(await joins(juliet, "j")) == wanted


async def test_a_persistent_room_that_was_destroyed_is_gone(autojump_clock, server):
    romeo, juliet = await a_room(server)
    await configures(romeo, persistentroom="1")
    await romeo.says(f"<iq type='set' id='d' to='{ROOM}'><query xmlns='{OWNER}'><destroy/></query></iq>")
    await heard(romeo)
    await heard(juliet)
    assert condition(await joins(juliet, "j")) == "gone"


async def test_a_visitor_asks_for_voice_and_gets_it(autojump_clock, server):
    romeo, juliet = await a_room(server)
    await configures(romeo, moderatedroom="1")
    await juliet.says(f"<presence type='unavailable' to='{ROOM}/j'/>")
    await heard(juliet)
    await joins(juliet, "j")
    assert condition(await speaks(juliet, "may I?")) == "forbidden"
    await heard(romeo)
    request = field("FORM_TYPE", f"{MUC}#request") + field("muc#role", "participant")
    await juliet.says(f"<message to='{ROOM}'><x xmlns='jabber:x:data' type='submit'>{request}</x></message>")
    (question,) = await heard(romeo)
    values = {each.get("var"): each.findtext("{*}value") for each in question.iter("{jabber:x:data}field")}
    assert values["muc#roomnick"] == "j"
    grant = f"<field var='FORM_TYPE'><value>{MUC}#request</value></field>"
    grant += (
        "<field var='muc#roomnick'><value>j</value></field><field var='muc#request_allow'><value>true</value></field>"
    )
    await romeo.says(f"<message to='{ROOM}'><x xmlns='jabber:x:data' type='submit'>{grant}</x></message>")
    await heard(romeo)
    await heard(juliet)
    assert [each.get("type") for each in await speaks(juliet, "thanks")] == ["groupchat"]


async def test_a_moderator_retracts_a_message_in_both_forms_and_leaves_a_tombstone(autojump_clock):
    async with open_server(rooms=True, dialect=Dialect.EJABBERD_26) as server:
        romeo, juliet = await a_room(server)
        (message,) = await speaks(juliet, "spam")
        id = message.find(f"{{{ns.SID}}}stanza-id").get("id")
        await heard(romeo)
        moderate = (
            f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{id}'><retract xmlns='urn:xmpp:message-retract:1'/>"
            "<reason>spam</reason>"
        )
        await juliet.says(f"<iq type='set' id='m' to='{ROOM}'>{moderate}</moderate></iq>")
        assert condition(await heard(juliet)) == "forbidden"
        await romeo.says(f"<iq type='set' id='m' to='{ROOM}'>{moderate}</moderate></iq>")
        (told,) = await heard(juliet)
        assert told.get("from") == ROOM
        # The order and the places of what ejabberd 26.07 writes.
        assert [child.tag for child in told] == [
            "{urn:xmpp:fasten:0}apply-to",
            "{urn:xmpp:message-retract:1}retract",
            "{urn:xmpp:occupant-id:0}occupant-id",
        ]
        assert told[1].findtext("{urn:xmpp:message-moderate:1}reason") == "spam"
        assert len(told[1].find("{urn:xmpp:message-moderate:1}moderated")) == 0
        (item,) = server.rooms.room(ROOM).archive.items
        assert item.stanza.find("{urn:xmpp:message-retract:1}retracted") is not None


async def test_occupants_ask_each_other_and_get_answers(autojump_clock, server):
    romeo, juliet = await a_room(server)
    await romeo.says(f"<iq type='get' id='v' to='{ROOM}/j'><query xmlns='jabber:iq:version'/></iq>")
    (asked,) = await heard(juliet)
    assert asked.get("from") == f"{ROOM}/r"
    await juliet.says(f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'/>")
    (answer,) = await heard(romeo)
    assert (answer.get("from"), answer.get("id"), answer.get("type")) == (f"{ROOM}/j", "v", "result")


async def test_the_end_of_a_session_is_a_leave(autojump_clock, server):
    romeo, juliet = await a_room(server)
    await juliet.says_footer()
    (gone,) = await heard(romeo)
    assert (gone.get("from"), gone.get("type")) == (f"{ROOM}/j", "unavailable")


@pytest.mark.parametrize("forge", [False, True])
async def test_an_occupant_id_that_an_occupant_claims_is_believed_by_a_forger_only(autojump_clock, forge):
    claimed = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='FAKE'/>"
    async with open_server(rooms=True, forge=forge) as server:
        _, juliet = await a_room(server)
        await juliet.says(f"<message type='groupchat' to='{ROOM}'><body>x</body>{claimed}</message>")
        (message,) = await heard(juliet)
        ids = [each.get("id") for each in message.iter("{urn:xmpp:occupant-id:0}occupant-id")]
        assert ("FAKE" in ids) is forge


@pytest.mark.parametrize("status", [("307", "333"), ("332",)])
async def test_a_test_puts_an_occupant_out_with_any_status(autojump_clock, server, status):
    romeo, juliet = await a_room(server)
    server.rooms.remove(ROOM, "j", *status)
    assert codes(await heard(juliet)) == [*status, "110"]
    assert codes(await heard(romeo)) == [*status]
    assert "j" not in server.rooms.room(ROOM).occupants


async def test_a_test_sends_any_stanza_in_the_name_of_a_room(autojump_clock, server):
    _, juliet = await a_room(server)
    forged = f"<presence from='{ROOM}/r' xmlns='{ns.CLIENT}'><x xmlns='{USER}'><status code='110'/></x></presence>"
    server.sessions["juliet@example.test/balcony"].deliver(xml.fromstring(forged))
    assert codes(await heard(juliet)) == ["110"]
