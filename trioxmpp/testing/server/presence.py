"""Presence and subscriptions of the users of the domain (RFC 6121 §3, §4).

A client's presence without a ``to`` goes to its own other sessions and to the contacts that see it. The first one of a
session also asks for what the others are (§4.3, a probe). Presence of one of the four subscription types changes the
state of both rosters on its way: that of the sender when it leaves (`Presences.leaves`), that of the recipient when it
arrives (`Presences.arrives`). Its sender is the bare JID (§3.1.2).
"""

from __future__ import annotations

import copy

from ... import xml
from ...jid import JID
from ...protocol import ns
from .account import Account
from .pep import Pep
from .post import Post
from .pushes import RosterPushes
from .roster import Item
from .session import ServerSession
from .stanzas import delay, new_stanza

__all__ = ["SUBSCRIPTION_TYPES", "Presences"]

SUBSCRIPTION_TYPES = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


class Presences:
    """Decides which users see whose presence."""

    def __init__(self, post: Post, pushes: RosterPushes, pep: Pep) -> None:
        self._post = post
        self._pep = pep
        self._pushes = pushes
        self._dialect = post.dialect

    # --- broadcasts

    def broadcast(self, session: ServerSession, stanza: xml.Element) -> None:
        """Deal with presence that has no ``to`` (RFC 6121 §4.2, §4.4, §4.5)."""
        kind = stanza.get("type")
        if kind not in (None, "unavailable"):
            return
        initial = session.presence is None and kind is None
        self.announce(session, stanza)
        if kind is None:
            session.announced(stanza)
        else:
            session.presence = None
            self.withdraw_directed(session)
        (self._post.deliver_to if self._dialect.presence_addressed else self._post.deliver)(stanza, [session])
        if initial:
            self._begin(session)
        if kind is None:
            self._pep.present(session)

    def announce(self, session: ServerSession, stanza: xml.Element) -> None:
        """Tell all that see the presence of this session, apart from itself."""
        account = session.account
        for other in self._available(account):
            if other is not session:
                self._post.deliver_to(stanza, [other])
        for jid in account.roster.watchers():
            if not account.blocks(jid):
                self._to_contact(stanza, session, jid)

    def _to_contact(self, stanza: xml.Element, session: ServerSession, jid: str) -> None:
        contact = self._post.account(jid)
        if contact is None or contact.blocks(session.jid):
            return
        for other in self._available(contact):
            if self._dialect.presence_addressed:
                self._post.deliver_to(stanza, [other])
            else:
                addressed = copy.deepcopy(stanza)
                addressed.set("to", jid)
                self._post.deliver(addressed, [other])

    def _begin(self, session: ServerSession) -> None:
        """Show a session that has become available what the others are, and what has waited for it."""
        account = session.account
        for other in self._available(account):
            if other is not session and other.presence is not None:
                self._post.deliver_to(self._probed(other), [session])
        for jid in account.roster.watched():
            contact = self._post.account(jid)
            if contact is not None and not contact.blocks(account.jid):
                for other in self._available(contact):
                    self._post.deliver_to(self._probed(other), [session])
        for item in account.roster.requests():
            self._post.deliver(item, [session])
        self._post.flush_offline(session)

    def _probed(self, session: ServerSession) -> xml.Element:
        """Return the presence of a session, as the answer to a probe."""
        assert session.presence is not None
        presence = copy.deepcopy(session.presence)
        if self._dialect.probe_delay is not None and presence.find(f"{{{ns.DELAY}}}delay") is None:
            presence.append(delay(self._post.domain, session.presence_stamp))
        return presence

    def _available(self, account: Account) -> list[ServerSession]:
        return [session for session in self._post.sessions.of(account) if session.presence is not None]

    # --- directed presence

    def direct(self, session: ServerSession, stanza: xml.Element, to: JID) -> None:
        """Deal with presence that has a ``to``; note who has to hear of the end of the session (RFC 6121 §4.6)."""
        kind = stanza.get("type")
        if kind in SUBSCRIPTION_TYPES:
            self.leaves(session.account, stanza, to.bare)
            return
        if kind == "probe":
            self._probe(session, to)
            return
        if kind is None:
            session.directed.add(str(to))
        elif kind == "unavailable":
            session.directed.discard(str(to))
        self._post.send(stanza)

    def withdraw_directed(self, session: ServerSession) -> None:
        """Tell those who got directed presence that the session is unavailable."""
        for to in sorted(session.directed):
            self._post.send(new_stanza("presence", type="unavailable", from_=session.jid, to=to))
        session.directed.clear()

    def _probe(self, session: ServerSession, to: JID) -> None:
        """Answer a client that asks for presence, if it may see it (RFC 6121 §4.3.2)."""
        contact = self._post.account(to)
        if contact is None:
            return
        item = contact.roster.get(session.account.jid)
        if contact is session.account or (item is not None and item.subscription.from_):
            for other in self._available(contact):
                self._post.deliver_to(self._probed(other), [session])

    def ended(self, session: ServerSession) -> None:
        """Tell all that have to know that a session has ended."""
        if session.presence is not None:
            session.presence = None
            self.announce(session, new_stanza("presence", type="unavailable", from_=session.jid))
        self.withdraw_directed(session)

    # --- subscriptions

    def leaves(self, account: Account, stanza: xml.Element, to: JID) -> None:
        """Change the roster of the sender of a subscription stanza, and send it (RFC 6121 §3.1.2, §3.1.5, A.2)."""
        kind, jid = stanza.get("type"), str(to)
        stanza = copy.deepcopy(stanza)
        stanza.set("from", account.jid)
        stanza.set("to", jid)
        item = account.roster.item(jid)
        before, was_seen = str(item.element().attrib), item.subscription.from_
        if kind == "subscribe":
            item.listed, item.ask = True, not item.subscription.to
        elif kind == "subscribed":
            if item.pending_in is not None:
                item.listed, item.subscription.from_, item.pending_in = True, True, None
            elif not item.subscription.from_:
                item.listed, item.approved = True, True
        elif kind == "unsubscribe":
            item.subscription.to, item.ask = False, False
        else:
            item.subscription.from_, item.pending_in, item.approved = False, None, False
        changed = before != str(item.element().attrib)
        if changed and item.listed:
            self._pushes.push(account, item)
        if kind == "subscribed" and not item.subscription.from_:
            return  # approved beforehand: the contact hears nothing (RFC 6121 §3.4.2)
        self._arrive(stanza, account, to)
        if kind == "subscribed" or was_seen:
            self._show(account, jid, kind)

    def cancel(self, account: Account, item: Item) -> None:
        """End both directions of the subscription with a contact that is removed (RFC 6121 §2.5.1)."""
        to = JID.parse(item.jid)
        if item.subscription.to or item.ask:
            self.leaves(account, new_stanza("presence", type="unsubscribe"), to)
        if item.subscription.from_ or item.pending_in is not None:
            self.leaves(account, new_stanza("presence", type="unsubscribed"), to)

    def _show(self, account: Account, jid: str, kind: str | None) -> None:
        """Give a contact that may see the account from now on its presence, or end what it saw."""
        for session in self._available(account):
            if kind == "subscribed" and session.presence is not None:
                self._to_contact(self._probed(session), session, jid)
            elif kind == "unsubscribed":
                gone = new_stanza("presence", type="unavailable", from_=session.jid)
                self._to_contact(gone, session, jid)

    def _arrive(self, stanza: xml.Element, sender: Account, to: JID) -> None:
        contact = self._post.account(to)
        if contact is None:
            self._post.send(stanza)  # a service, or nothing
        elif not contact.blocks(sender.jid):
            self.arrives(stanza, sender, contact)

    def arrives(self, stanza: xml.Element, sender: Account, account: Account) -> None:
        """Change the roster of the recipient of a subscription stanza, and deliver it (RFC 6121 §3.1.3, A.3)."""
        kind, item = stanza.get("type"), account.roster.item(sender.jid)
        if kind == "subscribe":
            self._requested(stanza, sender, account, item)
        elif kind == "subscribed" and item.ask:
            item.ask, item.subscription.to = False, True
            self._tell(stanza, account, item)
        elif kind == "unsubscribe" and (item.subscription.from_ or item.pending_in is not None):
            was_seen, item.subscription.from_, item.pending_in = item.subscription.from_, False, None
            self._tell(stanza, account, item)
            if was_seen:
                self._show(account, sender.jid, "unsubscribed")
        elif kind == "unsubscribed" and (item.subscription.to or item.ask):
            item.subscription.to, item.ask = False, False
            self._tell(stanza, account, item)

    def _requested(self, stanza: xml.Element, sender: Account, account: Account, item: Item) -> None:
        if item.subscription.from_ or item.approved:  # answered for the user (RFC 6121 §3.1.3)
            if not item.subscription.from_:
                item.subscription.from_, item.approved = True, False
                self._pushes.push(account, item)
            self.arrives(new_stanza("presence", type="subscribed", from_=account.jid, to=sender.jid), account, sender)
            self._show(account, sender.jid, "subscribed")
            return
        item.pending_in = stanza
        if self._dialect.unavailable_on_subscribe:
            gone = new_stanza("presence", type="unavailable", from_=account.jid, to=sender.jid)
            self._post.deliver(gone, self._available(sender))
        self._deliver(stanza, account)

    def _tell(self, stanza: xml.Element, account: Account, item: Item) -> None:
        """Deliver the stanza, and push the item."""
        if self._dialect.push_first and item.listed:
            self._pushes.push(account, item)
        self._deliver(stanza, account)
        if not self._dialect.push_first and item.listed:
            self._pushes.push(account, item)

    def _deliver(self, stanza: xml.Element, account: Account) -> None:
        sessions = self._available(account)
        (self._post.deliver_to if self._dialect.presence_addressed else self._post.deliver)(stanza, sessions)
