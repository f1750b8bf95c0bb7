"""In-band registration (XEP-0077): new accounts before the login; another password, or the end, after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ... import xml
from ...errors import (
    JIDError,
    StanzaCondition,
    StreamCondition,
    StreamError,
    XMPPCancelError,
    XMPPError,
    XMPPModifyError,
)
from .account import Account
from .dialect import Dialect
from .forms import form, read_form
from .post import Post
from .services import Request
from .stanzas import build

__all__ = ["FEATURE", "REGISTER", "Registration", "answer_stranger"]

REGISTER = "jabber:iq:register"
FEATURE = "<register xmlns='http://jabber.org/features/iq-register'/>"

_QUERY = f"{{{REGISTER}}}query"


class AccountList(Protocol):
    """Creates and removes accounts."""

    def add_account(self, name: str, password: str) -> Account:
        """Create an account. Raises JIDError."""
        ...

    def remove_account(self, name: str) -> None:
        """Remove an account."""
        ...


class Registration:
    """Answers users who are logged in."""

    def __init__(self, post: Post, remove: Callable[[str], None]) -> None:
        self._post = post
        self._remove = remove
        post.services.features.domain.features.append(REGISTER)
        for at in ("account", "domain"):
            post.services.add("get", _QUERY, self._describe, at)
            post.services.add("set", _QUERY, self._change, at)

    def _account(self, request: Request) -> Account:
        account = self._post.account(request.sender)
        if account is None:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return account

    def _describe(self, request: Request) -> xml.Element:
        name = self._account(request).jid.partition("@")[0]
        parts = build(REGISTER, "registered"), build(REGISTER, "username", text=name), build(REGISTER, "password")
        return build(REGISTER, "query", *parts)

    def _change(self, request: Request) -> xml.Element | None:
        account = self._account(request)
        name = account.jid.partition("@")[0]
        if request.payload.find(f"{{{REGISTER}}}remove") is not None:
            request.reply()
            gone = StreamError(StreamCondition.NOT_AUTHORIZED, "Account deleted", by_us=True)
            for session in self._post.sessions.of(account):
                self._post.sessions.end(session, gone)
            self._remove(name)
            return None
        asked, password = _credentials(request.payload)
        if asked != name or not password:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        account.change_password(password)
        return None


def answer_stranger(request: Request, accounts: AccountList, known: Callable[[str], bool], dialect: Dialect) -> None:
    """Answer a client that has not logged in: describe the registration, or create an account."""
    try:
        if request.kind == "get":
            request.reply(_form(dialect))
            return
        name, password = _credentials(request.payload)
        if not name or not password:
            raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE)
        if known(name):
            raise XMPPCancelError(StanzaCondition.CONFLICT)
        try:
            accounts.add_account(name, password)
        except JIDError:
            raise XMPPModifyError(StanzaCondition.JID_MALFORMED) from None
        request.reply()
    except XMPPError as error:
        request.refuse(error)


def _form(dialect: Dialect) -> xml.Element:
    fields = build(REGISTER, "username"), build(REGISTER, "password")
    instructions = build(REGISTER, "instructions", text="Choose a username and password for this server")
    types = {"username": "text-single", "password": "text-private"}
    shown = form("form", REGISTER, dict.fromkeys(types), types) if dialect.registration_form else None
    return build(REGISTER, "query", instructions, *fields, shown)


def _credentials(payload: xml.Element) -> tuple[str, str]:
    """Return user name and password, from the form if there is one."""
    fields = read_form(payload)
    found = [
        next(iter(fields.get(name, [])), None) or payload.findtext(f"{{{REGISTER}}}{name}") or ""
        for name in ("username", "password")
    ]
    return found[0], found[1]
