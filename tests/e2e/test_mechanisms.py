"""Every mechanism, on every way in, bound to the link where that is offered, by SASL and by SASL2.

A mechanism that is not offered is skipped, and the table in docs/servers.md tells it. Where a type of
channel binding is tried, it is the only one that the link has.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import trio

import trioxmpp
from tests.e2e.ways import Meeting, defect, not_offered
from trioxmpp import AuthenticationFailure, Credentials, Resumed, Suspended
from trioxmpp.protocol.elements.ping import Ping

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
SCRAM = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]
#: Since which version they can.
BIND_ON_TLS_1_3 = {"prosody": (13,), "ejabberd": (24,)}
BINDINGS = ["tls-exporter", "tls-server-end-point", "tls-unique"]

# SASL2 is of use under TLS alone, and so are passwords in the clear; nothing can be bound to a WebSocket.
TLS_LOGINS = [(login, way) for login in ("SASL", "SASL2") for way in ("STARTTLS", "direct TLS", "wss")]
LOGINS = [("SASL", "ws"), *TLS_LOGINS]
TCP_LOGINS = [(login, way) for login, way in TLS_LOGINS if way != "wss"]


@pytest.fixture
def offering(server_kind, real_servers) -> Callable:
    """Gives a server that offers nothing but one mechanism, and its -PLUS; or all that take a password, for None."""

    async def offering(mechanism, **settings):
        if server_kind.name == "prosody" and mechanism == "SCRAM-SHA-512":
            not_offered("Prosody does not know it")
        if mechanism is not None:
            settings["mechanisms"] = (mechanism,)
        server = real_servers.get(server_kind.label, **settings)
        await server.start()
        return server

    return offering


def context(server, version) -> ssl.SSLContext:
    tls = server.ssl_context()
    tls.minimum_version = tls.maximum_version = VERSIONS[version]
    return tls


def connect(server, version, *, user="romeo", tls=None, endpoint=None, **options):
    credentials = Credentials(user, options.pop("password", server.accounts[user]), **options)
    return trioxmpp.connect(
        f"{user}@{server.domain}",
        credentials=credentials,
        endpoint=endpoint or server.endpoint,
        tls=tls or context(server, version),
        connect_timeout=20,
    )


class Attempt:
    """A login at a server that offers one mechanism, by one login: the newer ones offer SASL2 as well as SASL."""

    def __init__(self, meeting: Meeting, mechanism: str, login: str) -> None:
        self.meeting = meeting
        self._mechanism = mechanism
        self._login = login

    async def succeeds(self, credentials: Credentials, *, binding: str | None = None, address: str | None = None):
        """Get in, or skip the test, if the server does not offer the way to. Tells how it was done."""
        if address is None:
            # ejabberd does not offer SASL2 to a client that gives no name before the login.
            address = ("" if self._login == "SASL" else "romeo@") + self.meeting.server.domain
        options = {**self.meeting.options, "endpoint": self.meeting.watched(binding=binding)}
        try:
            async with trioxmpp.connect(address, credentials=credentials, **options) as client:
                await client.request(Ping())
                jid = client.jid
        except AuthenticationFailure as failure:
            self._look(binding)
            if failure.condition is None and self._mechanism not in failure.offered:
                not_offered(f"{self._mechanism}, only {failure.offered}")
            raise
        self._look(binding)
        link = self.meeting.link
        assert link.mechanism == self._mechanism
        assert link.is_sasl2 == (self._login == "SASL2")
        return link, jid

    def _look(self, binding: str | None) -> None:
        """At what was offered: skip the test if it was not what we are after."""
        offer = self.meeting.link.by("them")
        if self._login == "SASL2" and b"urn:xmpp:sasl:2" not in offer:
            not_offered("SASL2")
        if self._mechanism.encode() not in offer:
            not_offered(self._mechanism)
        if binding in BINDINGS and b"urn:xmpp:sasl-cb:0" in offer and binding.encode() not in offer:
            not_offered(binding)


@pytest.fixture
def attempting(offering, server_kind, nursery) -> Callable:
    async def attempting(mechanism, way, login):
        settings = {"sasl2": False} if login == "SASL" and server_kind.name == "prosody" else {}
        server = await offering(mechanism and mechanism.removesuffix("-PLUS"), **settings)
        return Attempt(Meeting(server, way, nursery), mechanism or "ANONYMOUS", login)

    return attempting


@pytest.mark.parametrize(("login", "way"), LOGINS)
@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.cell("{login}", "{mechanism}")
async def test_scram(attempting, mechanism, login, way):
    attempt = await attempting(mechanism, way, login)
    await attempt.succeeds(Credentials("romeo", "montague"), binding="none")


@pytest.mark.parametrize(("login", "way"), TCP_LOGINS)
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("mechanism", [f"{mechanism}-PLUS" for mechanism in SCRAM])
@pytest.mark.cell("{login}", "{mechanism} by {binding}")
async def test_scram_bound_to_the_link(attempting, mechanism, binding, login, way):
    attempt = await attempting(mechanism, way, login)
    server = attempt.meeting.server
    await attempt.meeting.bind_by(binding)
    try:
        link, _ = await attempt.succeeds(Credentials("romeo", "montague", require_binding=True), binding=binding)
    except AuthenticationFailure:
        if server.name == "ejabberd" and server.version < BIND_ON_TLS_1_3["ejabberd"] and binding != "tls-unique":
            defect("this ejabberd offers to bind on TLS 1.3, does not say to what, and refuses whatever is tried")
        raise
    assert link.first.startswith(f"p={binding},".encode())


@pytest.mark.parametrize(("login", "way"), TLS_LOGINS)
@pytest.mark.cell("{login}", "PLAIN, where it is allowed")
async def test_plain(attempting, login, way):
    attempt = await attempting("PLAIN", way, login)
    await attempt.succeeds(Credentials("romeo", "montague", allow_plain=True))


@pytest.mark.parametrize(("login", "way"), TCP_LOGINS)
@pytest.mark.cell("{login}", "EXTERNAL")
async def test_external(attempting, login, way):
    attempt = await attempting("EXTERNAL", way, login)
    server = attempt.meeting.server
    attempt.meeting.tls.load_cert_chain(*server.certificate_of("romeo"))
    _, jid = await attempt.succeeds(Credentials.external())
    assert str(jid.bare) == f"romeo@{server.domain}"


@pytest.mark.parametrize(("login", "way"), LOGINS)
@pytest.mark.cell("{login}", "ANONYMOUS")
async def test_anonymous(attempting, login, way):
    attempt = await attempting(None, way, login)
    domain = f"anonymous.{attempt.meeting.server.domain}"
    _, jid = await attempt.succeeds(Credentials.anonymous(), address=domain)
    assert jid.domain == domain
    assert jid.local
    assert jid.resource


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mechanism", [*SCRAM, "PLAIN"])
async def test_each_mechanism_on_each_tls(offering, mechanism, version):
    server = await offering(mechanism)
    for endpoint in (server.endpoint, server.tls_endpoint):
        async with connect(server, version, endpoint=endpoint, allow_plain=mechanism == "PLAIN") as client:
            assert client.established


@pytest.mark.parametrize("mechanism", SCRAM)
async def test_tls_1_2_is_bound_to_by_tls_unique(offering, mechanism):
    server = await offering(mechanism)
    for endpoint in (server.endpoint, server.tls_endpoint):
        async with connect(server, "TLS 1.2", endpoint=endpoint, require_binding=True) as client:
            assert client.established
    with pytest.raises(AuthenticationFailure) as failure:
        async with connect(server, "TLS 1.2", require_binding=True, password="wrong"):
            pass
    assert failure.value.condition == "not-authorized"
    assert failure.value.tried == (f"{mechanism}-PLUS",)
    assert set(failure.value.offered) == {mechanism, f"{mechanism}-PLUS"}


async def test_a_client_that_requires_it_is_told_that_tls_1_3_cannot_be_bound_to(offering):
    server = await offering("SCRAM-SHA-256")
    if server.version >= BIND_ON_TLS_1_3[server.name]:
        async with connect(server, "TLS 1.3", require_binding=True) as client:
            assert client.established
        return
    with pytest.raises(AuthenticationFailure) as failure:
        async with connect(server, "TLS 1.3", require_binding=True):
            pass
    if server.name == "prosody":
        assert failure.value.condition is None
        assert "which the server does not offer" in str(failure.value)
    else:
        assert failure.value.condition == "not-authorized"
        assert failure.value.tried == ("SCRAM-SHA-256-PLUS",)


async def test_tls_that_can_tell_tls_exporter_gets_in_as_well(offering):
    pytest.importorskip("OpenSSL")
    from trioxmpp.transport.exporter import exporter_context

    server = await offering("SCRAM-SHA-256")
    tls = await trio.to_thread.run_sync(lambda: exporter_context(cafile=server.ca_file))
    for endpoint in (server.endpoint, server.tls_endpoint):
        async with connect(server, None, tls=tls, endpoint=endpoint) as client:
            await client.send(trioxmpp.Message(to=client.jid, type=trioxmpp.MessageType.CHAT, body="à" * 20_000))


async def test_a_bound_client_comes_back_bound(offering):
    server = await offering("SCRAM-SHA-1")
    async with connect(server, "TLS 1.2", require_binding=True) as client, client.events() as events:
        with trio.fail_after(50):
            await server.restart()
            assert isinstance(await anext(events), Suspended)
            while not isinstance(await anext(events), Resumed | trioxmpp.Established):
                pass


@pytest.fixture
def anonymous_domain(real_server) -> str:
    return f"anonymous.{real_server.domain}"


async def test_no_client_is_anonymous_without_having_asked_for_it(real_server, anonymous_domain):
    with pytest.raises(AuthenticationFailure) as failure:
        async with trioxmpp.connect(
            f"romeo@{anonymous_domain}",
            "montague",
            endpoint=real_server.endpoint,
            tls=real_server.ssl_context(),
        ):
            pass
    assert "ANONYMOUS" in failure.value.offered
    assert failure.value.tried == ()


async def test_a_client_that_asks_for_a_way_that_is_not_offered_is_told(real_server):
    for credentials in (Credentials.external(), Credentials.anonymous(), Credentials.oauth("token")):
        with pytest.raises(AuthenticationFailure, match="these credentials are for"):
            async with trioxmpp.connect(
                f"romeo@{real_server.domain}",
                credentials=credentials,
                endpoint=real_server.endpoint,
                tls=real_server.ssl_context(),
            ):
                pass
