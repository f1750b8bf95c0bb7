"""Logging out for good (XEP-0484 §3.6): what the server knows afterwards, and what the client does."""

from __future__ import annotations

import itertools

import pytest

import trioxmpp
from tests.dialogs import resumed
from trioxmpp import (
    AuthenticationFailure,
    Client,
    ConnectError,
    Credentials,
    MemoryStore,
    Message,
    MessageType,
    ReconnectPolicy,
    StanzaStream,
    StreamNegotiationFailure,
)
from trioxmpp.testing import Faults, cancelled_after, open_server

BOUND = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


@pytest.fixture
async def server(autojump_clock):
    async with open_server(accounts={"romeo": "montague"}, starttls="required", mechanisms=BOUND) as server:
        server.policy.sasl2 = True
        yield server


class Vault:
    """Where the password is kept."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self) -> Credentials:
        self.opened += 1
        return Credentials("romeo", "montague")


@pytest.fixture
def vault():
    return Vault()


def connect(server, vault: Vault, **options):
    return trioxmpp.connect(
        "romeo@example.test",
        credentials=vault,
        endpoint=server.endpoint,
        tls=server.client_tls_context(),
        reconnect=ReconnectPolicy(initial=1.0, maximum=1.0),
        connect_timeout=20.0,
        **options,
    )


def tokens(server) -> list[str]:
    """The attempts that let a client in."""
    return [token for known in server.accounts["romeo"].tokens.values() for token in known]


async def test_the_server_takes_it_no_longer(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        assert len(tokens(server)) == 1
        await client.forget_token()
        assert tokens(server) == []
        assert server.link_count == 2
        await server.until(lambda: len(server.links) == 1)


async def test_the_session_goes_on_and_is_repaired_by_the_password(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        await resumed(server, client)
        assert vault.opened == 1  # by the token
        await client.forget_token()
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="still here"))
        for _ in range(2):
            await resumed(server, client)
            assert tokens(server) == []
        assert server.sessions[str(client.jid)].resumptions == 3


async def test_nothing_of_it_is_left_in_the_store(server, vault, autojump_clock):
    store = MemoryStore()
    async with connect(server, vault, store=store) as client:
        assert store.ticket.login.token is not None
        server.plan(Faults(silent=True))  # not even if the server does not hear of it
        with pytest.raises(ConnectError):
            await client.forget_token()
        assert store.ticket.login.token is None
        await client.suspend()
    async with connect(server, vault, store=store) as client:
        assert vault.opened == 2
        assert client.restored.resumed
        assert store.ticket.login.token is not None  # the next process may have one of its own


async def test_the_user_is_not_asked_for_the_password_for_that(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        await client.forget_token()
        assert vault.opened == 1


async def test_a_token_that_has_been_replaced_goes_too(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        await resumed(server, client)
        assert len(tokens(server)) == 2  # the one before stays good until this one is used
        await client.forget_token()
        assert tokens(server) == []


async def test_twice_is_as_good_as_once(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        await client.forget_token()
        await client.forget_token()
        assert server.link_count == 2


async def test_where_there_is_none_nothing_is_said(server, vault, autojump_clock):
    server.policy.fast = ()
    async with connect(server, vault) as client:
        await client.forget_token()
        assert server.link_count == 1


async def test_one_that_the_server_has_forgotten_is_forgotten(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        server.accounts["romeo"].tokens.clear()
        await client.forget_token()
        assert vault.opened == 1
        assert server.link_count == 2


async def test_when_the_server_cannot_be_reached_it_is_forgotten_here_alone(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        server.plan(Faults(silent=True))
        with pytest.raises(ConnectError):
            await client.forget_token()
        left = tokens(server)  # for each process that has it, and there is no such process any more
        await resumed(server, client)
        assert tokens(server) == left  # it was not used, or else there would be another
        assert len(left) == 1


@pytest.mark.parametrize("condition", ["temporary-auth-failure", "invalid-mechanism"])
async def test_when_the_server_cannot_tell_it_is_an_error(server, vault, autojump_clock, condition):
    async with connect(server, vault) as client:
        server.plan(Faults(refuse_login=condition))
        with pytest.raises(AuthenticationFailure) as failure:
            await client.forget_token()
        assert failure.value.condition == condition
        assert len(tokens(server)) == 1
        assert client.established


async def test_when_the_server_offers_to_take_none_it_is_an_error(server, vault, autojump_clock):
    async with connect(server, vault) as client:
        server.plan(Faults(cut_in=600))  # so that the next login waits to be told what is offered
        server.sessions[str(client.jid)].link.reset()
        await server.until(lambda: server.link_count == 2 and not server.links)
        server.policy.fast = ()
        with pytest.raises(StreamNegotiationFailure, match="does not take a token"):
            await client.forget_token()
        assert len(tokens(server)) == 1


async def test_it_may_be_cancelled_wherever_it_is(server, autojump_clock):
    """Then it is forgotten here, and the session goes on."""
    for steps in itertools.count(1, 3):
        async with connect(server, Vault()) as client:
            before = len(tokens(server))
            cancelled = await cancelled_after(steps, client.forget_token)
            await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="still here"))
            left = tokens(server)
            await resumed(server, client)
            assert tokens(server) == left  # no token was used, and none asked for
        if not cancelled:
            break
    assert steps > 10
    assert len(left) == before - 1


async def test_a_client_that_does_not_log_in_has_no_token(autojump_clock):
    with pytest.raises(RuntimeError, match="does not log in"):
        await Client(StanzaStream("romeo@example.test")).forget_token()
