"""The archive of the embedded server (XEP-0313), as a client that knows nothing but XML finds it."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from tests.testing.raw import RawClient, log_in
from trioxmpp.protocol import ns
from trioxmpp.testing import open_server

ROMEO, JULIET = "romeo@example.test/orchard", "juliet@example.test/balcony"
MAM, RSM, FORMS = "urn:xmpp:mam:2", "http://jabber.org/protocol/rsm", "jabber:x:data"
INFO = "http://jabber.org/protocol/disco#info"


@pytest.fixture
async def server(autojump_clock):
    async with open_server() as server:
        server.policy.archive = True
        yield server


async def converse(server) -> tuple[RawClient, RawClient]:
    romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
    for number in range(2):
        await romeo.says(f"<message to='{JULIET}' type='chat' id='r{number}'><body>{number}</body></message>")
        await juliet.hears()
        await juliet.says(f"<message to='{ROMEO}' type='chat' id='j{number}'><body>{number}</body></message>")
        await romeo.hears()
    return romeo, juliet


async def asks(client: RawClient, *fields: str, page: str = "", to: str = "") -> tuple[list[str], dict[str, str]]:
    """The ids of the messages that come, and what is answer about them."""
    form = f"<x xmlns='{FORMS}' type='submit'>{''.join(fields)}</x>" if fields else ""
    await client.says(
        f"<iq type='set' id='q'{to}><query xmlns='{MAM}' queryid='1'>{form}<set xmlns='{RSM}'>{page}</set></query></iq>"
    )
    ids = []
    while (element := await client.hears()).tag == f"{{{ns.CLIENT}}}message":
        assert element[0].tag == f"{{{MAM}}}result"
        assert element[0].get("queryid") == "1"
        ids.append(element.find(f".//{{{ns.CLIENT}}}message").get("id"))
    if element.get("type") == "error":
        return ids, {"error": element.find(f".//{{{ns.STANZA_ERRORS}}}*").tag.partition("}")[2]}
    (fin,) = element
    assert fin.tag == f"{{{MAM}}}fin"
    return ids, {**fin.attrib, **{child.tag.partition("}")[2]: child.text for child in fin[0]}}


def field(name: str, value: str) -> str:
    return f"<field var='{name}'><value>{value}</value></field>"


async def test_an_archive_exists_only_if_the_policy_says_so(autojump_clock, server):
    server.policy.archive = False
    romeo, _ = await converse(server)
    await romeo.says(f"<iq type='get' id='1'><query xmlns='{INFO}'/></iq>")
    assert MAM not in {feature.get("var") for feature in (await romeo.hears())[0]}
    assert await asks(romeo) == ([], {"error": "service-unavailable"})
    assert not server.accounts["romeo"].archive.items
    server.policy.archive = True
    await romeo.says(f"<iq type='get' id='1'><query xmlns='{INFO}'/></iq>")
    assert MAM in {feature.get("var") for feature in (await romeo.hears())[0]}


async def test_an_archive_has_both_directions_in_order(autojump_clock, server):
    romeo, juliet = await converse(server)
    for client in (romeo, juliet):
        ids, answer = await asks(client)
        assert ids == ["r0", "j0", "r1", "j1"]
        assert answer["complete"] == "true"


async def test_a_result_is_the_message_with_its_time(autojump_clock, server):
    romeo, _ = await converse(server)
    await romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}'><set xmlns='{RSM}'><max>1</max></set></query></iq>")
    await romeo.expects(
        f"<message to='{ROMEO}'><result xmlns='{MAM}' id='$1'>"
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='$2'/>"
        f"<message xmlns='jabber:client' from='{ROMEO}' to='{JULIET}' type='chat' id='r0'><body>0</body></message>"
        "</forwarded></result></message>"
    )
    await romeo.expects(
        f"<iq type='result' id='q' to='{ROMEO}'><fin xmlns='{MAM}'><set xmlns='{RSM}'>"
        "<first>$1</first><last>$1</last></set></fin></iq>"
    )


async def test_a_client_pages_through_an_archive_in_both_directions(autojump_clock, server):
    romeo, _ = await converse(server)
    ids, answer = await asks(romeo, page="<max>3</max>")
    assert ids == ["r0", "j0", "r1"]
    assert "complete" not in answer
    ids, answer = await asks(romeo, page=f"<max>3</max><after>{answer['last']}</after>")
    assert ids == ["j1"]
    assert answer["complete"] == "true"
    ids, answer = await asks(romeo, page="<max>1</max><before/>")
    assert ids == ["j1"]
    assert "complete" not in answer
    ids, answer = await asks(romeo, page=f"<max>9</max><before>{answer['first']}</before>")
    assert ids == ["r0", "j0", "r1"]
    assert answer["complete"] == "true"
    assert await asks(romeo, page="<max>0</max>") == ([], {"complete": "true"})  # Prosody's bug, kept: see Dialect


async def test_a_form_narrows_an_archive_down(autojump_clock, server):
    romeo, _ = await converse(server)
    archive = server.accounts["romeo"].archive
    long_ago = datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC)
    archive.items[0] = replace(archive.items[0], time=long_ago)
    then = "2000-01-01T00:00:00Z"
    assert (await asks(romeo, field("with", "juliet@example.test")))[0] == ["r0", "j0", "r1", "j1"]
    assert (await asks(romeo, field("with", JULIET)))[0] == ["r0", "j0", "r1", "j1"]
    assert (await asks(romeo, field("with", "nurse@example.test")))[0] == []
    assert (await asks(romeo, field("FORM_TYPE", MAM), field("start", then)))[0] == ["j0", "r1", "j1"]
    assert (await asks(romeo, field("end", then)))[0] == ["r0"]


@pytest.mark.parametrize(
    "message",
    [
        "<message type='chat'/>",
        "<message type='headline'><body>x</body></message>",
        "<presence><body>x</body></presence>",
    ],
)
async def test_messages_without_a_body_are_not_archived(autojump_clock, server, message):
    romeo = await log_in(server)
    await romeo.says(message.replace("<message", "<message to='juliet@example.test'"))
    await romeo.says("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    while (await romeo.hears()).tag != f"{{{ns.CLIENT}}}iq":
        pass
    assert not server.accounts["romeo"].archive.items


@pytest.mark.parametrize(
    ("fields", "page", "to", "condition"),
    [
        ((), "<after>nothing</after>", "", "item-not-found"),
        ((), "<before>nothing</before>", "", "item-not-found"),
        ((), "<max>many</max>", "", "bad-request"),
        ((), "<max>-1</max>", "", "bad-request"),
        ((field("FORM_TYPE", "urn:example"),), "", "", "bad-request"),
        ((field("with", "@"),), "", "", "bad-request"),
        ((field("start", "today"),), "", "", "bad-request"),
        ((field("end", "2026-02-03T04:05:06"),), "", "", "bad-request"),
        ((), "", " to='juliet@example.test'", "service-unavailable"),
    ],
)
async def test_an_archive_refuses_malformed_queries(autojump_clock, server, fields, page, to, condition):
    romeo = await log_in(server)
    assert await asks(romeo, *fields, page=page, to=to) == ([], {"error": condition})


async def test_a_silent_archive_never_answers(autojump_clock, server):
    romeo, _ = await converse(server)
    server.policy.archive = "silent"
    await romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}'/></iq>")
    await romeo.expects_nothing(100)
