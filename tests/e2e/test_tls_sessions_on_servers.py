"""Whether a TLS session goes on at the servers, which is for them to decide: either way we get in.

As packaged, none of them lets it: Prosody does if it is told ``no_ticket = false``, as it is here for direct TLS alone,
and this ejabberd gives tickets, and takes none.
"""

from __future__ import annotations

import ssl

import pytest
import trio

import trioxmpp
from trioxmpp import Credentials, ReconnectPolicy, Resumed, Suspended
from trioxmpp.protocol.framing import header
from trioxmpp.testing.servers import open_relay
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import open_transport
from trioxmpp.transport.tlssessions import TLSSessionCache

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}

every_version = pytest.mark.parametrize("version", VERSIONS)


def context(server, version) -> ssl.SSLContext:
    tls = server.ssl_context()
    tls.minimum_version = tls.maximum_version = VERSIONS[version]
    return tls


@every_version
async def test_a_link_goes_on_where_the_server_lets_it(real_server, version):
    tls, memory = context(real_server, version), TLSSessionCache()
    resumed = []
    for _ in range(3):
        resumption = memory.at("here")
        endpoint = Endpoint.parse(real_server.tls_endpoint)
        transport = await open_transport(endpoint, domain=real_server.domain, tls=tls, session_reuse=resumption)
        with trio.fail_after(10):
            await transport.send(header(to=real_server.domain, lang="en"))
            assert await transport.receive()
        await transport.close_gracefully()
        resumed.append(resumption.resumed)
    assert resumed == [False, *([real_server.name == "prosody"] * 2)]


@pytest.mark.parametrize(("version", "bound"), [("TLS 1.2", False), ("TLS 1.2", True), ("TLS 1.3", False)])
async def test_a_client_comes_back_whatever_becomes_of_it(real_server, version, bound):
    """These servers bind to tls-unique, which only TLS 1.2 has, and no link that resumes a TLS session."""
    credentials = Credentials("romeo", real_server.accounts["romeo"], require_binding=bound)
    async with (
        open_relay("127.0.0.1", int(real_server.tls_endpoint.rpartition(":")[2])) as relay,
        trioxmpp.connect(
            f"romeo@{real_server.domain}",
            credentials=credentials,
            endpoint=relay.endpoint.replace("xmpp:", "xmpps:"),
            tls=context(real_server, version),
            reconnect=ReconnectPolicy(initial=0.05, maximum=0.1),
        ) as client,
        client.events() as events,
    ):
        for _ in range(3):
            relay.reset()
            with trio.fail_after(20):
                assert isinstance(await anext(events), Suspended)
                assert isinstance(await anext(events), Resumed)
