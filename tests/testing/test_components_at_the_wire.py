"""Components on the embedded server (XEP-0114), as a program that knows only XML finds them."""

from __future__ import annotations

import hashlib

import pytest

from tests.testing.dialogs import heard
from tests.testing.raw import log_in
from trioxmpp.protocol import ns
from trioxmpp.testing import Dialect, Script, Server, open_server
from trioxmpp.testing.server.component_stream import ComponentStream

DOMAIN, ROMEO = "irc.example.test", "romeo@example.test/orchard"


class RawComponent(Script):
    """Plays a component. The namespace of its stream is translated, because `Script` reads streams of clients."""

    async def opens(self, domain: str = DOMAIN) -> str:
        opening = f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' to='{domain}' version='1.0'>"
        await self.says_raw(opening.encode())
        return (await self.expects_header()).id or ""

    async def shakes(self, id: str, secret: str = "s3cret") -> None:
        proof = hashlib.sha1(f"{id}{secret}".encode()).hexdigest()
        await self.says_raw(f"<handshake>{proof}</handshake>".encode())

    async def is_refused(self, condition: str) -> None:
        error = await self.hears()
        assert error[0].tag == f"{{{ns.STREAM_ERRORS}}}{condition}"
        await self.expects_footer()

    async def is_welcome(self) -> None:
        assert isinstance(self.wire, ComponentStream)
        assert await self.wire.read_handshake() == ""


async def component(server: Server) -> RawComponent:
    return RawComponent(ComponentStream(await server.component_endpoint()))


async def connected(server: Server) -> RawComponent:
    peer = await component(server)
    await peer.shakes(await peer.opens())
    await peer.is_welcome()
    return peer


@pytest.fixture(params=[Dialect.PROSODY_13, Dialect.EJABBERD_23, Dialect.EJABBERD_26], ids=lambda dialect: dialect.name)
async def server(autojump_clock, request):
    async with open_server(dialect=request.param) as server:
        server.add_component(DOMAIN, "s3cret")
        yield server


async def test_stanzas_pass_between_users_and_a_component(autojump_clock, server):
    peer, romeo = await connected(server), await log_in(server)
    await romeo.says(f"<message to='x@{DOMAIN}' type='chat'><body>hi</body></message>")
    await peer.expects(f"<message from='{ROMEO}' to='x@{DOMAIN}' type='chat'><body>hi</body></message>")
    await peer.says(f"<message from='y@{DOMAIN}/1' to='{ROMEO}' type='chat'><body>ho</body></message>")
    await romeo.expects(f"<message from='y@{DOMAIN}/1' to='{ROMEO}' type='chat'><body>ho</body></message>")
    await peer.says(f"<iq type='get' id='1' from='{DOMAIN}' to='example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
    await peer.expects(f"<iq type='result' id='1' from='example.test' to='{DOMAIN}'/>")


async def test_a_wrong_secret_is_refused(autojump_clock, server):
    peer = await component(server)
    await peer.shakes(await peer.opens(), "wrong")
    await peer.is_refused("not-authorized")


async def test_an_unknown_domain_is_refused_before_or_after_the_handshake(autojump_clock, server):
    peer = await component(server)
    id = await peer.opens("other.example.test")
    if server.dialect.errors_have_by:
        await peer.is_refused("host-unknown")
    else:
        await peer.shakes(id)
        await peer.is_refused("not-authorized")


async def test_a_sender_outside_the_domain_ends_the_stream(autojump_clock, server):
    peer = await connected(server)
    await peer.says(f"<message from='juliet@example.test' to='{ROMEO}'/>")
    await peer.is_refused("invalid-from")


async def test_users_are_told_that_a_component_is_away(autojump_clock, server):
    peer, romeo = await connected(server), await log_in(server)
    server.components.links[DOMAIN][0].reset()
    await romeo.says(f"<message to='x@{DOMAIN}' type='chat'><body>hi</body></message>")
    (error,) = await heard(romeo)
    away = "remote-server-timeout" if server.dialect.errors_have_by else "remote-server-not-found"
    assert error.find(f".//{{{ns.STANZA_ERRORS}}}{away}") is not None
    await peer.expects_end()
    await connected(server)


async def test_a_second_component_is_refused_or_shares_the_domain(autojump_clock, server):
    first, romeo = await connected(server), await log_in(server)
    second = await component(server)
    await second.shakes(await second.opens())
    if not server.dialect.several_components:
        await second.is_refused("conflict")
        return
    await second.is_welcome()
    await romeo.says(f"<message to='x@{DOMAIN}'/>")
    await (second if server.dialect.newest_component else first).expects(f"<message from='{ROMEO}' to='x@{DOMAIN}'/>")
