"""In-band registration (XEP-0077, XEP-0445): a new account, another password, and the end of an account."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import (
    JID,
    AuthenticationFailure,
    ErroneousStanza,
    MemoryStore,
    ReconnectPolicy,
    StreamNegotiationFailure,
    TLSFailure,
    XMPPError,
)
from trioxmpp.errors import StanzaCondition, StreamCondition, StreamError
from trioxmpp.protocol.elements.register import Register
from trioxmpp.testing import Dialect, ScriptedServer, Server, open_server
from trioxmpp.xep.accounts import (
    RegistrationElsewhere,
    change_password,
    open_registration,
    register,
    remove_account,
)
from trioxmpp.xep.adhoc import run_command
from trioxmpp.xep.forms import FormError

DIALECTS = [Dialect.PROSODY_13, Dialect.EJABBERD_26]


@asynccontextmanager
async def registrar(
    dialect: Dialect = Dialect.PROSODY_13, **policy: Any
) -> AsyncIterator[tuple[Server, dict[str, Any]]]:
    policy = {"registration": True, "starttls": "required", **policy}
    async with open_server(accounts={"romeo": "secret"}, dialect=dialect, **policy) as server:
        yield server, {"endpoint": server.endpoint, "tls": server.client_tls_context()}


# --- before the login


@pytest.mark.item("D11.registration.1")
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_an_account_is_created_and_logs_in(dialect: Dialect, autojump_clock: Any) -> None:
    async with registrar(dialect) as (server, options):
        async with open_registration("example.test", **options) as registration:
            assert registration.fields >= {"username", "password"}
            assert (registration.form is not None) is dialect.registration_form
            assert registration.instructions
        await register("juliet@example.test", "capulet", **options)
        assert "juliet" in server.accounts
        async with trioxmpp.connect("juliet@example.test", "capulet", **options) as client:
            assert client.jid.local == "juliet"
        assert not server.links


@pytest.mark.item("D11.registration.1")
async def test_a_refusal_can_be_tried_again_on_the_same_stream(autojump_clock: Any) -> None:
    for dialect in DIALECTS:
        async with (
            registrar(dialect) as (server, options),
            open_registration("example.test", **options) as registration,
        ):
            with pytest.raises(XMPPError) as caught:
                await registration.submit({"username": "romeo", "password": "x"})
            assert caught.value.condition is StanzaCondition.CONFLICT
            await registration.submit({"username": "romeo2", "password": "x"})
            assert "romeo2" in server.accounts


@pytest.mark.item("D11.registration.1")
async def test_fields_that_the_server_does_not_want_are_not_sent(autojump_clock: Any) -> None:
    async with (
        registrar(Dialect.EJABBERD_26) as (server, options),
        open_registration("example.test", **options) as registration,
    ):
        for values in (
            {"username": "a", "password": "b", "email": "c"},
            {"username": "a"},
            {"username": "a", "password": "b", "made-up": "c"},
        ):
            with pytest.raises(ValueError, match="the server"):
                await registration.submit(values)
    async with registrar(Dialect.PROSODY_13) as (server, options):
        with pytest.raises(FormError, match="no such field"):
            await register("a@example.test", "b", values={"email": "c"}, **options)
        assert "a" not in server.accounts


def tls_of(bench: Bench) -> ssl.SSLContext | None:
    """Return what trusts the server of a bench."""
    return bench.tls if bench.server is None else bench.server.client_tls_context()


async def invitation(bench: Bench) -> tuple[str, str]:
    """Return a domain at which a registration needs an invitation, and the token of one."""
    if bench.server is not None:
        bench.server.policy.registration_token = "abc"
        return bench.domain, "abc"
    domain = f"invited.{bench.domain}"
    async with bench.connect_administrator() as admin:
        try:
            async with run_command(admin, "urn:xmpp:invite#create-account", on=domain) as command:
                assert command.result is not None
                return domain, command.result["uri"].partition("preauth=")[2]
        except XMPPError:
            pytest.skip(f"{bench.label} has no module for invitations (mod_invites)")


@pytest.mark.item("D11.registration.2")
@on_every_bench(accounts=0, registration=True, starttls="required")
async def test_a_token_permits_a_registration(bench: Bench) -> None:
    options: dict[str, Any] = {"endpoint": bench.endpoint, "tls": tls_of(bench)}
    domain, token = await invitation(bench)
    jid = f"new{secrets.token_hex(6)}@{domain}"
    refusals = []
    for wrong in (None, "wrong"):
        with pytest.raises(XMPPError) as caught:
            await register(jid, "capulet", token=wrong, **options)
        refusals.append(caught.value.condition)
    if bench.dialect.invitation_forbidden:
        assert refusals == [StanzaCondition.NOT_ACCEPTABLE, StanzaCondition.FORBIDDEN]
    else:
        assert refusals == [StanzaCondition.NOT_ALLOWED, StanzaCondition.ITEM_NOT_FOUND]
    await register(jid, "capulet", token=token, **options)
    async with trioxmpp.connect(jid, "capulet", **options) as client:
        assert client.jid.bare == JID.parse(jid)


@pytest.mark.item("D11.registration.5")
async def test_nothing_is_registered_without_tls(autojump_clock: Any) -> None:
    async with registrar(starttls="none") as (server, options):
        with pytest.raises(TLSFailure):
            await register("juliet@example.test", "capulet", **options)
        assert "juliet" not in server.accounts


async def test_an_address_without_a_local_part_is_a_mistake(autojump_clock: Any) -> None:
    with pytest.raises(ValueError, match="not the address of an account"):
        await register("example.test", "capulet")


async def test_a_server_without_registration_is_a_bare_error(autojump_clock: Any) -> None:
    async with registrar(registration=False) as (_, options):
        with pytest.raises(StreamError):
            await register("juliet@example.test", "capulet", **options)


@asynccontextmanager
async def scripted(*replies: str) -> AsyncIterator[dict[str, Any]]:
    """A server under TLS that describes a registration in these words, and takes nothing."""
    async with open_server(starttls="required", registration=True) as real:
        ours = real.client_tls_context()
        script = ScriptedServer()

        async def serve() -> None:
            peer = await script.accept()
            await peer.expects_header()
            await peer.says_header("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            await peer.expects("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            await peer.says("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            await peer.starts_tls(real.tls_context())
            await peer.expects_header()
            await peer.says_header("<register xmlns='http://jabber.org/features/iq-register'/>")
            for reply in replies:
                await peer.expects("<iq type='get' id='$1' to='example.test'><query xmlns='jabber:iq:register'/></iq>")
                await peer.says(reply)
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield {"endpoint": script.endpoint, "tls": ours}
            nursery.cancel_scope.cancel()


def described(content: str) -> str:
    """The answer of a server that describes its registration."""
    return f"<iq type='result' id='$1'><query xmlns='jabber:iq:register'>{content}</query></iq>"


@pytest.mark.item("D11.registration.1")
async def test_a_page_of_the_web_is_for_a_person(autojump_clock: Any) -> None:
    page = "<x xmlns='jabber:x:oob'><url>https://example.test/join</url></x>"
    async with scripted(described(f"<instructions>Go there</instructions>{page}")) as options:
        with pytest.raises(RegistrationElsewhere) as caught:
            await register("juliet@example.test", "capulet", **options)
        assert caught.value.url == "https://example.test/join"


@pytest.mark.item("D11.registration.1")
async def test_a_form_with_more_to_fill_in_is_not_sent_half_filled(autojump_clock: Any) -> None:
    def field(var: str) -> str:
        return f"<field var='{var}' type='text-single'><required/></field>"

    form = f"<x xmlns='jabber:x:data' type='form'>{field('username')}{field('password')}{field('ocr')}</x>"
    async with scripted(described(f"<username/><password/><email/>{form}")) as options:
        with pytest.raises(FormError, match="ocr"):
            await register("juliet@example.test", "capulet", **options)


async def test_an_answer_that_makes_no_sense_is_an_error(autojump_clock: Any) -> None:
    for reply in (
        described(""),
        "<iq type='result' id='$1'/>",
        "<iq type='result' id='$1'><query xmlns='other'/></iq>",
    ):
        async with scripted(reply) as options:
            with pytest.raises(ErroneousStanza):
                await register("juliet@example.test", "capulet", **options)
    async with scripted("".join(f"<message id='{number}'/>" for number in range(200))) as options:
        with pytest.raises(StreamNegotiationFailure, match="everything but the answer"):
            await register("juliet@example.test", "capulet", **options)
    async with scripted() as options:
        with pytest.raises(TimeoutError):
            await register("juliet@example.test", "capulet", timeout=10, **options)


# --- after it


async def test_a_changed_password_is_used_from_then_on(autojump_clock: Any) -> None:
    async with registrar() as (server, options):
        async with trioxmpp.connect("romeo@example.test/1", "secret", **options) as client:
            await change_password(client, "montague")
            async with client.events() as events:
                await server.crash()
                await server.restart()
                while not isinstance(await anext(events), trioxmpp.Established):
                    pass
        with pytest.raises(AuthenticationFailure):
            async with trioxmpp.connect("romeo@example.test", "secret", **options):
                raise AssertionError
        async with trioxmpp.connect("romeo@example.test", "montague", **options):
            pass


@pytest.mark.item("D11.registration.3")
async def test_the_token_of_the_old_password_is_forgotten(autojump_clock: Any) -> None:
    store = MemoryStore()
    async with (
        registrar(sasl2=True) as (_server, options),
        trioxmpp.connect("romeo@example.test/1", "secret", store=store, **options) as client,
    ):
        assert store.ticket is not None
        assert store.ticket.login.token is not None
        await change_password(client, "montague")
        assert store.ticket.login.token is None
        assert client.established


@pytest.mark.item("D11.registration.5")
async def test_a_password_is_not_changed_without_tls(autojump_clock: Any) -> None:
    async with open_server(accounts={"romeo": "secret"}, registration=True) as server:
        options: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with trioxmpp.connect("romeo@example.test/1", "secret", **options) as client:
            with pytest.raises(TLSFailure):
                await change_password(client, "montague")
            await change_password(client, "montague", allow_plaintext=True)
        async with trioxmpp.connect("romeo@example.test/1", "montague", **options):
            pass


@pytest.mark.item("D11.registration.4")
async def test_a_removed_account_does_not_connect_again(autojump_clock: Any) -> None:
    told: list[Any] = []
    async with registrar() as (server, options):
        async with trioxmpp.connect("romeo@example.test/1", "secret", **options) as client:
            client.on_event.connect(told.append)
            await remove_account(client)
            assert not client.established
            with pytest.raises(ConnectionError):
                await client.wait_established()
            await trio.sleep(1000)
        assert server.link_count == 1
        assert "romeo" not in server.accounts
    assert not told  # the application asked for the end, and knows


@pytest.mark.item("D11.registration.4")
async def test_a_server_that_ends_the_stream_without_an_answer_has_removed_the_account(autojump_clock: Any) -> None:
    async with registrar() as (server, options):
        async with trioxmpp.connect("romeo@example.test/1", "secret", **options) as client:

            async def end(iq: Any) -> None:
                gone = StreamError(StreamCondition.NOT_AUTHORIZED, "Account deleted", by_us=True)
                server.sessions["romeo@example.test/1"].link.end(gone)
                await trio.sleep_forever()

            server.answer(Register, end)
            await remove_account(client)
            assert not client.established
            await trio.sleep(1000)
        assert server.link_count == 1


@pytest.mark.item("D11.registration.4")
async def test_a_server_that_does_not_end_the_stream_is_left(autojump_clock: Any) -> None:
    async with registrar() as (server, options):
        async with trioxmpp.connect("romeo@example.test/1", "secret", **options) as client:
            server.answer(Register, lambda iq: None)
            await remove_account(client)
            assert not client.established
        assert server.link_count == 1


async def test_a_removal_that_is_refused_changes_nothing(autojump_clock: Any) -> None:
    def refuse(iq: Any) -> None:
        raise trioxmpp.XMPPAuthError(StanzaCondition.FORBIDDEN)

    async with (
        registrar() as (server, options),
        trioxmpp.connect("romeo@example.test/1", "secret", **options) as client,
    ):
        server.answer(Register, refuse)
        with pytest.raises(XMPPError):
            await remove_account(client)
        async with client.events() as events:
            server.sessions["romeo@example.test/1"].link.reset()
            assert [type(await anext(events)) for _ in range(2)] == [trioxmpp.Suspended, trioxmpp.Resumed]


async def test_a_link_that_breaks_before_the_answer_is_an_error(autojump_clock: Any) -> None:
    async with registrar() as (server, options):
        async with trioxmpp.connect("romeo@example.test/1", "secret", **options) as client:

            async def end(iq: Any) -> None:
                server.sessions["romeo@example.test/1"].link.reset()
                await trio.sleep_forever()

            server.answer(Register, end)
            with pytest.raises(ConnectionError):
                await remove_account(client)
            await trio.sleep(1000)
        assert server.link_count == 1


# --- on every server


@pytest.mark.item("D11.registration.3")
@on_every_bench(accounts=0, sasl2=True, registration=True, starttls="required")
async def test_a_token_ends_with_the_password_on_every_server(bench: Bench) -> None:
    options: dict[str, Any] = {"endpoint": bench.endpoint, "tls": tls_of(bench)}
    jid, store = f"new{secrets.token_hex(6)}@{bench.domain}", MemoryStore()
    await register(jid, "first", **options)
    async with trioxmpp.connect(f"{jid}/1", "first", store=store, **options) as client:
        assert store.ticket is not None
        if store.ticket.login.token is None:
            pytest.skip(f"{bench.label} gives this login no token (mod_sasl2_fast, mod_auth_fast; XEP-0484)")
        await change_password(client, "second")
        assert store.ticket.login.token is None
    async with trioxmpp.connect(f"{jid}/1", "second", store=store, **options) as client:
        assert client.established


@pytest.mark.item("D11.registration.1", "D11.registration.4")
@on_every_bench(accounts=0, registration=True, starttls="required")
async def test_the_life_of_an_account(bench: Bench) -> None:
    options: dict[str, Any] = {"endpoint": bench.endpoint, "tls": tls_of(bench)}
    name = f"new{secrets.token_hex(6)}"
    jid = f"{name}@{bench.domain}"
    await register(jid, "first", **options)
    with pytest.raises(XMPPError) as caught:
        await register(jid, "other", **options)
    assert caught.value.condition is StanzaCondition.CONFLICT
    async with trioxmpp.connect(jid, "first", reconnect=ReconnectPolicy(), **options) as client:
        await change_password(client, "second")
    with pytest.raises(AuthenticationFailure):
        async with trioxmpp.connect(jid, "first", **options):
            raise AssertionError
    async with trioxmpp.connect(jid, "second", **options) as client:
        await remove_account(client)
        assert not client.established
    with pytest.raises(AuthenticationFailure):
        async with trioxmpp.connect(jid, "second", **options):
            raise AssertionError
