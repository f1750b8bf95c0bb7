"""Every mechanism, over every version of TLS, bound to the link where that is offered, on the servers as packaged.

What they offer: SCRAM, with SHA-512 only ejabberd; -PLUS with tls-unique on TLS 1.2. On TLS 1.3 this Prosody does not
offer to bind, and this ejabberd does, but then refuses whatever it is. Neither announces types (XEP-0440) or proves
its offer (XEP-0474).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import trio

import trioxmpp
from trioxmpp import AuthenticationFailure, Credentials, Resumed, Suspended

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
SCRAM = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]


@pytest.fixture
def offering(server_kind, real_servers) -> Callable:
    """Gives a server that offers nothing but one mechanism, and its -PLUS."""

    async def offering(mechanism):
        if server_kind.name == "prosody" and mechanism == "SCRAM-SHA-512":
            pytest.skip("this Prosody does not know it")
        server = real_servers.get(server_kind.name, mechanisms=(mechanism,))
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


async def test_tls_1_3_cannot_be_bound_to_which_who_requires_it_is_told(offering):
    server = await offering("SCRAM-SHA-256")
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
        with trio.fail_after(20):
            await server.restart()
            assert isinstance(await anext(events), Suspended)
            while not isinstance(await anext(events), Resumed | trioxmpp.Established):
                pass


@pytest.fixture
def anonymous_domain(real_server) -> str:
    return f"anonymous.{real_server.domain}"


async def test_anonymous(real_server, anonymous_domain):
    async with trioxmpp.connect(
        anonymous_domain,
        credentials=Credentials.anonymous(),
        endpoint=real_server.endpoint,
        tls=real_server.ssl_context(),
    ) as client:
        assert client.jid.domain == anonymous_domain
        assert client.jid.local
        assert client.jid.resource


async def test_nobody_is_anonymous_without_having_asked_for_it(real_server, anonymous_domain):
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


async def test_who_asks_for_a_way_that_is_not_offered_is_told(real_server):
    for credentials in (Credentials.external(), Credentials.anonymous(), Credentials.oauth("token")):
        with pytest.raises(AuthenticationFailure, match="these credentials are for"):
            async with trioxmpp.connect(
                f"romeo@{real_server.domain}",
                credentials=credentials,
                endpoint=real_server.endpoint,
                tls=real_server.ssl_context(),
            ):
                pass
