"""Where stanzas go (RFC 6120 §10, RFC 6121 §8)."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping, Sequence

from lxml import etree

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition
from ...jid import JID
from ...protocol import ns
from . import carbons
from .account import Account
from .acknowledgements import Delivery
from .archive import MAM, is_query
from .policy import Policy
from .services import answer
from .session import ServerSession
from .sessions import Sessions
from .stanzas import NAMES, error_for, new_stanza, result_for, text_of

__all__ = ["ServerRouter"]

DELAY = "urn:xmpp:delay"


class ServerRouter:
    """Passes on the stanzas of one server."""

    def __init__(self, domain: str, accounts: Mapping[str, Account], sessions: Sessions, policy: Policy) -> None:
        self._domain = domain
        self._policy = policy
        self._accounts = accounts
        self._sessions = sessions

    def route(self, session: ServerSession, stanza: xml.Element) -> None:
        """Deal with what a client sent; its ``from`` is the session's full JID already."""
        to = stanza.get("to")
        name = NAMES[str(stanza.tag)]
        try:
            target = None if to is None else JID.parse(to)
        except JIDError:
            stanza.set("to", self._domain)  # nobody could read the error if it came from there
            self._refuse(stanza, StanzaCondition.JID_MALFORMED, ErrorType.MODIFY)
            return
        if name == "presence" and target is None:
            self._broadcast(session, stanza)
            return
        if name == "presence":
            self._note_directed(session, stanza, str(target))
        if name == "message" and self._policy.archive:
            self._archive(session, stanza, target or JID.parse(session.account.jid))
        self._dispatch(name, stanza, target or JID.parse(session.account.jid))

    def _dispatch(self, name: str, stanza: xml.Element, target: JID) -> None:
        account = self._accounts.get(target.local or "") if target.domain == self._domain else None
        if target.domain != self._domain:
            self._refuse(stanza, StanzaCondition.REMOTE_SERVER_NOT_FOUND)
        elif target.local is None:
            self._to_server(name, stanza)
        elif account is None:
            self._refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        elif name == "iq":
            self._iq(stanza, target, account)
        elif name == "message":
            self._copy(stanza, self._message(stanza, target, account), account)
        else:
            self._deliver(stanza, self._addressed(target) or (self._available(account) if target.is_bare else []))

    def _to_server(self, name: str, stanza: xml.Element) -> None:
        if name == "message":
            self._refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        elif name == "iq":
            features = (ns.CARBONS,) if self._policy.carbons else ()
            if (reply := answer(stanza, from_=self._domain, features=features)) is not None:
                self._reply(reply)

    # --- IQs

    def _iq(self, stanza: xml.Element, target: JID, account: Account) -> None:
        addressed = self._addressed(target)
        if addressed:
            self._deliver(stanza, addressed)
            return
        sender = stanza.get("from", "").partition("/")[0]
        if not target.is_bare or sender != account.jid:
            self._refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        elif self._policy.carbons and carbons.switch(self._sessions[stanza.get("from", "")], stanza):
            self._reply(result_for(stanza))
        elif self._policy.archive and is_query(stanza):
            for each in account.archive.answer(stanza, account.jid) if self._policy.archive != "silent" else ():
                self._reply(each)
        elif (reply := answer(stanza, from_=None, contacts=account.contacts, features=self._features())) is not None:
            self._reply(reply)

    def _features(self) -> tuple[str, ...]:
        return (MAM,) if self._policy.archive else ()

    def _reply(self, reply: xml.Element) -> None:
        self._deliver(reply, self._addressed(JID.parse(reply.get("to", ""))))

    # --- messages

    def _message(self, stanza: xml.Element, target: JID, account: Account) -> list[ServerSession]:
        """Deliver it, and return to whom."""
        kind = stanza.get("type", "normal")
        addressed = self._addressed(target)
        if addressed or kind == "error":
            return self._deliver(stanza, addressed)
        if kind == "groupchat":
            self._refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
            return []
        if kind == "headline":
            return self._deliver(stanza, self._available(account) if target.is_bare else [])
        return self.to_account(stanza, account)

    def _archive(self, session: ServerSession, stanza: xml.Element, target: JID) -> None:
        """Keep a message for both sides."""
        session.account.archive.keep(stanza, target)
        account = self._accounts.get(target.local or "") if target.domain == self._domain else None
        if account is not None and account is not session.account:
            account.archive.keep(stanza, JID.parse(session.jid))

    def to_account(self, stanza: xml.Element, account: Account) -> list[ServerSession]:
        """Deliver a message to whoever of the account is there, or keep it until somebody is; return to whom.

        Those are the available sessions of the highest priority; or, for clients that never say that they are
        available, the one that was bound last.
        """
        available = self._available(account)
        top = max((session.priority for session in available), default=0)
        there = [session for session in available if session.priority == top]
        unannounced = [session for session in self._sessions.of(account) if session.presence is None]
        if there or unannounced:
            return self._deliver(stanza, there or unannounced[-1:])
        account.offline.append(_delayed(stanza, self._domain))
        return []

    def _copy(self, stanza: xml.Element, delivered: list[ServerSession], recipient: Account) -> None:
        """Deliver copies to others who want to know of a message."""
        sender = self._sessions.get(stanza.get("from", ""))
        got = [*delivered] if sender is None else [*delivered, sender]
        for how, account in (("received", recipient), ("sent", None if sender is None else sender.account)):
            if account is not None:
                for session, carbon in carbons.copies(stanza, how, self._sessions.of(account), got):
                    self._deliver(carbon, [session])
                    got.append(session)

    # --- presence

    def _broadcast(self, session: ServerSession, stanza: xml.Element) -> None:
        kind = stanza.get("type")
        if kind not in (None, "unavailable"):
            return
        before = self._available(session.account)
        initial = session.presence is None and kind is None
        self._announce(session, stanza)
        if kind is None:
            session.presence = stanza
            session.priority = _priority(stanza)
        else:
            session.presence = None
            self._withdraw_directed(session)
        self._deliver(stanza, [session])
        if initial:
            known = [*before, *(each for jid in session.account.contacts for each in self._sessions_of(jid))]
            for other in known:
                if other.presence is not None:
                    self._deliver(self._addressed_to(other.presence, session.jid), [session])
            self._flush_offline(session)

    def _announce(self, session: ServerSession, stanza: xml.Element) -> None:
        """Tell all who see the presence of this session, apart from itself."""
        others = [other for other in self._sessions.of(session.account) if other.presence is not None]
        watchers = [
            each for jid in session.account.contacts for each in self._sessions_of(jid) if each.presence is not None
        ]
        for other in (*others, *watchers):
            if other is not session:
                self._deliver(self._addressed_to(stanza, other.jid), [other])

    def _note_directed(self, session: ServerSession, stanza: xml.Element, to: str) -> None:
        if stanza.get("type") is None:
            session.directed.add(to)
        elif stanza.get("type") == "unavailable":
            session.directed.discard(to)

    def _withdraw_directed(self, session: ServerSession) -> None:
        for to in sorted(session.directed):
            gone = new_stanza("presence", type="unavailable", from_=session.jid, to=to)
            self._dispatch("presence", gone, JID.parse(to))
        session.directed.clear()

    def _flush_offline(self, session: ServerSession) -> None:
        if session.priority < 0:
            return
        waiting, session.account.offline = session.account.offline, []
        for stanza in waiting:
            self._deliver(stanza, [session])

    # --- what becomes of the stanzas of a session that has ended

    def session_ended(self, session: ServerSession, unacked: Sequence[Delivery]) -> None:
        """Tell of its end whoever has to know, and find another place for what its client did not acknowledge."""
        if session.presence is not None:
            session.presence = None
            self._announce(session, new_stanza("presence", type="unavailable", from_=session.jid))
        self._withdraw_directed(session)
        for delivery in unacked:
            stanza = delivery.element
            kind = stanza.get("type", "normal")
            if NAMES[str(stanza.tag)] == "message" and kind in ("chat", "normal") and not carbons.is_copy(stanza):
                self.to_account(_delayed(stanza, self._domain), session.account)
            elif NAMES[str(stanza.tag)] == "iq" and kind in ("get", "set"):
                self._refuse(stanza, StanzaCondition.RECIPIENT_UNAVAILABLE, ErrorType.WAIT)

    # --- the end of every way

    def _addressed(self, target: JID) -> list[ServerSession]:
        session = self._sessions.get(str(target))
        return [] if session is None else [session]

    def _sessions_of(self, jid: str) -> list[ServerSession]:
        account = self._accounts.get(jid.partition("@")[0])
        return [] if account is None else self._sessions.of(account)

    def _available(self, account: Account) -> list[ServerSession]:
        return [s for s in self._sessions.of(account) if s.presence is not None and s.priority >= 0]

    def _addressed_to(self, stanza: xml.Element, to: str) -> xml.Element:
        addressed = copy.copy(stanza)
        addressed.set("to", to)
        return addressed

    def _deliver(self, stanza: xml.Element, sessions: list[ServerSession]) -> list[ServerSession]:
        text = text_of(stanza)
        for session in sessions:
            session.deliver(stanza, text)
        return sessions

    def _refuse(self, stanza: xml.Element, condition: StanzaCondition, type: ErrorType = ErrorType.CANCEL) -> None:
        """Answer with an error, unless errors are not answered (RFC 6120 §8.3.1), nor presence."""
        sender = stanza.get("from")
        if sender is None or stanza.get("type") in ("error", "result") or NAMES[str(stanza.tag)] == "presence":
            return
        self._deliver(error_for(stanza, condition, type, from_=stanza.get("to")), self._addressed(JID.parse(sender)))


def _priority(presence: xml.Element) -> int:
    try:
        return int(presence.findtext(f"{{{ns.CLIENT}}}priority") or 0)
    except ValueError:
        return 0


def _delayed(stanza: xml.Element, domain: str) -> xml.Element:
    """The message, with a note that it is late (XEP-0203), unless it has one."""
    if stanza.find(f"{{{DELAY}}}delay") is not None:
        return stanza
    late = copy.copy(stanza)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    late.append(etree.Element(f"{{{DELAY}}}delay", {"from": domain, "stamp": stamp}, {None: DELAY}))
    return late
