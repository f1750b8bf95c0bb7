"""Blocking on the wire (XEP-0191): the list of an account, its changes, and the pushes that tell all clients of them.

`Account.blocks` decides what an item covers, and the `post` applies it. An account that blocks an address also becomes
unavailable for it, and does not send to it (XEP-0191 §3.4).
"""

from __future__ import annotations

import secrets

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition, XMPPModifyError
from ...jid import JID
from .account import Account
from .post import Post
from .services import Request
from .session import ServerSession
from .stanzas import build, new_stanza

__all__ = ["BLOCKING", "Blocking"]

BLOCKING = "urn:xmpp:blocking"
ERRORS = "urn:xmpp:blocking:errors"

#: XEP-0016, the older lists on which some servers build this one.
#: Reports, which come with a block (XEP-0377).
REPORTING = "urn:xmpp:reporting:1"

PRIVACY = "jabber:iq:privacy"


class Blocking:
    """Answers requests about block lists."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self.reports: list[tuple[str, str, str | None]] = []
        """The address, the reason and the text of each report that was taken; the last `Policy.history`."""
        self._takes_reports = False
        services = post.services
        services.features.domain.features.append(BLOCKING)
        services.add("get", f"{{{BLOCKING}}}blocklist", self._list, "account")
        services.add("set", f"{{{BLOCKING}}}block", self._change, "account")
        services.add("set", f"{{{BLOCKING}}}unblock", self._change, "account")

    def take_reports(self) -> None:
        """Announce that reports are taken, and take them."""
        self._takes_reports = True
        self._post.services.features.domain.features.append(REPORTING)

    def _report(self, item: xml.Element) -> None:
        found = item.find(f"{{{REPORTING}}}report")
        if found is not None and self._takes_reports:
            text = found.findtext(f"{{{REPORTING}}}text")
            self.reports.append((_jid(item), found.get("reason", ""), text))
            del self.reports[: -self._post.policy.history]

    def _list(self, request: Request) -> xml.Element:
        assert request.account is not None
        if request.session is not None:
            request.session.wants_blocklist = True
        return build(BLOCKING, "blocklist", *(_item(jid) for jid in request.account.blocked))

    def _change(self, request: Request) -> xml.Element | None:
        account, blocks = request.account, str(request.payload.tag).endswith("}block")
        assert account is not None
        jids = [_jid(item) for item in request.payload if item.tag == f"{{{BLOCKING}}}item"]
        if blocks and not jids:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        if blocks:
            for item in request.payload:
                self._report(item)
            self._hide(account, jids)
            account.blocked.extend(jid for jid in jids if jid not in account.blocked)
        else:
            account.blocked = [jid for jid in account.blocked if jids and jid not in jids]
        if not self._post.dialect.push_first:
            request.reply()
        self._push(account, blocks, jids)
        return None

    def _hide(self, account: Account, jids: list[str]) -> None:
        """Become unavailable for the contacts that are about to be blocked."""
        for watcher in account.roster.watchers():
            if watcher in jids:
                for session in self._post.available(account):
                    self._post.send(new_stanza("presence", type="unavailable", from_=session.jid, to=watcher))

    def _push(self, account: Account, blocks: bool, jids: list[str]) -> None:
        dialect = self._post.dialect
        listeners = [s for s in self._post.sessions.of(account) if s.wants_blocklist or dialect.block_push_to_all]
        if dialect.pushes_privacy_lists:
            lists = build(PRIVACY, "query", build(PRIVACY, "list", name="Blocked contacts"))
            self._send(account, lists, None, listeners)
        self._send(
            account,
            build(BLOCKING, "block" if blocks else "unblock", *map(_item, jids)),
            dialect.block_push_id,
            listeners,
        )

    def _send(self, account: Account, payload: xml.Element, id: str | None, sessions: list[ServerSession]) -> None:
        push = new_stanza("iq", type="set", id=id or secrets.token_hex(6))
        push.append(payload)
        if self._post.dialect.push_addressed:
            push.set("from", account.jid)
        self._post.deliver_to(push, sessions)

    def refuse_outbound(self, session: ServerSession, stanza: xml.Element) -> bool:
        """Refuse a stanza to an address that its sender blocks; False if it does not block it."""
        if not session.account.blocks(stanza.get("to", "")):
            return False
        marked = self._post.dialect.blocked_element
        self._post.refuse(
            stanza,
            StanzaCondition.NOT_ACCEPTABLE,
            ErrorType.CANCEL if marked else ErrorType.MODIFY,
            application=build(ERRORS, "blocked") if marked else None,
        )
        return True


def _item(jid: str) -> xml.Element:
    return build(BLOCKING, "item", jid=jid)


def _jid(item: xml.Element) -> str:
    try:
        return str(JID.parse(item.get("jid", "")))
    except JIDError:
        raise XMPPModifyError(StanzaCondition.JID_MALFORMED) from None
