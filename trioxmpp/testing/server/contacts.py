"""Rosters on the wire (RFC 6121 §2): the list, its changes, and the pushes that tell all clients of them."""

from __future__ import annotations

from ... import xml
from ...errors import JIDError, StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPModifyError
from ...jid import JID
from .account import Account
from .post import Post
from .presence import Presences
from .pushes import RosterPushes
from .roster import ROSTER
from .services import Request
from .session import ServerSession
from .stanzas import build

__all__ = ["Contacts"]

_QUERY = f"{{{ROSTER}}}query"
_ITEM = f"{{{ROSTER}}}item"
_GROUP = f"{{{ROSTER}}}group"


class Contacts:
    """Answers requests for the roster."""

    def __init__(self, post: Post, pushes: RosterPushes, presences: Presences) -> None:
        self._post = post
        self._pushes = pushes
        self._presences = presences
        self._dialect = post.dialect
        services = post.services
        services.features.domain.features.append(ROSTER)
        services.add("get", _QUERY, self._get, "account")
        services.add("set", _QUERY, self._set, "account")
        services.add("set", _QUERY, self._set_of_another, "others")

    def _get(self, request: Request) -> xml.Element | None:
        account = _asked(request)
        _session(request).wants_roster = True
        known = request.payload.get("ver")
        version: str | None = account.roster.version(self._dialect.roster_version)
        if not self._post.policy.roster_versions:
            version = None
        elif known is not None and known == version:
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
        if not removed:
            item.listed, item.name = True, change.get("name") or None
            item.groups = tuple(group.text or "" for group in change.iterchildren(_GROUP))
        if not self._dialect.push_first:
            request.reply()
        if removed:
            item.listed = False
            self._presences.cancel(account, item)
            account.roster.discard(jid)
        self._pushes.push(account, item, removed=removed)
        return None

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
