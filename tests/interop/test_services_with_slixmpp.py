"""Commands, files, streams, the block list, small questions and accounts, each between a client of ours and slixmpp."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import trio

from tests.interop.conftest import Stage
from tests.interop.driver import PeerError, open_slixmpp
from trioxmpp import JID, Message, MessageType, XMPPError
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.im.blocking import Blocked, Unblocked, open_blocking
from trioxmpp.im.presence import appear
from trioxmpp.protocol.elements.forms import DataForm, Field, FormType
from trioxmpp.xep.accounts import change_password, register, remove_account
from trioxmpp.xep.adhoc import Status, list_commands, run_command
from trioxmpp.xep.basics import entity_time, last_activity, offer_last_activity, ping, software_version
from trioxmpp.xep.bytestreams import open_bytestreams
from trioxmpp.xep.offered_commands import offer_commands
from trioxmpp.xep.upload import file_message, find_service, shared_url, upload

CONTENT = bytes(range(256)) * 200


# --- commands


async def test_we_run_a_command_of_slixmpp(stage: Stage) -> None:
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client:
        await slixmpp.do("offer_command", node="shout", name="Shout a word")
        (item,) = await list_commands(client, slixmpp.jid)
        assert (item.node, item.name) == ("shout", "Shout a word")
        async with run_command(client, "shout", on=slixmpp.jid) as command:
            assert command.status is Status.EXECUTING
            assert command.form.values("word") == ()
            command.form["word"] = "soft"
            await command.complete()
            assert command.status is Status.COMPLETED
            assert command.result["word"] == "SOFT"
            assert [note.text for note in command.notes] == ["done"]


async def test_slixmpp_runs_a_command_of_ours(stage: Stage) -> None:
    form = DataForm(title="Shout", fields=(Field(var="word", label="A word", required=True),))
    asked: list[JID] = []

    async def shout(session) -> None:
        asked.append(session.requester)
        answer = await session.ask(form, last=True)
        word = answer["word"].upper()
        session.done(DataForm(type=FormType.RESULT, fields=(Field(var="word", values=(word,)),)), note="done")

    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        offer_commands(client, {"shout": (shout, "Shout a word")}, allow=lambda jid: jid.bare == slixmpp.jid.bare),
    ):
        listed = await slixmpp.call("xep_0050.get_commands", client.jid)
        assert [item[1:] for item in listed["disco_items"]["items"]] == [["shout", "Shout a word"]]
        first, last = await slixmpp.do("run_command", to=str(client.jid), node="shout", values={"word": "soft"})
        assert (first["command"]["status"], last["command"]["status"]) == ("executing", "completed")
        assert 'var="word"' in first["$xml"]
        assert "<value>SOFT</value>" in last["$xml"]
        assert last["command"]["notes"] == [["info", "done"]]
        async with stage.slixmpp(stage.user()) as stranger:
            with pytest.raises(PeerError) as refused:
                await stranger.do("run_command", to=str(client.jid), node="shout", values={})
            assert refused.value.condition == "forbidden"


# --- files


async def test_a_file_that_we_upload_is_fetched_from_its_address(stage: Stage) -> None:
    tls = stage.server.ssl_context()
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client:
        await slixmpp.appear()
        url = await upload(client, CONTENT, name="sun & moon.bin", tls=tls, allow_private=True)
        await client.send(file_message(url, to=slixmpp.jid))
        heard = await slixmpp.event("message")
        assert (heard["body"], heard["oob"]["url"]) == (url, url)
        assert await slixmpp.do("fetch", url=url) == CONTENT
        service = await find_service(client)
        assert service is not None
        assert service.limit == 10485760


async def test_a_file_that_slixmpp_uploads_is_found_in_its_message(stage: Stage) -> None:
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        client.messages.subscribe(MessageType.CHAT) as inbox,
    ):
        url = await slixmpp.do("upload", name="sun.bin", data=CONTENT)
        await slixmpp.say(client.jid, url, oob={"url": url})
        assert shared_url(await anext(inbox)) == url
        assert await slixmpp.do("fetch", url=url) == CONTENT


async def test_a_bytestream_of_slixmpp_is_read_by_us(stage: Stage) -> None:
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        open_bytestreams(client, allow=lambda jid: jid == slixmpp.jid) as streams,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(lambda: slixmpp.do("stream_send", to=str(client.jid), data=CONTENT))
        stream = await anext(streams)
        assert b"".join([chunk async for chunk in stream]) == CONTENT


async def test_a_bytestream_of_ours_is_read_by_slixmpp(stage: Stage) -> None:
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        open_bytestreams(client) as streams,
    ):
        received = None

        async def read() -> None:
            nonlocal received
            received = await slixmpp.do("stream_read")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            async with await streams.connect(slixmpp.jid) as stream:
                await stream.send_all(CONTENT)
        assert received == CONTENT


async def test_a_stream_that_we_do_not_allow_is_refused_to_slixmpp(stage: Stage) -> None:
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client, open_bytestreams(client):
        with pytest.raises(PeerError) as refused:
            await slixmpp.do("stream_send", to=str(client.jid), data=b"x")
        assert refused.value.condition == "not-acceptable"


# --- the block list


async def test_two_clients_of_one_account_share_a_block_list(stage: Stage) -> None:
    user, stranger = stage.user(), stage.user()
    async with (
        stage.slixmpp(user) as slixmpp,
        stage.ours(user) as client,
        open_blocking(client) as blocklist,
        blocklist.changes() as changes,
        stage.ours(stranger) as other,
    ):
        jid = JID.parse(stage.jid(stranger))
        await slixmpp.call("xep_0191.get_blocked")
        await blocklist.block(jid, "example.net")
        await slixmpp.event("blocked")
        assert sorted(await slixmpp.call("xep_0191.get_blocked_jids")) == sorted([str(jid), "example.net"])
        assert set((await anext(changes)).jids) == {jid, JID.parse("example.net")}
        await slixmpp.call("xep_0191.unblock", [jid])
        change = await anext(changes)
        assert isinstance(change, Unblocked)
        assert list(change.jids) == [jid]
        await slixmpp.call("xep_0191.block", [jid])
        change = await anext(changes)
        assert isinstance(change, Blocked)
        assert blocklist.blocks(jid)
        with pytest.raises(XMPPError):
            await ping(other, slixmpp.jid)


# --- small questions


async def test_small_questions_are_answered_by_both(stage: Stage) -> None:
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client:
        assert await ping(client, slixmpp.jid) > 0
        await slixmpp.call("xep_0199.send_ping", client.jid)
        version = await software_version(client, slixmpp.jid)
        assert version.version == slixmpp.version
        ours = await slixmpp.call("xep_0092.get_version", client.jid)
        assert ours["software_version"]["name"] == "trioxmpp"
        assert ours["software_version"]["version"] == ""  # nor an operating system: they help attackers


async def test_slixmpp_reads_and_answers_no_time(stage: Stage) -> None:
    """Its plugin writes a time of day that its own parser does not take, so it answers with an error."""
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client:
        with pytest.raises(XMPPError, match="Slixmpp got into trouble"):
            await entity_time(client, slixmpp.jid)
        told = await slixmpp.call("xep_0202.get_entity_time", client.jid)
        found = re.search(r"<tzo>Z</tzo><utc>(.+)</utc>", told["$xml"])
        assert found is not None
        assert abs(datetime.fromisoformat(found[1]) - datetime.now(UTC)) < timedelta(hours=1)
        assert "$error" in told["entity_time"]["tzo"]


async def test_idle_times_go_both_ways(stage: Stage) -> None:
    romeo, juliet = await stage.friends()
    async with stage.slixmpp(juliet) as slixmpp, stage.ours(romeo) as client, appear(client):
        await slixmpp.call("get_roster")
        await slixmpp.appear()
        with offer_last_activity(client, lambda: 90.0, allow=lambda jid: jid == slixmpp.jid):
            told = await slixmpp.call("xep_0012.get_last_activity", client.jid)
            assert told["last_activity"]["seconds"] == 90
        with pytest.raises(PeerError) as refused:
            await slixmpp.call("xep_0012.get_last_activity", client.jid)
        assert refused.value.condition in ("service-unavailable", "forbidden")
        await slixmpp.call("xep_0012.begin_idle", status="asleep")
        answer = await last_activity(client, slixmpp.jid)
        assert answer.seconds >= 0


async def test_each_side_finds_what_the_other_offers(stage: Stage) -> None:
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client:
        with client.offers("urn:example:balcony"):
            info = await slixmpp.call("xep_0030.get_info", jid=client.jid)
            assert "urn:example:balcony" in info["disco_info"]["features"]
            assert sorted(info["disco_info"]["features"]) == sorted(client.offers.info.features)
        theirs = await client.disco.info(slixmpp.jid)
        own = await slixmpp.call("xep_0030.get_info", jid=slixmpp.jid, local=True)
        assert sorted(theirs.features) == sorted(own["features"])


# --- accounts


async def test_an_account_of_ours_is_used_by_slixmpp(stage: Stage) -> None:
    name = f"new-of-ours-{stage.user()}"
    await register(stage.jid(name), "first", endpoint=stage.server.endpoint, tls=stage.server.ssl_context())
    async with stage.ours_with(name, "first") as client:
        await change_password(client, "second")
        async with open_slixmpp(stage.server, name, password="second") as slixmpp:
            await slixmpp.call("xep_0199.send_ping", JID.parse(stage.domain))
            await slixmpp.call("xep_0077.change_password", "third", jid=stage.domain)
    async with stage.ours_with(name, "third") as client:
        await remove_account(client)
    with pytest.raises(AuthenticationFailure):
        async with stage.ours_with(name, "third"):
            pass


async def test_an_account_of_slixmpp_is_used_by_us(stage: Stage) -> None:
    name = f"new-of-slixmpp-{stage.user()}"
    async with (
        open_slixmpp(stage.server, name, password="first", register=True) as slixmpp,
        stage.ours_with(name, "first") as client,
    ):
        await slixmpp.appear()
        await client.send(Message(to=slixmpp.jid, type=MessageType.CHAT, body="it is yours"))
        assert (await slixmpp.event("message"))["body"] == "it is yours"
