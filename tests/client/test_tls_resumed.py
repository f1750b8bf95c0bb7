"""A client that comes back goes on with its TLS session, where that costs nothing of what the first link was worth."""

from __future__ import annotations

import ssl

import pytest
import trio

import trioxmpp
from tests.streams import StreamAround
from trioxmpp import Credentials, ReconnectPolicy, Resumed, Suspended
from trioxmpp.testing import Faults, Server, open_server
from trioxmpp.testing.network import LatentEndpoint

OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH = pytest.mark.parametrize("version", [OLD, NEW])
SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"

FAST = ReconnectPolicy(initial=1.0, maximum=1.0)


def connect(server: Server, version: ssl.TLSVersion = NEW, **options):
    tls = server.client_tls_context()
    tls.maximum_version = version
    defaults = {"endpoint": server.endpoint, "tls": tls, "reconnect": FAST}
    return trioxmpp.connect("romeo@example.test", "secret", **{**defaults, **options})


async def comes_back(server: Server, events, *, attempts: int = 1) -> bool:
    """Whether the link after one that breaks goes on with its TLS session; it is there after that many attempts."""
    before = server.link_count
    server.links[-1].reset()
    assert isinstance(await anext(events), Suspended)
    assert isinstance(await anext(events), Resumed)
    assert server.link_count - before == attempts
    return server.links[-1].tls.session_reused


@BOTH
async def test_each_time(autojump_clock, version):
    async with open_server(starttls="required") as server, connect(server, version) as client:
        assert not server.links[-1].tls.session_reused
        async with client.events() as events:
            assert [await comes_back(server, events) for _ in range(3)] == [True, True, True]


async def test_another_client_does_not_know_of_it(autojump_clock):
    async with open_server(starttls="required") as server:
        for _ in range(2):
            async with connect(server):
                assert not server.links[-1].tls.session_reused


@pytest.mark.parametrize(("version", "trips"), [(OLD, [8, 8]), (NEW, [8, 8])])
async def test_with_tls_1_2_it_saves_a_round_trip(autojump_clock, nursery, version, trips):
    """TLS 1.3 takes one either way. The rest: header, STARTTLS, features, SCRAM, features, resumption."""
    async with open_server(starttls="required") as server:
        road = LatentEndpoint(server, nursery, 0.1)
        async with connect(server, version, endpoint=road.endpoint) as client, client.events() as events:
            took = []
            for _ in trips:
                assert await comes_back(server, events)
                took.append(round((trio.current_time() - road.began) / 0.1, 2))
            assert took == trips
            server.authority.forget_sessions()
            assert not await comes_back(server, events)
            assert (trio.current_time() - road.began) / 0.1 == pytest.approx(9 if version is OLD else 8)


async def test_a_login_that_is_bound_to_tls_1_3_is_bound_again(autojump_clock):
    credentials = Credentials("romeo", "secret", require_binding=True)
    async with open_server(starttls="required", mechanisms=(PLUS,)) as server:
        address = "romeo@example.test"
        tls = server.client_tls_context()
        async with (
            trioxmpp.connect(
                address, credentials=credentials, endpoint=server.endpoint, tls=tls, reconnect=FAST
            ) as client,
            client.events() as events,
        ):
            assert await comes_back(server, events)


async def test_one_that_is_bound_to_tls_1_2_begins_anew(autojump_clock):
    """By tls-unique, which such a link does not have."""
    async with (
        open_server(starttls="required", mechanisms=(PLUS, SCRAM), channel_bindings=None) as server,
        connect(server, OLD) as client,
        client.events() as events,
    ):
        for _ in range(2):
            assert not await comes_back(server, events)


async def test_a_server_that_begins_to_bind_is_not_refused_for_what_its_old_link_cannot(autojump_clock):
    """The first login was not bound, so that TLS 1.2 goes on; then there is only tls-unique."""
    async with (
        open_server(starttls="required", mechanisms=(SCRAM,), channel_bindings=None) as server,
        connect(server, OLD) as client,
        client.events() as events,
    ):
        assert await comes_back(server, events)
        server.policy.mechanisms = (PLUS,)
        assert not await comes_back(server, events, attempts=2)


async def test_a_server_that_has_another_certificate_is_not_refused_for_the_old_one(autojump_clock):
    """The login is bound to the certificate that the client knows: on a resumed link, that of the first link."""
    async with (
        open_server(starttls="required", mechanisms=(PLUS, SCRAM)) as server,
        connect(server) as client,
        client.events() as events,
    ):
        server.authority.renew("valid")
        assert not await comes_back(server, events, attempts=2)
        assert not await comes_back(server, events)


@BOTH
async def test_a_certificate_of_ours_need_not_be_shown_again(autojump_clock, version):
    async with open_server(starttls="required", mechanisms=("EXTERNAL",)) as server:
        tls = server.client_tls_context("romeo@example.test")
        tls.maximum_version = version
        credentials = Credentials.external()
        async with (
            trioxmpp.connect(
                "romeo@example.test", credentials=credentials, endpoint=server.endpoint, tls=tls, reconnect=FAST
            ) as client,
            client.events() as events,
        ):
            assert await comes_back(server, events)


async def test_and_if_it_is_not_accepted_as_it_was_it_is_shown_again(autojump_clock):
    """Say, because it has expired meanwhile, and there is a new one in the context."""
    async with open_server(starttls="required", mechanisms=("EXTERNAL",)) as server:
        tls = server.client_tls_context("romeo@example.test")
        async with (
            trioxmpp.connect(
                "romeo@example.test",
                credentials=Credentials.external(),
                endpoint=server.endpoint,
                tls=tls,
                reconnect=FAST,
            ) as client,
            client.events() as events,
        ):
            server.plan(Faults(refuse_login="not-authorized"))
            assert not await comes_back(server, events, attempts=2)


async def test_a_password_that_was_changed_is_still_refused_for_good(autojump_clock):
    async with open_server(starttls="required", mechanisms=(SCRAM,)) as server:
        with pytest.raises(trioxmpp.AuthenticationFailure):
            async with connect(server):
                server.add_account("romeo", "another")
                server.links[-1].reset()
                await trio.sleep_forever()
        assert server.link_count == 2


class Intolerant(StreamAround):
    """Breaks when TLS begins with an offer to go on with an old session."""

    def __init__(self, stream: trio.abc.Stream, seen: list[bool]) -> None:
        super().__init__(stream)
        self.seen = seen

    async def send_all(self, data):
        if data[:1] == b"\x16" and data[5:6] == b"\x01":  # a ClientHello
            # Its last extension is pre_shared_key, if it has that (RFC 8446 §4.2.11).
            self.seen.append(b"\x00\x29" in data[-400:] and len(data) > 500)
            if self.seen[-1]:
                await self.stream.aclose()
                raise trio.BrokenResourceError
        await self.stream.send_all(data)


async def test_a_server_that_cannot_cope_with_it_is_spared_from_then_on(autojump_clock):
    seen: list[bool] = []
    async with open_server(starttls="required") as server:

        async def endpoint() -> trio.abc.Stream:
            return Intolerant(await server.endpoint(), seen)

        async with connect(server, endpoint=endpoint) as client, client.events() as events:
            began = trio.current_time()
            assert not await comes_back(server, events, attempts=2)
            assert trio.current_time() - began < 2  # the second followed at once
            assert not await comes_back(server, events)
    assert seen == [False, True, False, False]
