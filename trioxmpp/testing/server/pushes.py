"""Roster pushes (RFC 6121 §2.1.6): how all clients of an account hear of a change."""

from __future__ import annotations

import secrets

from .account import Account
from .post import Post
from .roster import ROSTER, Item
from .stanzas import build, new_stanza

__all__ = ["RosterPushes"]


class RosterPushes:
    """Sends roster pushes to the sessions that asked for the roster."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._dialect = post.dialect

    def push(self, account: Account, item: Item, *, removed: bool = False) -> None:
        """Tell the sessions of `account` that asked for the roster of a change of `item` (RFC 6121 §2.1.6)."""
        account.roster.changed()
        element = build(ROSTER, "item", jid=item.jid, subscription="remove") if removed else item.element()
        version = account.roster.version(self._dialect.roster_version) if self._post.policy.roster_versions else None
        query = build(ROSTER, "query", element, ver=version)
        push = new_stanza("iq", type="set", id=secrets.token_hex(6))
        push.append(query)
        interested = [session for session in self._post.sessions.of(account) if session.wants_roster]
        if self._dialect.push_addressed:
            push.set("from", account.jid)
            self._post.deliver_to(push, interested)
        else:
            self._post.deliver(push, interested)
