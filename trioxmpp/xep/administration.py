"""XEP-0133: Service Administration: the commands by which an administrator looks after a server.

Each is an ad-hoc command of the server with one form. A server offers those that it has; `list_commands` tells which.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..client import Client
from ..errors import ErroneousStanza
from ..jid import JID
from .adhoc import CommandFailed, NoteType, run_command
from .forms import Form, FormField, integer, jid, jids, private, text

__all__ = [
    "AddUser",
    "AdminCommand",
    "ChangePassword",
    "Statistics",
    "UserJIDs",
    "add_user",
    "administer",
    "change_user_password",
    "delete_users",
    "online_user_count",
    "registered_user_count",
]

_NS: Final = "http://jabber.org/protocol/admin"


class AdminCommand(enum.StrEnum):
    """The nodes of the commands (§4)."""

    ADD_USER = f"{_NS}#add-user"
    DELETE_USER = f"{_NS}#delete-user"
    DISABLE_USER = f"{_NS}#disable-user"
    REENABLE_USER = f"{_NS}#reenable-user"
    END_USER_SESSION = f"{_NS}#end-user-session"
    CHANGE_USER_PASSWORD = f"{_NS}#change-user-password"
    GET_USER_ROSTER = f"{_NS}#get-user-roster"
    GET_USER_LASTLOGIN = f"{_NS}#get-user-lastlogin"
    USER_STATS = f"{_NS}#user-stats"
    EDIT_BLACKLIST = f"{_NS}#edit-blacklist"
    EDIT_WHITELIST = f"{_NS}#edit-whitelist"
    GET_REGISTERED_USERS_NUM = f"{_NS}#get-registered-users-num"
    GET_DISABLED_USERS_NUM = f"{_NS}#get-disabled-users-num"
    GET_ONLINE_USERS_NUM = f"{_NS}#get-online-users-num"
    GET_ACTIVE_USERS_NUM = f"{_NS}#get-active-users-num"
    GET_IDLE_USERS_NUM = f"{_NS}#get-idle-users-num"
    GET_REGISTERED_USERS_LIST = f"{_NS}#get-registered-users-list"
    GET_DISABLED_USERS_LIST = f"{_NS}#get-disabled-users-list"
    GET_ONLINE_USERS_LIST = f"{_NS}#get-online-users-list"
    GET_ACTIVE_USERS_LIST = f"{_NS}#get-active-users"
    GET_IDLE_USERS_LIST = f"{_NS}#get-idle-users"
    ANNOUNCE = f"{_NS}#announce"
    SET_MOTD = f"{_NS}#set-motd"
    EDIT_MOTD = f"{_NS}#edit-motd"
    DELETE_MOTD = f"{_NS}#delete-motd"
    SET_WELCOME = f"{_NS}#set-welcome"
    DELETE_WELCOME = f"{_NS}#delete-welcome"
    EDIT_ADMIN = f"{_NS}#edit-admin"
    RESTART = f"{_NS}#restart"
    SHUTDOWN = f"{_NS}#shutdown"


class AddUser(Form, form_type=_NS):
    """The form that adds an account (§4.1)."""

    account: FormField[JID | None] = jid("accountjid")
    password: FormField[str | None] = private("password")
    password_verify: FormField[str | None] = private("password-verify")
    email: FormField[str | None] = text("email")
    given_name: FormField[str | None] = text("given_name")
    surname: FormField[str | None] = text("surname")


class UserJIDs(Form, form_type=_NS):
    """The form that names accounts: to delete, disable or enable them, or to end their sessions (§4.2 to §4.5)."""

    accounts: FormField[tuple[JID, ...]] = jids("accountjids")


class ChangePassword(Form, form_type=_NS):
    """The form that gives an account another password (§4.7)."""

    account: FormField[JID | None] = jid("accountjid")
    password: FormField[str | None] = private("password")


class Statistics(Form, form_type=_NS):
    """The numbers of accounts, as far as the result has them (§4.13 to §4.17)."""

    registered: FormField[int | None] = integer("registeredusersnum")
    disabled: FormField[int | None] = integer("disabledusersnum")
    online: FormField[int | None] = integer("onlineusersnum")
    active: FormField[int | None] = integer("activeusersnum")
    idle: FormField[int | None] = integer("idleusersnum")


async def administer(
    client: Client, command: AdminCommand | str, values: Mapping[str, Any], *, on: JID | str | None = None
) -> Form | None:
    """Run a command of one form, filled in with `values` by field, and return the form of results, if there is one.

    `on` is the server; None stands for that of our account. Raises FormError for a field that the form does not have,
    `ErroneousStanza` if the command wants more than one form, and what `run_command` raises. If the command fails,
    some servers answer with an error, which is an `XMPPError`; others finish the command and say why, which is a
    `CommandFailed`. Cancelling leaves it unknown whether the command was executed.
    """
    server = JID(None, client.jid.domain, None) if on is None else on
    async with run_command(client, command, on=server) as dialog:
        if not dialog.finished:
            if dialog.form is not None:
                for var, value in values.items():
                    dialog.form[var] = value
            await (dialog.proceed() if dialog.default is not None else dialog.complete())
        if not dialog.finished:
            raise ErroneousStanza(f"the command {command} wants more than one form")
        if any(note.type == NoteType.ERROR for note in dialog.notes):
            raise CommandFailed(dialog.node, dialog.notes)
        return dialog.result


async def add_user(client: Client, account: JID | str, password: str, *, on: JID | str | None = None) -> None:
    """Add an account to the server (§4.1). Raises, and may be cancelled, as `administer`."""
    values = {"accountjid": str(account), "password": password, "password-verify": password}
    await administer(client, AdminCommand.ADD_USER, values, on=on)


async def delete_users(client: Client, accounts: Iterable[JID | str], *, on: JID | str | None = None) -> None:
    """Delete accounts (§4.2). Raises, and may be cancelled, as `administer`.

    Prosody tells of accounts that do not exist in words only, so that is no error there.
    """
    await administer(client, AdminCommand.DELETE_USER, {"accountjids": tuple(map(str, accounts))}, on=on)


async def change_user_password(
    client: Client, account: JID | str, password: str, *, on: JID | str | None = None
) -> None:
    """Give an account another password (§4.7). Raises, and may be cancelled, as `administer`."""
    values = {"accountjid": str(account), "password": password}
    await administer(client, AdminCommand.CHANGE_USER_PASSWORD, values, on=on)


async def registered_user_count(client: Client, *, on: JID | str | None = None) -> int | None:
    """Return how many accounts there are (§4.13); None if the server does not say.

    Raises, and may be cancelled, as `administer`.
    """
    return (await _statistics(client, AdminCommand.GET_REGISTERED_USERS_NUM, on)).registered


async def online_user_count(client: Client, *, on: JID | str | None = None) -> int | None:
    """Return how many accounts are online (§4.15); None if the server does not say.

    Raises, and may be cancelled, as `administer`.
    """
    return (await _statistics(client, AdminCommand.GET_ONLINE_USERS_NUM, on)).online


async def _statistics(client: Client, command: AdminCommand, on: JID | str | None) -> Statistics:
    result = await administer(client, command, {}, on=on)
    if result is None or result.data is None:
        raise ErroneousStanza("the command returned no numbers")
    return Statistics.read(result.data)
