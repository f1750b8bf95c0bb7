"""Rosters on the wire (RFC 6121 §2): the list, its changes, and the pushes that tell all clients of them."""

from __future__ import annotations

import secrets

from ... import xml
from ...errors import JIDError, StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPModifyError
from ...jid import JID
from .account import Account
from .post import Post
from .roster import ROSTER, Item
from .services import Request
from .session import ServerSession
from .stanzas import build, new_stanza

__all__ = ["Contacts"]

_QUERY = f"{{{ROSTER}}}query"
_ITEM = f"{{{ROSTER}}}item"
_GROUP = f"{{{ROSTER}}}group"


class Contacts:
    """Answers requests for the roster, and pushes its changes to the sessions that asked for it."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._dialect = post.dialect
        services = post.services
        services.features.domain.features.append(ROSTER)
        services.add("get", _QUERY, self._get, "account")
        services.add("set", _QUERY, self._set, "account")
        services.add("set", _QUERY, self._set_of_another, "others")

    def push(self, account: Account, item: Item, *, removed: bool = False) -> None:
        """Tell the sessions of `account` that asked for the roster of a change of `item` (RFC 6121 §2.1.6)."""
        account.roster.changed()
        element = build(ROSTER, "item", jid=item.jid, subscription="remove") if removed else item.element()
        query = build(ROSTER, "query", element, ver=account.roster.version(self._dialect.roster_version))
        push = new_stanza("iq", type="set", id=secrets.token_hex(6))
        push.append(query)
        interested = [session for session in self._post.sessions.of(account) if session.wants_roster]
        if self._dialect.push_addressed:
            push.set("from", account.jid)
            self._post.deliver_to(push, interested)
        else:
            self._post.deliver(push, interested)

    def _get(self, request: Request) -> xml.Element | None:
        account = _asked(request)
        _session(request).wants_roster = True
        known, version = request.payload.get("ver"), account.roster.version(self._dialect.roster_version)
        if known is not None and known == version:
            return None  # the client has it (RFC 6121 §2.6.3)
        shown = None if known is None and self._dialect.roster_version == "hash" else version
        return build(ROSTER, "query", *(item.element() for item in account.roster), ver=shown)

    def _set(self, request: Request) -> xml.Element | None:
        account, change = _asked(request), _change(request, full_jids=self._dialect.full_jid_contacts)
        jid = change.get("jid", "")
        removed = change.get("subscription") == "remove"
        known = account.roster.get(jid)
        if removed and (known is None or not known.listed):
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        item = account.roster.item(jid)
        if removed:
            account.roster.discard(jid)
        else:
            item.listed, item.name = True, change.get("name") or None
            item.groups = tuple(group.text or "" for group in change.iterchildren(_GROUP))
        if not self._dialect.push_first:
            request.reply()
        self.push(account, item, removed=removed)
        if removed:
            self._unsubscribe(account, item)
        return None

    def _unsubscribe(self, account: Account, item: Item) -> None:
        """Cancel both directions of the subscription of a removed contact (RFC 6121 §2.5.1)."""
        if item.subscription.to or item.ask:
            self._post.send(new_stanza("presence", type="unsubscribe", from_=account.jid, to=item.jid))
        if item.subscription.from_:
            for session in self._post.available(account):
                self._post.send(new_stanza("presence", type="unavailable", from_=session.jid, to=item.jid))
            self._post.send(new_stanza("presence", type="unsubscribed", from_=account.jid, to=item.jid))

    def _set_of_another(self, request: Request) -> xml.Element | None:
        if self._dialect.full_jid_contacts:
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)


def _asked(request: Request) -> Account:
    assert request.account is not None
    return request.account


def _session(request: Request) -> ServerSession:
    assert request.session is not None
    return request.session


def _change(request: Request, *, full_jids: bool) -> xml.Element:
    """Return the one item of a set, its JID in canonical form. Raises XMPPModifyError."""
    items = [child for child in request.payload if child.tag == _ITEM]
    try:
        (item,) = items
        jid = JID.parse(item.get("jid", ""))
    except (ValueError, JIDError):
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST) from None
    if not jid.is_bare and not full_jids:
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
    item.set("jid", str(jid))
    return item
