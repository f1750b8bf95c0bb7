"""A store keeps data of logins: another process gets in as quickly as this one would, and as safely."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    Credentials,
    FileStore,
    Login,
    MemoryStore,
    Message,
    ReconnectPolicy,
    Resumed,
    SQLiteStore,
    StoredSession,
    Suspended,
)
from trioxmpp.client.store.storedsession import Setbacks
from trioxmpp.protocol.loginstate import FastToken
from trioxmpp.record import replace
from trioxmpp.testing import Faults, Server, open_server
from trioxmpp.testing.network import LatentEndpoint

PASSWORD = Credentials("romeo", "montague")

#: A STARTTLS link: the header in the clear, <starttls/>, the handshake of TLS 1.3.
UNTIL_SECURE = 3


class Vault:
    """Counts how often it was asked for the password."""

    def __init__(self, credentials: Credentials = PASSWORD) -> None:
        self.credentials = credentials
        self.asked = 0

    def __call__(self) -> Credentials:
        self.asked += 1
        return self.credentials


@pytest.fixture
async def server(autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    async with open_server(accounts={"romeo": "montague"}, starttls="required") as server:
        server.policy.sasl2 = True
        yield server


@pytest.fixture
def vault():
    return Vault()


@pytest.fixture(params=["memory", "file", "sqlite"])
def store(request, tmp_path):
    kinds: dict[str, Callable[[], Any]] = {
        "memory": MemoryStore,
        "file": lambda: FileStore(tmp_path / "session"),
        "sqlite": lambda: SQLiteStore(tmp_path / "session.db"),
    }
    return kinds[request.param]()


def connect(server: Server, store: Any, credentials: Any, **options: Any):
    return trioxmpp.connect(
        "romeo@example.test",
        credentials=credentials,
        store=store,
        tls=server.client_tls_context(),
        **{"endpoint": server.endpoint, "reconnect": ReconnectPolicy(initial=0.1, maximum=0.1), **options},
    )


async def left_in(store: Any) -> StoredSession:
    ticket = await store.load()
    await store.aclose()
    return ticket


async def breaks_and_resumes(server: Server, client: trioxmpp.Client) -> None:
    async with client.events() as events:
        server.links[-1].reset()
        assert isinstance(await anext(events), Suspended)
        assert isinstance(await anext(events), Resumed)


# --- tokens


async def test_another_process_goes_on_with_a_session_without_the_password(autojump_clock, server, store, vault):
    async with connect(server, store, vault) as client:
        await client.suspend()
    async with connect(server, store, vault) as client:
        assert client.restored.resumed
    assert vault.asked == 1
    assert len(server.accounts["romeo"].tokens) == 1  # it is the same client


async def test_another_process_begins_a_session_without_the_password(autojump_clock, server, store, vault):
    for _ in range(5):
        async with connect(server, store, vault) as client:
            assert client.restored is None
    assert vault.asked == 1
    assert server.link_count == 5


async def test_without_sessions_that_could_be_resumed_it_is_the_same(autojump_clock, server, store, vault):
    server.policy.sm = False
    async with connect(server, store, vault) as client:
        await client.suspend()
    async with connect(server, store, vault, sm=None) as client:
        assert client.restored is None
    assert vault.asked == 1


async def test_the_newest_token_is_what_is_kept(autojump_clock, server, store, vault):
    async with connect(server, store, vault) as client:
        for _ in range(3):
            await breaks_and_resumes(server, client)
        await client.suspend()
    ((_, tokens),) = server.accounts["romeo"].tokens.items()
    assert (await left_in(store)).login.token.token == tokens[-1]


async def test_a_token_that_the_server_has_forgotten_costs_no_more_than_the_password(
    autojump_clock, server, store, vault
):
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.accounts["romeo"].tokens.clear()
    async with connect(server, store, vault) as client:
        assert client.restored.resumed
    assert vault.asked == 2
    assert server.link_count == 2
    async with connect(server, store, vault):
        pass
    assert vault.asked == 2


async def test_stored_knowledge_survives_a_server_that_cannot_be_reached(autojump_clock, server, store, vault):
    async with connect(server, store, vault):
        pass
    await server.crash()
    with pytest.raises(ConnectionError):
        async with connect(server, store, vault):
            pytest.fail("connected")
    await server.restart()
    async with connect(server, store, vault):
        pass
    assert vault.asked == 1


@pytest.mark.parametrize("counted", [False, True])
async def test_a_counted_token_is_never_used_with_the_same_count_twice(autojump_clock, server, store, vault, counted):
    server.policy.count_tokens = counted
    for _ in range(3):
        async with connect(server, store, vault) as client:
            await breaks_and_resumes(server, client)
    assert vault.asked == 1
    assert any(server.accounts["romeo"].counts.values()) == counted


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("juliet", "capulet"),
        Credentials("romeo", "montague", authzid="juliet@example.test"),
        Credentials("romeo", "montague", require_binding=True),
        Credentials.external(),
    ],
)
def test_a_token_stands_only_for_the_credentials_that_it_was_given_for(credentials):
    token = FastToken("HT-SHA-256-NONE", "romeo", "t0ken")
    assert Login(token=token).token_for(PASSWORD) is token
    assert Login(token=token).token_for(credentials) is None


async def test_the_store_of_another_account_is_of_no_use_and_no_harm(autojump_clock, server, store, vault):
    async with connect(server, store, vault):
        pass
    server.add_account("juliet", "capulet")
    options = {"endpoint": server.endpoint, "tls": server.client_tls_context()}
    async with trioxmpp.connect("juliet@example.test", "capulet", store=store, **options) as client:
        assert client.jid.local == "juliet"
    assert (await left_in(store)).login.token.authcid == "juliet"


# --- in one flight


async def trips(road: LatentEndpoint, store: Any, vault: Vault, *, suspend: bool = True) -> float:
    """How many round trips it takes from the first byte under TLS to the session."""
    async with connect(road.server, store, vault, endpoint=road.endpoint) as client:
        took = (trio.current_time() - road.began) / road.round_trip - UNTIL_SECURE
        if suspend:
            await client.suspend()
    return round(took, 3)


@pytest.mark.parametrize("suspend", [True, False])
async def test_the_first_link_of_another_process_takes_one_flight(autojump_clock, server, nursery, vault, suspend):
    road, store = LatentEndpoint(server, nursery, 0.1), MemoryStore()
    assert await trips(road, store, vault, suspend=suspend) > 2
    assert [await trips(road, store, vault, suspend=suspend) for _ in range(3)] == [1, 1, 1]
    assert vault.asked == 1


async def test_a_server_that_has_become_another_is_asked_again_on_a_new_link(autojump_clock, server, vault):
    store = MemoryStore()
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.policy.sasl2 = False
    async with connect(server, store, vault) as client:
        assert client.restored.resumed
    assert (vault.asked, server.link_count) == (2, 3)
    async with connect(server, store, vault):
        pass
    assert server.link_count == 4


async def test_a_server_that_dislikes_haste_is_asked_again_on_a_new_link(autojump_clock, server, vault):
    store = MemoryStore()
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.plan(Faults(cut_in=600))  # in the middle of what follows the header
    async with connect(server, store, vault) as client:
        assert client.restored.resumed
    assert (vault.asked, server.link_count) == (1, 3)


async def test_it_is_asked_again_but_once_and_after_a_pause_as_any_server_that_does_not_answer(
    autojump_clock, server, vault
):
    store = MemoryStore()
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.plan(Faults(cut_in=600))
    server.plan(Faults(cut_in=600))
    began = trio.current_time()
    async with connect(server, store, vault) as client:
        assert client.restored.resumed
        assert trio.current_time() > began
    assert server.link_count == 4


async def test_without_a_session_it_is_asked_again_but_once(autojump_clock, server, vault):
    store = MemoryStore()
    async with connect(server, store, vault):
        pass
    server.plan(Faults(cut_in=600))
    server.plan(Faults(cut_in=600))
    with pytest.raises(ConnectionError):
        async with connect(server, store, vault):
            pytest.fail("connected")
    assert server.link_count == 3


# --- a session for which the server ends each login

REFUSED = Faults(refuse_resume="error")


async def test_a_session_that_ends_each_login_is_given_up_and_replaced(autojump_clock, server, store, vault):
    """F7: with SASL2 the request to resume is part of the login."""
    async with connect(server, store, vault) as client:
        posted = await client.post(Message(to="juliet@example.test", body="hello"))
        await client.suspend()
    server.faults = REFUSED
    async with connect(server, store, vault) as client:
        assert not client.restored.resumed
        # Two attempts with the request in the login, the first of which made another one without haste; then three with
        # the request after the login; then one without a request.
        assert server.link_count == 1 + 3 + 3 + 1
        for each in client.posted:
            await each
    assert posted.settled
    server.faults = Faults()


async def test_a_server_that_minds_the_request_in_a_login_alone_keeps_the_session(autojump_clock, server, store, vault):
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.plan(REFUSED)
    server.plan(REFUSED)
    server.plan(REFUSED)
    async with connect(server, store, vault) as client:
        assert client.restored.resumed


async def test_processes_that_are_stopped_before_an_answer_count_together(autojump_clock, server, store, vault):
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.faults = Faults(black_hole_in=600)  # the login, with the request in it, vanishes
    for _ in range(2):
        with trio.move_on_after(1):
            async with connect(server, store, vault):
                pytest.fail("connected")
    server.faults = REFUSED  # the server is asked after the login now, since that led to nothing
    for _ in range(2):
        with trio.move_on_after(1):
            async with connect(server, store, vault, reconnect=ReconnectPolicy(initial=60, maximum=60)):
                pytest.fail("connected")
    links = server.link_count
    async with connect(server, store, vault) as client:
        assert not client.restored.resumed
    assert server.link_count == links + 2
    server.faults = Faults()


async def test_a_session_that_other_processes_could_not_resume_is_not_tried(autojump_clock, server, store, vault):
    async with connect(server, store, vault) as client:
        await client.suspend()
    ticket = await store.load()
    await store.save(replace(ticket, setbacks=Setbacks(unanswered=3)))
    await store.aclose()
    async with connect(server, store, vault) as client:
        assert not client.restored.resumed
    assert server.link_count == 2


async def test_a_network_that_cuts_logins_costs_no_session(autojump_clock, server, store, vault):
    async with connect(server, store, vault) as client:
        await client.suspend()
    for cut in (600, 600, 600, 700, 800, 900, 1000, 600, 1200, 600):
        server.plan(Faults(cut_in=cut))
    async with connect(server, store, vault) as client:
        assert client.restored.resumed


async def test_a_login_that_is_refused_is_no_word_about_the_session(autojump_clock, server, vault):
    store = MemoryStore()
    async with connect(server, store, vault) as client:
        await client.suspend()
    server.faults = Faults(refuse_login="temporary-auth-failure")
    for _ in range(4):
        with pytest.raises(AuthenticationFailure):
            async with connect(server, store, vault):
                pytest.fail("connected")
    server.faults = Faults()
    async with connect(server, store, vault) as client:
        assert client.restored.resumed


# --- strength


async def test_a_login_that_is_weaker_than_those_of_other_processes_is_refused(autojump_clock, server, store, vault):
    server.policy.mechanisms = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    server.policy.fast = ()
    async with connect(server, store, vault):
        pass
    server.policy.mechanisms, server.policy.prove_offer = ("SCRAM-SHA-256",), False
    for _ in range(2):
        with pytest.raises(AuthenticationFailure, match="earlier logins were bound to the TLS link"):
            async with connect(server, store, vault):
                pytest.fail("connected")
    async with connect(server, MemoryStore(), vault) as client:
        assert client.established


@pytest.mark.parametrize("sasl2", [True, False])
async def test_the_password_is_not_given_away_once_that_was_not_needed(autojump_clock, server, store, sasl2):
    server.policy.sasl2, server.policy.fast = sasl2, ()
    vault = Vault(Credentials("romeo", "montague", allow_plain=True))
    async with connect(server, store, vault):
        pass
    server.policy.mechanisms = ("PLAIN",)
    with pytest.raises(AuthenticationFailure, match="earlier logins did not give the password away"):
        async with connect(server, store, vault):
            pytest.fail("connected")


async def test_a_token_does_not_hide_a_weaker_offer(autojump_clock, server, store, vault):
    """It is bound as the login was that it came from, or there is none."""
    server.policy.mechanisms = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    async with connect(server, store, vault):
        pass
    login = (await left_in(store)).login
    assert login.token.mechanism == "HT-SHA-256-ENDP"
    server.policy.mechanisms, server.policy.prove_offer = ("SCRAM-SHA-256",), False
    server.policy.fast = ("HT-SHA-256-NONE",)
    with pytest.raises(AuthenticationFailure, match="earlier logins were bound to the TLS link"):
        async with connect(server, store, vault):
            pytest.fail("connected")


@pytest.mark.parametrize("in_haste", [True, False])
async def test_a_client_that_links_without_a_token_gets_one(autojump_clock, server, vault, in_haste):
    """Prosody 13 proves another offer than it made where a token was refused before: that has to be tried again. Here
    it is for good.
    """
    server.policy.mechanisms = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    store = MemoryStore()
    async with connect(server, store, vault):
        pass
    if not in_haste:
        store = MemoryStore(replace(store.ticket, login=replace(store.ticket.login, offer=None)))
    server.accounts["romeo"].tokens.clear()
    server.policy.mechanisms, server.policy.prove_offer = ("SCRAM-SHA-256",), False
    with pytest.raises(AuthenticationFailure, match="earlier logins were bound to the TLS link"):
        async with connect(server, store, vault):
            pytest.fail("connected")
    assert server.link_count == 3
    assert store.ticket.login.token is None


# --- secrets


async def test_a_secret_is_nowhere_but_in_the_store(autojump_clock, server, tmp_path, vault, caplog):
    caplog.set_level(logging.DEBUG)
    store = FileStore(tmp_path / "session")
    seen = set()
    for _ in range(3):
        async with connect(server, store, vault) as client:
            await breaks_and_resumes(server, client)
        ticket = await left_in(store)
        change = trioxmpp.Change(0.0, 0, 0, login=ticket.login)
        secret = ticket.login.token.token
        assert secret.encode() in store.path.read_bytes()
        assert b"montague" not in store.path.read_bytes()
        for thing in (ticket, ticket.login, change):
            assert secret not in f"{thing!r} {thing}"
        seen.add(secret)
    assert len(seen) == 3
    assert not [secret for secret in seen if secret in caplog.text]
