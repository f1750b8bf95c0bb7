"""Service administration (XEP-0133), with the server for tests offering the commands."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import AuthenticationFailure, Client, ErroneousStanza, StanzaCondition, XMPPError
from trioxmpp.testing import Server, open_server
from trioxmpp.testing.server.commands import Forms, Stage
from trioxmpp.testing.server.forms import form
from trioxmpp.xep.adhoc import CommandFailed, list_commands
from trioxmpp.xep.administration import (
    AdminCommand,
    add_user,
    administer,
    change_user_password,
    delete_users,
    online_user_count,
    registered_user_count,
)
from trioxmpp.xep.forms import FormError

NS = "http://jabber.org/protocol/admin"


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Server, Client]]:
    async with (
        open_server(accounts={"admin": "secret"}) as server,
        trioxmpp.connect("admin@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True) as client,
    ):
        yield server, client


def takes(fields: dict[str, str], seen: list[dict[str, list[str]]]) -> Any:
    """A command with one form, which notes what was submitted."""

    def command(forms: Forms) -> Stage:
        if not forms:
            return Stage(form=form("form", NS, dict.fromkeys(fields), fields), last=True)
        seen.append({var: values for var, values in forms[0].items() if var != "FORM_TYPE"})
        return Stage(note="done", done=True)

    return command


async def test_accounts_are_added_changed_and_deleted(autojump_clock: Any) -> None:
    added: list[Any] = []
    changed: list[Any] = []
    deleted: list[Any] = []
    fields = {"accountjid": "jid-single", "password": "text-private", "password-verify": "text-private"}
    async with connected() as (server, client):
        server.commands.add(AdminCommand.ADD_USER, "Add", takes(fields, added))
        changes = {"accountjid": "jid-single", "password": "text-private"}
        server.commands.add(AdminCommand.CHANGE_USER_PASSWORD, "Change", takes(changes, changed))
        server.commands.add(AdminCommand.DELETE_USER, "Delete", takes({"accountjids": "jid-multi"}, deleted))
        await add_user(client, "juliet@example.test", "capulet")
        await change_user_password(client, "juliet@example.test", "montague")
        await delete_users(client, ["juliet@example.test", "romeo@example.test"])
    assert added == [{"accountjid": ["juliet@example.test"], "password": ["capulet"], "password-verify": ["capulet"]}]
    assert changed == [{"accountjid": ["juliet@example.test"], "password": ["montague"]}]
    assert deleted == [{"accountjids": ["juliet@example.test", "romeo@example.test"]}]


async def test_numbers_are_read(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        for command, field in (
            (AdminCommand.GET_REGISTERED_USERS_NUM, "registeredusersnum"),
            (AdminCommand.GET_ONLINE_USERS_NUM, "onlineusersnum"),
        ):
            result = form("result", NS, {field: "42"})
            server.commands.add(command, "Count", lambda forms, result=result: Stage(form=result, done=True))
        assert await registered_user_count(client) == 42
        assert await online_user_count(client, on="example.test") == 42
        result = form("result", NS, {"onlineusersnum": "many"})
        server.commands.add(AdminCommand.GET_ONLINE_USERS_NUM, "Count", lambda forms: Stage(form=result, done=True))
        with pytest.raises(FormError):
            await online_user_count(client)
        server.commands.add(AdminCommand.GET_ONLINE_USERS_NUM, "Count", lambda forms: Stage(done=True))
        with pytest.raises(ErroneousStanza, match="no numbers"):
            await online_user_count(client)


async def test_a_command_that_says_that_it_failed_is_an_error(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        failed = Stage(note="Account already exists", failed=True, done=True)
        server.commands.add(AdminCommand.ADD_USER, "Add", lambda forms: failed)
        with pytest.raises(CommandFailed, match="already exists") as caught:
            await administer(client, AdminCommand.ADD_USER, {})
        assert [note.text for note in caught.value.notes] == ["Account already exists"]


async def test_a_form_that_does_not_fit_is_an_error(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        server.commands.add(AdminCommand.ANNOUNCE, "Announce", takes({"subject": "text-single"}, []))
        with pytest.raises(FormError, match="no such field"):
            await administer(client, AdminCommand.ANNOUNCE, {"announcement": "hello"})
        question = form("form", NS, {"subject": None})
        server.commands.add(AdminCommand.ANNOUNCE, "Announce", lambda forms: Stage(form=question))
        with pytest.raises(ErroneousStanza, match="more than one form"):
            await administer(client, AdminCommand.ANNOUNCE, {"subject": "hello"})


# --- on every server


@on_every_bench(accounts=1)
async def test_an_administrator_adds_changes_and_deletes_an_account(bench: Bench) -> None:
    name = f"new{secrets.token_hex(6)}"
    jid = f"{name}@{bench.domain}"

    async def logs_in(password: str) -> bool:
        bench.accounts[name], bench.names = password, [bench.names[0], name]
        try:
            async with bench.connect(1):
                return True
        except AuthenticationFailure:
            return False

    async with bench.connect_administrator() as admin:
        offered = {item.node for item in await list_commands(admin, bench.domain)}
        assert offered >= {AdminCommand.ADD_USER, AdminCommand.DELETE_USER, AdminCommand.CHANGE_USER_PASSWORD}
        await add_user(admin, jid, "first")
        assert await logs_in("first")
        for account, password in ((jid, "other"), ("someone@example.org", "x")):
            with pytest.raises((CommandFailed, XMPPError)) as caught:
                await add_user(admin, account, password)
            assert isinstance(caught.value, CommandFailed) is bench.dialect.commands_fail_by_notes
        await change_user_password(admin, jid, "second")
        assert not await logs_in("first")
        assert await logs_in("second")
        with pytest.raises((CommandFailed, XMPPError)):
            await change_user_password(admin, f"not-{jid}", "x")
        await delete_users(admin, [jid])
        assert not await logs_in("second")


@on_every_bench(accounts=1)
async def test_users_are_counted_where_the_server_counts_them(bench: Bench) -> None:
    async with bench.connect_administrator() as admin:
        if not bench.dialect.counts_users:
            with pytest.raises(XMPPError) as caught:
                await registered_user_count(admin)
            assert caught.value.condition is StanzaCondition.SERVICE_UNAVAILABLE
            return
        registered, online = await registered_user_count(admin), await online_user_count(admin)
        assert registered is not None
        assert online is not None
        assert 2 <= online <= registered
        name = f"new{secrets.token_hex(6)}"
        await add_user(admin, f"{name}@{bench.domain}", "secret")
        assert await registered_user_count(admin) == registered + 1
        await delete_users(admin, [f"{name}@{bench.domain}"])
        assert await registered_user_count(admin) == registered


@on_every_bench(accounts=1)
async def test_other_users_may_not_administer(bench: Bench) -> None:
    (romeo,) = bench.clients
    assert AdminCommand.ADD_USER not in {item.node for item in await list_commands(romeo, bench.domain)}
    with pytest.raises(XMPPError) as caught:
        await add_user(romeo, f"another@{bench.domain}", "secret")
    assert caught.value.condition is StanzaCondition.FORBIDDEN
