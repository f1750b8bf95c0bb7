"""The post: how a stanza reaches the users of the domain (RFC 6121 §8), from any sender.

A stanza comes here from a client, by way of the `router`, or from a service of the server: a room, a roster. It goes to
one of four places: a session, all sessions of an account, a function that answers for the server (`services`), or a
service with a domain of its own (`Post.hosts`). Each account may refuse it (XEP-0191), keep it (XEP-0313), and have
copies of it (XEP-0280).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition
from ...jid import JID
from ...protocol import ns
from . import carbons
from .account import Account
from .acknowledgements import Delivery
from .dialect import Dialect
from .policy import Policy
from .services import At, Request, Services
from .session import ServerSession
from .sessions import Sessions
from .stanzas import NAMES, delay, error_for, now, text_of

__all__ = ["Post"]


class Post:
    """Delivers the stanzas of one server."""

    def __init__(
        self,
        domain: str,
        accounts: Mapping[str, Account],
        sessions: Sessions,
        policy: Policy,
        dialect: Dialect,
        services: Services,
    ) -> None:
        self.domain = domain
        self.accounts = accounts
        self.sessions = sessions
        self.policy = policy
        self.dialect = dialect
        self.services = services
        self.hosts: dict[str, Callable[[xml.Element], None]] = {}
        """The services with a domain of their own, by domain."""
        self.waits: list[Callable[[Account, xml.Element], None]] = []
        """The functions that are told of each message that waits until a client of its account comes."""

    # --- the places

    def account(self, jid: JID | str) -> Account | None:
        """Return the account that has this address, without or with a resource."""
        local, _, rest = str(jid).partition("@")
        return self.accounts.get(local) if rest.partition("/")[0] == self.domain else None

    def sessions_of(self, jid: JID | str) -> list[ServerSession]:
        """Return the sessions of the account with this address."""
        account = self.account(jid)
        return [] if account is None else self.sessions.of(account)

    def available(self, account: Account) -> list[ServerSession]:
        """Return the sessions that messages to the bare JID may go to: available, with a priority of 0 or more."""
        return [s for s in self.sessions.of(account) if s.presence is not None and s.priority >= 0]

    # --- sending

    def send(self, stanza: xml.Element, target: JID | None = None) -> list[ServerSession]:
        """Bring `stanza` to `target`, or else to its ``to``; return the sessions that got it.

        The ``from`` is taken as it is.
        """
        try:
            target = target or JID.parse(stanza.get("to", ""))
        except JIDError:
            return []
        name = NAMES[str(stanza.tag)]
        if target.domain != self.domain:
            if (host := self.hosts.get(target.domain)) is None:
                self.refuse(stanza, StanzaCondition.REMOTE_SERVER_NOT_FOUND)
            else:
                host(stanza)
            return []
        account = self.account(target)
        if target.local is None:
            self._to_server(name, stanza)
        elif account is None and name == "iq" and target.is_bare:
            self._answer(stanza, "unknown", None)
        elif account is None:
            self.refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        elif account.blocks(stanza.get("from", "")) and stanza.get("type") not in ("error", "result"):
            if self.dialect.blocked_answered or name == "iq":  # XEP-0191 §3.2: an IQ has to be answered
                self.refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        elif name == "iq":
            self._iq(stanza, target, account)
        elif name == "message":
            return self._message(stanza, target, account)
        else:
            return self.deliver(stanza, self._addressed(target) or self._all(target, account))
        return []

    def deliver(self, stanza: xml.Element, sessions: Sequence[ServerSession]) -> list[ServerSession]:
        """Write `stanza` to these sessions as it is."""
        text = text_of(stanza)
        for session in sessions:
            session.deliver(stanza, text)
        return [*sessions]

    def hand_over(self, stanza: xml.Element) -> None:
        """Write `stanza` to the session whose full JID is its ``to``: no archive, no block list, no error."""
        session = self.sessions.get(stanza.get("to", ""))
        if session is not None:
            self.deliver(stanza, [session])

    def deliver_to(self, stanza: xml.Element, sessions: Sequence[ServerSession]) -> None:
        """Write a copy of `stanza` to each of these sessions, addressed to it."""
        for session in sessions:
            addressed = copy.deepcopy(stanza)
            addressed.set("to", session.jid)
            self.deliver(addressed, [session])

    def refuse(
        self,
        stanza: xml.Element,
        condition: StanzaCondition,
        type: ErrorType = ErrorType.CANCEL,
        *,
        text: str | None = None,
        application: xml.Element | None = None,
    ) -> None:
        """Answer with an error; but errors and results are not answered (RFC 6120 §8.3.1), and presence is not."""
        if stanza.get("from") is None or stanza.get("type") in ("error", "result"):
            return
        if NAMES[str(stanza.tag)] != "presence":
            echo, from_ = self.dialect.echoes_request, stanza.get("to")
            self.send(error_for(stanza, condition, type, from_=from_, echo=echo, text=text, application=application))

    # --- the domain, and IQs

    def _to_server(self, name: str, stanza: xml.Element) -> None:
        if name == "message":
            self.refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        elif name == "iq":
            self._answer(stanza, "domain", None)

    def _iq(self, stanza: xml.Element, target: JID, account: Account) -> None:
        if stanza.get("type") in ("result", "error") and self.services.hear(stanza):
            return  # the server asked, in the name of one of its users
        if addressed := self._addressed(target):
            self.deliver(stanza, addressed)
        elif not target.is_bare:
            self.refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
        else:
            own = stanza.get("from", "").partition("/")[0] == account.jid
            self._answer(stanza, "account" if own else "others", account)

    def _answer(self, stanza: xml.Element, at: At, account: Account | None) -> None:
        kind = stanza.get("type")
        if kind in ("result", "error"):
            self.services.hear(stanza)  # else nothing asked for it
        elif kind not in ("get", "set") or len(stanza) != 1:
            self.refuse(stanza, StanzaCondition.BAD_REQUEST, ErrorType.MODIFY)
        else:
            session = self.sessions.get(stanza.get("from", ""))
            self.services.handle(Request(stanza, at, account, session, self.dialect, self.send))

    # --- messages

    def _message(self, stanza: xml.Element, target: JID, account: Account) -> list[ServerSession]:
        kind = stanza.get("type", "normal")
        if self.policy.archive and kind != "groupchat":
            other = JID.parse(stanza.get("from", ""))
            lag = self.dialect.archive_lag if self.sessions.of(account) else 0.0
            stanza = account.archive.keep(stanza, other, account.jid, self.dialect, forge=self.policy.forge, lag=lag)
        addressed = self._addressed(target)
        if addressed or kind == "error":
            delivered = self.deliver(stanza, addressed)
        elif kind == "groupchat":
            self.refuse(stanza, StanzaCondition.SERVICE_UNAVAILABLE)
            return []
        elif kind == "headline":
            delivered = self.deliver(stanza, self.available(account) if target.is_bare else [])
        else:
            delivered = self.to_account(stanza, account)
        self.copy("received", stanza, account, delivered)
        return delivered

    def to_account(self, stanza: xml.Element, account: Account) -> list[ServerSession]:
        """Deliver a message to the account, or keep it until a session of it is available; return who got it.

        It goes to the available sessions of the highest priority; or, for clients that never send presence, to the
        session that was bound last.
        """
        available = self.available(account)
        top = max((session.priority for session in available), default=0)
        there = [session for session in available if session.priority == top]
        unannounced = [session for session in self.sessions.of(account) if session.presence is None]
        if there or unannounced:
            return self.deliver(stanza, there or unannounced[-1:])
        account.offline.append(delayed(stanza, self.domain))
        for told in self.waits:
            told(account, stanza)
        return []

    def copy(self, how: str, stanza: xml.Element, account: Account, without: Sequence[ServerSession]) -> None:
        """Give the other sessions of `account` their copies of a message that it sent or received (XEP-0280)."""
        forge = self.dialect.carbons_of_carbons or self.policy.forge
        for session, carbon in carbons.copies(stanza, how, self.sessions.of(account), without, nested=forge):
            self.deliver(carbon, [session])

    def flush_offline(self, session: ServerSession) -> None:
        """Deliver the messages that waited for `session` to become available."""
        if session.priority >= 0:
            waiting, session.account.offline = session.account.offline, []
            for stanza in waiting:
                self.deliver(stanza, [session])

    def return_unacked(self, session: ServerSession, unacked: Sequence[Delivery]) -> None:
        """Find another place for what the client of an ended session did not acknowledge (XEP-0198 §4)."""
        for delivery in unacked:
            stanza = delivery.element
            kind = stanza.get("type", "normal")
            if NAMES[str(stanza.tag)] == "message" and kind in ("chat", "normal") and not carbons.is_copy(stanza):
                self.to_account(delayed(stanza, self.domain), session.account)
            elif NAMES[str(stanza.tag)] == "iq" and kind in ("get", "set"):
                self.refuse(stanza, StanzaCondition.RECIPIENT_UNAVAILABLE, ErrorType.WAIT)

    # --- the end of every way

    def _addressed(self, target: JID) -> list[ServerSession]:
        session = self.sessions.get(str(target))
        return [] if session is None else [session]

    def _all(self, target: JID, account: Account) -> list[ServerSession]:
        return self.available(account) if target.is_bare else []


def delayed(stanza: xml.Element, domain: str) -> xml.Element:
    """Return the message with a note that it is late (XEP-0203), unless it has one."""
    if stanza.find(f"{{{ns.DELAY}}}delay") is not None:
        return stanza
    late = copy.deepcopy(stanza)
    late.append(delay(domain, now()))
    return late
