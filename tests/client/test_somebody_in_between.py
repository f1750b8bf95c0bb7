"""A man in the middle with a trusted certificate: reads along, changes the offer, and does not get in."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trustme

import trioxmpp
from trioxmpp import AuthenticationFailure, Client, Credentials, ReconnectPolicy, Resumed, Suspended
from trioxmpp.testing import Server, open_server

PLUS = ("SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
OFFER = (*PLUS, "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")

Change = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    return data


@dataclass
class Between:
    """Ends TLS on both sides. The words of the server go through `change`."""

    server: Server
    change: Change = unchanged
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    authority: trustme.CA = field(default_factory=trustme.CA)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"xmpps://127.0.0.1:{self.port}"

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts the man in the middle as much as the server."""
        context = self.server.client_tls_context()
        self.authority.configure_trust(context)
        return context

    async def serve(self, client: trio.SocketStream) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = self.version
        self.authority.issue_cert("example.test").configure_cert(context)
        port = int(self.server.tls_endpoint.rpartition(":")[2])
        here = trio.SSLStream(client, context, server_side=True, https_compatible=True)
        there = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", port),
            self.server.client_tls_context(),
            server_hostname="example.test",
            https_compatible=True,
        )
        async with here, there, trio.open_nursery() as nursery:
            nursery.start_soon(self.pump, here, there, unchanged, nursery)
            nursery.start_soon(self.pump, there, here, self.change, nursery)

    async def pump(self, source: trio.SSLStream, sink: trio.SSLStream, change: Change, nursery: trio.Nursery) -> None:
        try:
            while data := await source.receive_some():
                await sink.send_all(change(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def somebody_in_between(server: Server, change: Change = unchanged, **options: object) -> AsyncIterator[Between]:
    between = Between(server, change, **options)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        between.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, between.serve, [listener])
        yield between
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def listening(**settings: object) -> AsyncIterator[Server]:
    async with open_server(accounts={"romeo": "montague"}, **{"mechanisms": OFFER, **settings}) as server:
        await server.listen()
        yield server


async def fails(between: Between, **options: object) -> AuthenticationFailure:
    """Return why no client can log in there."""
    credentials = options.pop("credentials", Credentials("romeo", "montague"))
    with pytest.raises(AuthenticationFailure) as failure:
        async with trioxmpp.connect(
            "romeo@example.test",
            credentials=credentials,
            endpoint=between.endpoint,
            tls=between.client_context(),
            connect_timeout=10,
            **options,
        ):
            pass
    assert "montague" not in repr(failure.value)
    return failure.value


def without(pattern: bytes) -> Change:
    return lambda data: re.sub(pattern, b"", data)


ANY_PLUS = rb"<mechanism>[A-Z0-9-]*-PLUS</mechanism>"
TYPES = rb"<sasl-channel-binding.*</sasl-channel-binding>"


async def test_an_attacker_that_only_reads_along_is_noticed_by_the_server():
    async with listening() as server, somebody_in_between(server) as between:
        failure = await fails(between)
    assert failure.condition == "not-authorized"
    assert failure.tried == ("SCRAM-SHA-512-PLUS",)


async def test_an_attacker_that_takes_away_all_that_binds_is_noticed_by_the_server():
    change = without(ANY_PLUS + b"|" + TYPES)
    async with listening(prove_offer=False) as server, somebody_in_between(server, change) as between:
        failure = await fails(between)
    assert failure.condition == "not-authorized"
    assert failure.tried == ("SCRAM-SHA-512",)


async def test_an_attacker_that_takes_away_the_types_is_noticed_by_the_proof():
    async with listening() as server, somebody_in_between(server, without(TYPES)) as between:
        failure = await fails(between)
    assert failure.condition is None
    assert "has changed them (XEP-0474)" in str(failure)


async def test_a_login_that_is_unbound_without_proof_is_logged(caplog):
    """Servers from before XEP-0440 announce no types, so that it is no failure."""
    caplog.set_level("INFO")
    async with listening(prove_offer=False) as server, somebody_in_between(server, without(TYPES)) as between:
        for _ in range(2):
            async with trioxmpp.connect(
                "romeo@example.test", "montague", endpoint=between.endpoint, tls=between.client_context()
            ):
                pass
    told = [record for record in caplog.records if "did not prove its offer" in record.getMessage()]
    assert [record.levelname for record in told] == ["INFO", "INFO"]
    assert "does not announce by what" in told[0].getMessage()


async def test_a_login_whose_offer_is_proved_is_not_logged(caplog):
    caplog.set_level("INFO")
    async with (
        listening(channel_bindings=None) as server,
        somebody_in_between(server) as between,
        trioxmpp.connect("romeo@example.test", "montague", endpoint=between.endpoint, tls=between.client_context()),
    ):
        pass
    assert not [record for record in caplog.records if "did not prove its offer" in record.getMessage()]


async def test_an_attacker_that_takes_away_the_bound_mechanisms_alone_is_noticed_without_a_proof():
    async with listening(prove_offer=False) as server, somebody_in_between(server, without(ANY_PLUS)) as between:
        failure = await fails(between)
    assert "by no mechanism that we know, and it does not prove" in str(failure)


async def test_an_attacker_that_invents_a_type_is_noticed_without_a_proof():
    def invent(data: bytes) -> bytes:
        return data.replace(b"tls-server-end-point", b"tls-of-tomorrow")

    async with listening(prove_offer=False) as server, somebody_in_between(server, invent) as between:
        failure = await fails(between)
    assert "does not announce the type of channel binding that every server must know" in str(failure)


async def test_an_attacker_that_weakens_the_hash_is_noticed_by_the_proof():
    weaken = without(rb"<mechanism>SCRAM-SHA-(512|256)</mechanism>")
    async with listening(mechanisms=OFFER[3:]) as server, somebody_in_between(server, weaken) as between:
        failure = await fails(between)
    assert failure.tried == ("SCRAM-SHA-1",)
    assert "has changed them (XEP-0474)" in str(failure)


async def test_an_attacker_that_speaks_an_older_tls_is_noticed_by_the_proof():
    async with (
        listening(mechanisms=OFFER[3:]) as server,
        somebody_in_between(server, version=ssl.TLSVersion.TLSv1_2) as between,
    ):
        failure = await fails(between)
    assert "our link has TLSv1.2, the server's link another" in str(failure)


async def test_an_attacker_that_leaves_nothing_but_plain_gets_no_password():
    async with listening() as server, somebody_in_between(server, without(rb"<mechanism>SCRAM[^<]*</mechanism>")) as b:
        failure = await fails(b)
    assert failure.tried == ()
    assert failure.offered == ("PLAIN",)


def stays(server: Server, credentials: Credentials) -> AbstractAsyncContextManager[Client]:
    return trioxmpp.connect(
        "romeo@example.test",
        credentials=credentials,
        endpoint=server.tls_endpoint,
        tls=server.client_tls_context(),
        reconnect=ReconnectPolicy(initial=0.05, maximum=0.1),
    )


async def test_an_attacker_that_comes_later_gets_no_password_of_a_user_who_permits_plain():
    """The first login is by SCRAM; from then on the same client takes nothing less."""
    async with listening(mechanisms=OFFER[3:]) as server:
        with pytest.raises(AuthenticationFailure, match="earlier logins did not give the password away") as failure:
            async with stays(server, Credentials("romeo", "montague", allow_plain=True)):
                server.policy.mechanisms = ("PLAIN",)
                server.links[0].reset()
                await trio.sleep(10)
        assert failure.value.offered == ("PLAIN",)


async def test_a_server_that_binds_no_more_may_do_so_if_it_proves_that_it_is_its_own_will():
    async with (
        listening() as server,
        stays(server, Credentials("romeo", "montague")) as client,
        client.events() as events,
    ):
        server.policy.mechanisms = OFFER[3:]
        server.links[0].reset()
        with trio.fail_after(10):
            assert isinstance(await anext(events), Suspended)
            assert isinstance(await anext(events), Resumed)


async def test_a_server_that_binds_no_more_and_does_not_prove_it_may_be_an_attacker():
    async with listening(prove_offer=False) as server:
        with pytest.raises(AuthenticationFailure, match="were bound to the TLS link, and this one cannot be, and it"):
            async with stays(server, Credentials("romeo", "montague")):
                server.policy.mechanisms = OFFER[3:]
                server.links[0].reset()
                await trio.sleep(10)
