"""Service administration (XEP-0133): commands by which some users add, change and delete accounts.

Prosody finishes a command that failed and says why in a note; ejabberd answers with an error
(`Dialect.commands_fail_by_notes`). It also counts users, which Prosody does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import JIDError, StanzaCondition, XMPPCancelError
from ...jid import JID
from .commands import Command, Commands, Forms, Stage
from .forms import form
from .post import Post

__all__ = ["Administration"]

ADMIN = "http://jabber.org/protocol/admin"
ACCOUNT = {"accountjid": "jid-single", "password": "text-private"}
TITLES = {"add-user": "Add User", "change-user-password": "Change User Password", "delete-user": "Delete User"}


class Administration:
    """The commands for administrators of one server."""

    def __init__(
        self, post: Post, commands: Commands, add: Callable[[str, str], Any], remove: Callable[[str], None]
    ) -> None:
        self._post = post
        self._commands = commands
        self._add_account = add
        self._remove_account = remove

    def serve(self, *administrators: str) -> None:
        """Offer the commands to these users; others may not execute them."""
        allowed = {f"{name}@{self._post.domain}" for name in administrators}

        def may(sender: str) -> bool:
            return sender.partition("/")[0] in allowed

        self._commands.restrict(ADMIN, may)
        self._offer("add-user", {**ACCOUNT, "password-verify": "text-private"}, self._add)
        self._offer("change-user-password", ACCOUNT, self._change)
        self._offer("delete-user", {"accountjids": "jid-multi"}, self._delete)
        if self._post.dialect.counts_users:
            self._offer_count("registered", lambda: len(self._post.accounts))
            self._offer_count("online", lambda: len(self._post.sessions))

    def _offer(self, name: str, fields: dict[str, str], act: Callable[[dict[str, list[str]]], str]) -> None:
        def command(forms: Forms) -> Stage:
            if not forms:
                return Stage(form=form("form", ADMIN, dict.fromkeys(fields), fields), last=True)
            try:
                note = act(forms[0])
            except _Failed as failed:
                if self._post.dialect.commands_fail_by_notes:
                    return Stage(note=str(failed), failed=True, done=True)
                raise XMPPCancelError(failed.condition, failed.text) from None
            return Stage(note=note if self._post.dialect.commands_fail_by_notes else None, done=True)

        self._commands.add(f"{ADMIN}#{name}", TITLES[name], command)

    def _offer_count(self, which: str, count: Callable[[], int]) -> None:
        def command(forms: Forms) -> Stage:
            # Its type should be "result".
            return Stage(form=form("form", ADMIN, {f"{which}usersnum": str(count())}), done=True)

        name: Command = command
        self._commands.add(f"{ADMIN}#get-{which}-users-num", f"Get Number of {which.title()} Users", name)

    # --- the commands

    def _add(self, fields: dict[str, list[str]]) -> str:
        name, domain = _address(fields)
        password = _first(fields, "password")
        if domain != self._post.domain:
            raise _Failed(f"Trying to add a user on {domain} but command was sent to {self._post.domain}")
        if not name or password != _first(fields, "password-verify"):
            raise _Failed("Invalid data.\nPassword mismatch, or empty username")
        if name in self._post.accounts:
            raise _Failed("Account already exists", StanzaCondition.CONFLICT, None)
        self._add_account(name, password)
        return "Account successfully created"

    def _change(self, fields: dict[str, list[str]]) -> str:
        name, domain = _address(fields)
        if domain != self._post.domain or name not in self._post.accounts:
            raise _Failed("User does not exist")
        self._post.accounts[name].change_password(_first(fields, "password"))
        return "Password successfully changed"

    def _delete(self, fields: dict[str, list[str]]) -> str:
        there = [jid for jid in fields.get("accountjids", []) if self._post.account(jid) is not None]
        missing = [jid for jid in fields.get("accountjids", []) if jid not in there]
        if missing and not self._post.dialect.commands_fail_by_notes:
            raise _Failed("")
        for jid in there:
            self._remove_account(jid.partition("@")[0])
        # Prosody does not call it an error.
        told = [("were successfully deleted", there), ("could not be deleted", missing)]
        notes = ["\n".join([f"The following accounts {what}:", *jids]) for what, jids in told if jids]
        return "\n".join(notes) + ("\n" if there and not missing else "")


class _Failed(Exception):
    """A command did not do what it is for: the note of Prosody, and the error of ejabberd."""

    def __init__(
        self,
        note: str,
        condition: StanzaCondition = StanzaCondition.ITEM_NOT_FOUND,
        text: str | None = "No hook has processed this command",
    ) -> None:
        self.condition = condition
        self.text = text
        super().__init__(note)


def _first(fields: dict[str, list[str]], name: str) -> str:
    return next(iter(fields.get(name, [])), "")


def _address(fields: dict[str, list[str]]) -> tuple[str, str]:
    try:
        jid = JID.parse(_first(fields, "accountjid"))
    except JIDError:
        return "", ""
    return jid.local or "", jid.domain
