"""vCards, private XML, commands, registration and upload slots, beside recordings of real servers; and what they do."""

from __future__ import annotations

import pytest

from tests.testing.dialogs import RECORDINGS, Step, clients, heard, play, scenes
from tests.testing.raw import RawClient, log_in
from trioxmpp.protocol import ns
from trioxmpp.testing import Dialect, open_server
from trioxmpp.testing.server.commands import Stage
from trioxmpp.testing.server.forms import form

ACCOUNTS = {f"user{number}": "secret" for number in range(1, 5)}
VCARD, COMMANDS, UPLOAD = "vcard-temp", "http://jabber.org/protocol/commands", "urn:xmpp:http:upload:0"


def get(payload: str, to: str = "", kind: str = "get") -> str:
    return f"<iq type='{kind}' id='1'{' to=' + repr(to) if to else ''}>{payload}</iq>"


def slot(name: str, size: str, type: str = "") -> str:
    return get(f"<request xmlns='{UPLOAD}' filename='{name}' size='{size}'{type}/>", "upload.example.test")


STEPS = (
    Step("a", get(f"<vCard xmlns='{VCARD}'/>", "user3@example.test"), ("foreign vcard none",)),
    Step("a", get(f"<vCard xmlns='{VCARD}'/>", "nobody@example.test"), ("vcard of nobody",)),
    Step("a", get("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"), ("private xml",)),
    Step("a", get(f"<command xmlns='{COMMANDS}' node='nope'/>", "example.test", "set"), ("adhoc unknown",)),
    Step("a", slot("x.jpg", "99999999999", " content-type='image/jpeg'"), ("slot too large",)),
)


async def test_small_services_are_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        recording = dict(scenes("pep", version))
        async with open_server(accounts=ACCOUNTS, dialect=dialect) as server:
            server.upload.serve()
            players = await clients(server, "a")
            found = await play(players, STEPS, recording)
            differences += [f"{version} {difference}" for difference in found]
    assert not differences, "\n".join(differences)


async def test_private_xml_and_vcards_come_back(autojump_clock):
    async with open_server() as server:
        romeo = await log_in(server)
        storage = "<storage xmlns='storage:bookmarks'><url name='x'/></storage>"
        await romeo.says(get(f"<query xmlns='jabber:iq:private'>{storage}</query>", kind="set"))
        await romeo.says(get("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"))
        await romeo.says(get(f"<vCard xmlns='{VCARD}'><FN>Romeo</FN></vCard>", kind="set"))
        juliet = await log_in(server, "juliet", "balcony")
        await juliet.says(get(f"<vCard xmlns='{VCARD}'/>", "romeo@example.test"))
        _, stored, _ = await heard(romeo)
        assert stored.find(".//{storage:bookmarks}url").get("name") == "x"
        (answer,) = await heard(juliet)
        assert answer.findtext(f".//{{{VCARD}}}FN") == "Romeo"


async def test_a_command_leads_through_its_stages_and_back(autojump_clock):
    def greet(forms):
        if len(forms) < 2:
            return Stage(form("form", None, {f"q{len(forms)}": None}), last=len(forms) == 1)
        return Stage(note=f"{forms[0]['q0'][0]} {forms[1]['q1'][0]}")

    def command(attributes: str = "", value: str = "") -> str:
        name, _, text = value.partition("=")
        field = f"<field var='{name}'><value>{text}</value></field>"
        submitted = f"<x xmlns='jabber:x:data' type='submit'>{field}</x>" if value else ""
        return get(f"<command xmlns='{COMMANDS}' node='greet'{attributes}>{submitted}</command>", "example.test", "set")

    async with open_server() as server:
        server.commands.add("greet", "Greet", greet)
        romeo = await log_in(server)

        async def says(attributes: str = "", value: str = ""):
            await romeo.says(command(attributes, value))
            return (await heard(romeo))[0][0]

        first = await says()
        session = f" sessionid='{first.get('sessionid')}'"
        assert first.get("status") == "executing"
        second = await says(f"{session} action='next'", "q0=a")
        assert second.find(f"{{{COMMANDS}}}actions").get("execute") == "complete"
        await says(f"{session} action='prev'")
        await says(f"{session} action='next'", "q0=b")
        last = await says(f"{session} action='complete'", "q1=c")
        assert last.get("status") == "completed"
        assert last.findtext(f"{{{COMMANDS}}}note") == "b c"
        error = await says(f"{session} action='next'")
        assert error.find(f".//{{{COMMANDS}}}bad-sessionid") is not None


async def test_a_stranger_registers_and_logs_in(autojump_clock):
    async with open_server(accounts={}, registration=True) as server:
        client = RawClient(await server.endpoint())
        assert "iq-register" in await client.opens()
        await client.says("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
        assert (await client.hears()).find(".//{jabber:iq:register}password") is not None
        account = "<username>nurse</username><password>secret</password>"
        await client.says(f"<iq type='set' id='2'><query xmlns='jabber:iq:register'>{account}</query></iq>")
        assert (await client.hears()).get("type") == "result"
        await client.says(f"<iq type='set' id='3'><query xmlns='jabber:iq:register'>{account}</query></iq>")
        assert (await client.hears()).find(f".//{{{ns.STANZA_ERRORS}}}conflict") is not None
        await client.auths("nurse", "secret")
        await client.expects(f"<success xmlns='{ns.SASL}'/>")
        await client.opens()
        await client.binds("x")
        await client.says("<iq type='set' id='4'><query xmlns='jabber:iq:register'><remove/></query></iq>")
        await client.expects("<iq type='result' id='4' to='nurse@example.test/x'/>")
        assert (await client.hears()).find(f"{{{ns.STREAM_ERRORS}}}not-authorized") is not None
        assert not server.accounts


@pytest.mark.parametrize("dialect", [Dialect.PROSODY_13, Dialect.EJABBERD_26], ids=lambda dialect: dialect.name)
async def test_a_file_is_put_where_its_slot_is_and_only_there(autojump_clock, dialect):
    async with open_server(dialect=dialect) as server:
        server.upload.serve()
        romeo = await log_in(server)
        await romeo.says(slot("x y.txt", "3"))
        (answer,) = await heard(romeo)
        put = answer.find(f".//{{{UPLOAD}}}put")
        headers = {header.get("name"): header.text for header in put}
        url = put.get("url")
        assert bool(headers) is dialect.upload_needs_token
        assert server.upload.put(url + "x", headers, b"abc") == 403
        if headers:
            assert server.upload.put(url, {}, b"abc") == 401
        assert server.upload.put(url, headers, b"abcd") == 413
        assert server.upload.get(url) == (404, b"")
        assert server.upload.put(url, headers, b"abc") == 201
        assert server.upload.put(url, headers, b"abc") == (409 if headers else 403)
        assert server.upload.get(url) == (200, b"abc")
