"""Logging in by SASL2, and what goes along: a resource, resumption, tokens, and all of it in one flight.

A server that has none of it is skipped, and the table in docs/servers.md tells it. On WebSocket, too, it takes TLS.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import trio

from tests.e2e.ways import Meeting, Watched, every_way_of_tls, not_offered
from trioxmpp import Destroyed, Established, Message, MessageType, Resumed, Suspended

# How a token may be bound to the link, by the end of the name of its mechanism, and on which ways in.
TOKENS = {"NONE": "none", "EXPR": "tls-exporter", "ENDP": "tls-server-end-point", "UNIQ": "tls-unique"}
TCP_TOKENS = [(kind, way) for kind in TOKENS for way in ("STARTTLS", "direct TLS")]

SASL2, BIND2, FAST = b"urn:xmpp:sasl:2", b"urn:xmpp:bind:0", b"urn:xmpp:fast:0"


class Romeo:
    """A user whose link can be broken."""

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting

    async def goes_through(self, *kinds: type) -> None:
        """Wait until so much has happened, and find that it is this that happened."""
        with trio.fail_after(20):
            for kind in kinds:
                assert isinstance(await anext(self.events), kind)

    async def loses_the_link(self) -> Watched:
        """Be back, on another link; the session is usable."""
        self.relay.reset()
        await self.goes_through(Suspended, Resumed)
        await self.client.send(Message(to=self.client.jid, type=MessageType.CHAT, body="still here"))
        return self.meeting.link


@pytest.fixture
def open_romeo(server_kind, real_servers, nursery) -> Callable:
    @contextlib.asynccontextmanager
    async def open_romeo(way, offered, binding=None, **settings) -> AsyncIterator[Romeo]:
        server = real_servers.get(server_kind.label, **settings)
        await server.start()
        romeo = Romeo(Meeting(server, way, nursery))
        if binding is not None:
            await romeo.meeting.bind_by(binding)
        async with (
            romeo.meeting.relay() as (romeo.relay, url),
            romeo.meeting.connect("romeo", romeo.meeting.watched(url, binding), resource=None) as romeo.client,
            romeo.client.events() as romeo.events,
        ):
            if offered not in romeo.meeting.link.by("them"):
                not_offered(offered.decode())
            yield romeo

    return open_romeo


@every_way_of_tls
@pytest.mark.cell("SASL2", "a resource along with the login (Bind 2)")
async def test_a_resource_comes_along_with_the_login(open_romeo, way):
    async with open_romeo(way, BIND2, fast=False) as romeo:
        link = romeo.meeting.link
        assert link.is_sasl2
        assert b"<bound" in link.by("them")
        assert b"urn:ietf:params:xml:ns:xmpp-bind" not in link.by("us")
        assert romeo.client.jid.resource.startswith("trioxmpp")
        assert romeo.client.stream.sm_resumable


@every_way_of_tls
@pytest.mark.cell("SASL2", "a session is resumed along with the login")
async def test_a_session_is_resumed_along_with_the_login(open_romeo, way):
    async with open_romeo(way, SASL2, fast=False) as romeo:
        for _ in range(2):
            link = await romeo.loses_the_link()
            assert link.mechanism.startswith("SCRAM-")
            inside = link.by("them").partition(b"<success")[2].partition(b"</success>")[0]
            assert b"<resumed" in inside


@every_way_of_tls
@pytest.mark.cell("SASL2", "a session that cannot be resumed is replaced along with the login")
async def test_a_session_that_cannot_be_resumed_is_replaced_along_with_the_login(open_romeo, way):
    async with open_romeo(way, SASL2, sm_timeout=1) as romeo:
        romeo.relay.blocked = True
        romeo.relay.reset()
        await romeo.meeting.gives_up_a_session()
        romeo.relay.blocked = False
        await romeo.goes_through(Suspended, Destroyed, Established)
        inside = romeo.meeting.link.by("them").partition(b"<success")[2].partition(b"</success>")[0]
        assert b"<failed" in inside
        assert b"<bound" in inside
        assert romeo.client.stream.sm_resumable


@pytest.mark.parametrize(("kind", "way"), [("NONE", "wss"), *TCP_TOKENS])
@pytest.mark.cell("FAST", "a token in place of the password, HT-SHA-256-{kind}")
@pytest.mark.cell("FAST", "header, login and resumption in one flight")
async def test_a_token_stands_in_for_the_password(open_romeo, kind, way):
    async with open_romeo(way, FAST, TOKENS[kind]) as romeo:
        if f"HT-SHA-256-{kind}".encode() not in romeo.meeting.link.by("them"):
            not_offered(f"HT-SHA-256-{kind}")
        assert b"<token" in romeo.meeting.link.by("them")
        for _ in range(3):
            link = await romeo.loses_the_link()
            assert link.mechanism == f"HT-SHA-256-{kind}"
            speaker, first = link.flights[0]
            assert speaker == "us"
            assert b"<authenticate" in first
            assert b"<resume" in first
            assert b"<resumed" in link.by("them")


@every_way_of_tls
@pytest.mark.cell("FAST", "a token that the server replaces is used no more")
async def test_a_token_that_is_replaced_is_used_no_more(open_romeo, way):
    """An unbound proof of a token stays the same for as long as the token does."""
    async with open_romeo(way, FAST, "none") as romeo:
        proofs, replaced, links = set(), 0, 0
        while (replaced < 2 or links < replaced + 2) and links < 6:
            link = await romeo.loses_the_link()
            assert link.mechanism == "HT-SHA-256-NONE"
            proofs.add(link.first)
            assert len(proofs) == 1 + replaced
            replaced += b"<token" in link.by("them")
            links += 1
        if not replaced:
            not_offered("a new token")


@every_way_of_tls
@pytest.mark.cell("FAST", "a token that is given up for good")
async def test_a_client_that_gives_up_its_token_needs_the_password(open_romeo, way):
    async with open_romeo(way, FAST, "none") as romeo:
        assert (await romeo.loses_the_link()).mechanism == "HT-SHA-256-NONE"
        await romeo.client.forget_token()
        assert b"invalidate" in romeo.meeting.link.by("us")
        await romeo.meeting.server.restart()
        await romeo.goes_through(Suspended, Destroyed, Established)
        assert romeo.meeting.link.mechanism.startswith("SCRAM-")
