"""In-band registration (XEP-0077): new accounts before the login; another password, or the end, after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ... import xml
from ...errors import (
    JIDError,
    StanzaCondition,
    StreamCondition,
    StreamError,
    XMPPAuthError,
    XMPPCancelError,
    XMPPError,
    XMPPModifyError,
)
from .account import Account
from .dialect import Dialect
from .forms import form, read_form
from .policy import Policy
from .post import Post
from .services import Request
from .stanzas import build

__all__ = ["FEATURE", "REGISTER", "STRANGERS_MAY", "TOKEN_FEATURE", "Registration", "Stranger"]

REGISTER = "jabber:iq:register"
FEATURE = "<register xmlns='http://jabber.org/features/iq-register'/>"

TOKEN_FEATURE = "<register xmlns='urn:xmpp:invite'/>"

_QUERY = f"{{{REGISTER}}}query"
_PREAUTH = "{urn:xmpp:pars:0}preauth"

#: The requests that a client may make before it logs in.
STRANGERS_MAY = (_QUERY, _PREAUTH)


class AccountList(Protocol):
    """Creates accounts."""

    policy: Policy
    dialect: Dialect
    accounts: Mapping[str, Account]

    def add_account(self, name: str, password: str) -> Account:
        """Create an account. Raises JIDError."""
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


class Stranger:
    """One client that has not logged in: describes the registration to it, and creates an account."""

    def __init__(self, host: AccountList) -> None:
        self._host = host
        self._has_token = False

    def answer(self, request: Request) -> None:
        """Answer a request of the client."""
        try:
            request.reply(self._answer(request))
        except XMPPError as error:
            request.refuse(error)

    def _answer(self, request: Request) -> xml.Element | None:
        token = self._host.policy.registration_token
        if request.payload.tag == _PREAUTH:
            if request.payload.get("token") != token:
                forbidden = self._host.dialect.invitation_forbidden
                raise XMPPCancelError(StanzaCondition.FORBIDDEN if forbidden else StanzaCondition.ITEM_NOT_FOUND)
            self._has_token = True
            return None
        if request.kind == "get":
            return _form(self._host.dialect)
        if token is not None and not self._has_token:
            if self._host.dialect.invitation_forbidden:
                raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE, "an invitation is needed")
            raise XMPPAuthError(StanzaCondition.NOT_ALLOWED, "an invitation is needed")
        name, password = _credentials(request.payload)
        if not name or not password:
            raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE)
        if name in self._host.accounts:
            raise XMPPCancelError(StanzaCondition.CONFLICT)
        try:
            self._host.add_account(name, password)
        except JIDError:
            raise XMPPModifyError(StanzaCondition.JID_MALFORMED) from None
        return None


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
