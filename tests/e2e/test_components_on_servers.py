"""Components (XEP-0114) on real servers."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trio

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    Destroyed,
    Established,
    Message,
    MessageType,
    ReconnectPolicy,
    StreamCondition,
    StreamError,
)
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.elements.version import Version, VersionQuery
from trioxmpp.testing.servers import RealServer, open_relay

DOMAIN = "irc.example.test"
SECRET = "s3cret & <more>"
BOT = f"bot@{DOMAIN}"


@pytest.fixture
def server(server_kind, real_servers) -> RealServer:
    server = real_servers.get(server_kind.label, component=(DOMAIN, SECRET))
    trio.run(server.start)
    return server


def component_of(server: RealServer, domain: str = DOMAIN, secret: str = SECRET, **options: Any):
    options = {"endpoint": server.component_endpoint, "reconnect": ReconnectPolicy(initial=0.1, maximum=0.5), **options}
    return trioxmpp.connect_component(domain, secret, **options)


def romeo_of(server: RealServer):
    tls: ssl.SSLContext = server.ssl_context()
    return trioxmpp.connect(f"romeo@{server.domain}/x", server.accounts["romeo"], endpoint=server.endpoint, tls=tls)


@pytest.mark.item("D12.1")
async def test_messages_and_requests_pass_between_a_user_and_a_component(server):
    async with (
        romeo_of(server) as romeo,
        component_of(server) as component,
        romeo.messages.subscribe() as to_romeo,
        component.messages.subscribe() as to_us,
    ):
        for body in ("hi", "jabber:component:accept & <b>\u2615"):
            await romeo.send(Message(to=f"{BOT}/1", type=MessageType.CHAT, body=body, payloads=[Version(name="raw")]))
            asked = await to_us.receive()
            assert (str(asked.from_), str(asked.to), asked.body) == (str(romeo.jid), f"{BOT}/1", body)
            read = asked.get(Version)
            assert read is not None
            assert read.name == "raw"
            await component.send(asked.reply(body, from_=asked.to))
            answer = await to_romeo.receive()
            assert (str(answer.from_), answer.body) == (f"{BOT}/1", body)
        assert await component.request(Ping(), to=server.domain) is None
        assert (await component.request(VersionQuery(), to=romeo.jid, from_=BOT)).name == "trioxmpp"
        with component.answer(VersionQuery, lambda iq: Version(name=f"for {iq.to}")):
            assert (await romeo.request(VersionQuery(), to=BOT)).name == f"for {BOT}"
        assert await romeo.disco.info(DOMAIN)
        with pytest.raises(trioxmpp.XMPPError):
            await romeo.request(VersionQuery(), to=BOT)


async def test_wrong_secrets_and_unknown_domains_are_refused(server):
    with pytest.raises(AuthenticationFailure):
        async with component_of(server, secret="wrong"):
            raise AssertionError
    with pytest.raises((AuthenticationFailure, StreamError)) as refused:
        async with component_of(server, domain="unknown.example.test"):
            raise AssertionError
    assert str(getattr(refused.value.condition, "value", refused.value.condition)) in ("host-unknown", "not-authorized")


@pytest.mark.item("D12.3")
async def test_a_component_comes_back_after_a_cut_that_the_server_does_not_notice(server):
    async with (
        open_relay("127.0.0.1", server.component_port) as relay,
        romeo_of(server) as romeo,
        romeo.messages.subscribe() as inbox,
        component_of(server, endpoint=relay.endpoint) as component,
        component.events() as events,
    ):
        relay.reset()
        kinds = []
        while not isinstance(event := await anext(events), Established):
            kinds.append(type(event))
        assert Destroyed in kinds
        await component.send(Message(from_=BOT, to=romeo.jid, type=MessageType.CHAT, body="back"))
        assert (await inbox.receive()).body == "back"


@pytest.mark.item("D12.3")
async def test_a_component_comes_back_after_a_crash_of_the_server(server):
    async with component_of(server) as component, component.events() as events:
        await server.restart()
        while not isinstance(await anext(events), Established):
            pass
        assert component.linked


async def test_a_second_component_for_a_domain_is_refused_or_shares_it(server):
    async with component_of(server) as first:
        if server.name == "prosody":
            with pytest.raises(StreamError) as refused:
                async with component_of(server):
                    raise AssertionError
            assert refused.value.condition is StreamCondition.CONFLICT
        else:
            async with component_of(server) as second:
                assert second.linked
        assert first.linked
