"""Options that `connect` passes on: languages, limits, retries of the first connection, the client's identity."""

from __future__ import annotations

import logging

import pytest
import trio

import trioxmpp
from trioxmpp import IQ, ConnectError, IQType, Limits, Message, ReconnectPolicy, XMPPCancelError, XMPPModifyError
from trioxmpp.protocol.elements.disco import Identity, InfoQuery
from trioxmpp.protocol.elements.entity_time import TimeQuery
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.elements.version import Version, VersionQuery
from trioxmpp.testing import ScriptedServer


async def language_of_the_stream(**options) -> str | None:
    server = ScriptedServer()

    async def connects() -> None:
        with pytest.raises(ConnectionError):
            async with trioxmpp.connect(
                "romeo@example.test", "x", endpoint=server.endpoint, allow_plaintext=True, **options
            ):
                pytest.fail("connected")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connects)
        peer = await server.accept()
        header = await peer.expects_header()
        peer.close()
    return header.lang


async def test_a_stream_has_no_language_unless_one_is_given(autojump_clock):
    assert await language_of_the_stream() is None
    assert await language_of_the_stream(lang="de") == "de"


async def test_a_stanza_beyond_a_limit_is_passed_over_and_the_limit_is_ours_to_set(autojump_clock, road):
    async with (
        road.connect("juliet") as juliet,
        road.connect(limits=Limits(stanza=2000)) as client,
        client.messages.subscribe() as inbox,
    ):
        for body in ("first", "x" * 3000, "last"):
            await juliet.send(Message(to=client.jid, body=body))
        assert [(await anext(inbox)).body for _ in range(2)] == ["first", "last"]


async def test_a_request_beyond_a_limit_is_answered(autojump_clock, road):
    async with road.connect("juliet") as juliet, road.connect(limits=Limits(stanza=2000)) as client:
        with pytest.raises(XMPPModifyError):
            await juliet.request(InfoQuery(node="x" * 3000), to=client.jid)
        await juliet.request(Ping(), to=client.jid)


async def test_the_first_connection_is_tried_again_if_the_policy_says_so(autojump_clock, road):
    road.blocked = True

    async def unblocks() -> None:
        await trio.sleep(100)
        road.blocked = False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(unblocks)
        async with road.connect(reconnect=ReconnectPolicy(first=True)) as client:
            assert trio.current_time() >= 100
            assert client.established
    assert len(road.attempts) > 2
    road.blocked = True
    with pytest.raises(ConnectError):
        async with road.connect():
            pytest.fail("connected")


async def test_a_bot_waits_for_its_network_but_not_for_another_password(autojump_clock, road):
    road.blocked = True
    async with trio.open_nursery() as nursery:

        async def starts() -> None:
            await nursery.start(lambda **more: trioxmpp.serve("romeo@example.test", "secret", **road.options(), **more))
            nursery.cancel_scope.cancel()

        nursery.start_soon(starts)
        await trio.sleep(30)
        road.blocked = False
    with pytest.raises(trioxmpp.AuthenticationFailure):
        await trioxmpp.serve("romeo@example.test", "wrong", **road.options())


async def test_others_learn_what_we_are(autojump_clock, road):
    bot = Identity(category="client", type="bot", name="Friar")
    async with road.connect("juliet") as juliet, road.connect(identity=bot) as client:
        info = await juliet.request(InfoQuery(), to=client.jid)
        assert info.identities == (bot,)
        assert {"urn:xmpp:ping", "urn:xmpp:time", "jabber:iq:version"} <= info.features
        await juliet.request(Ping(), to=client.jid)
        assert (await juliet.request(VersionQuery(), to=client.jid)).name == "Friar"
        assert (await juliet.request(TimeQuery(), to=client.jid)).utc is not None
        with client.offers("urn:example:dance"):
            assert "urn:example:dance" in (await juliet.request(InfoQuery(), to=client.jid)).features
        assert "urn:example:dance" not in (await juliet.request(InfoQuery(), to=client.jid)).features
        with pytest.raises(XMPPCancelError, match="item-not-found"):
            await juliet.request(InfoQuery(node="nothing"), to=client.jid)


async def test_the_application_may_answer_for_itself(autojump_clock, road):
    async with road.connect("juliet") as juliet, road.connect() as client:
        with client.iq_handler(IQType.GET, VersionQuery, lambda iq: Version(name="mine")):
            assert (await juliet.request(VersionQuery(), to=client.jid)).name == "mine"
        assert (await juliet.request(VersionQuery(), to=client.jid)).name == "trioxmpp"


async def test_a_request_from_a_stranger_is_refused_where_only_our_account_may_ask(autojump_clock, road):
    asked: list[IQ] = []
    async with road.connect("juliet") as juliet, road.connect() as client:
        with (
            client.answer(VersionQuery, lambda iq: asked.append(iq) or Version(), from_=client.own_account),
            pytest.raises(XMPPCancelError, match="service-unavailable"),
        ):
            await juliet.request(VersionQuery(), to=client.jid)
        assert not asked


async def test_the_loggers_of_the_stream_are_children_of_the_one_that_is_given(autojump_clock, road, caplog):
    with caplog.at_level("INFO"):
        async with (
            road.connect(logger=logging.getLogger("bot.xmpp")) as client,
            client.events() as events,
        ):
            await road.server.crash()
            await road.server.restart()
            await anext(events)
            await client.wait_linked()
    assert "the stream has failed" in "".join(r.message for r in caplog.records if r.name == "bot.xmpp.StanzaStream")
    assert not [r for r in caplog.records if r.name == "trioxmpp.StanzaStream"]


async def test_a_trace_sees_each_way_of_a_message_and_no_password(autojump_clock, road):
    seen: list[tuple[str, str]] = []
    async with (
        road.connect(trace=lambda direction, text: seen.append((direction, text))) as client,
        client.messages.subscribe() as inbox,
    ):
        await client.send(Message(to=client.jid, body="Good night"))
        await anext(inbox)
    assert [direction for direction, text in seen if "Good night" in text] == ["out", "in"]
    logins = [text for direction, text in seen if direction == "out" and text.startswith(("<auth", "<response"))]
    assert logins
    assert all(text.endswith((">[hidden]</auth>", ">[hidden]</response>")) for text in logins)
