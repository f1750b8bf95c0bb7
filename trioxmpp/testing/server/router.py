"""The router: what becomes of a stanza that a client sends (RFC 6120 §10, RFC 6121 §8).

Here is only what concerns the sender: its presence, its subscriptions, its block list, its archive, the copies for its
other sessions. Then the stanza goes to the `post`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition
from ...jid import JID
from .acknowledgements import Delivery
from .blocking import Blocking
from .post import Post
from .presence import Presences
from .session import ServerSession
from .stanzas import NAMES

__all__ = ["ServerRouter"]


class ServerRouter:
    """Routes the stanzas that clients send."""

    def __init__(self, post: Post, presences: Presences, blocking: Blocking) -> None:
        self._post = post
        self._presences = presences
        self._blocking = blocking

    def route(self, session: ServerSession, stanza: xml.Element) -> None:
        """Deal with a stanza of a client; its ``from`` is the session's full JID already."""
        name, to = NAMES[str(stanza.tag)], stanza.get("to")
        own = JID.parse(session.account.jid)
        try:
            target = own if to is None else JID.parse(to)
        except JIDError:
            stanza.set("to", self._post.domain)  # the client could not read the error if it came from there
            self._post.refuse(stanza, StanzaCondition.JID_MALFORMED, ErrorType.MODIFY)
            return
        if name == "presence" and to is None:
            self._presences.broadcast(session, stanza)
        elif self._blocking.refuse_outbound(session, stanza):
            return
        elif name == "presence":
            self._presences.direct(session, stanza, target)
        elif name == "message":
            self._message(session, stanza, target)
        else:
            self._post.send(stanza, target)

    def _message(self, session: ServerSession, stanza: xml.Element, target: JID) -> None:
        account, policy = session.account, self._post.policy
        if stanza.get("to") is None and self._post.dialect.completes_address:
            stanza.set("to", account.jid)
        kept = stanza
        if policy.archive and str(target.bare) != account.jid and stanza.get("type") != "groupchat":
            kept = account.archive.keep(stanza, target, account.jid, self._post.dialect, forge=policy.forge)
        delivered = self._post.send(stanza, target)
        self._post.copy("sent", kept, account, [session, *delivered])

    def session_ended(self, session: ServerSession, unacked: Sequence[Delivery]) -> None:
        """Tell of the end of a session, and find another place for what its client did not acknowledge."""
        self._presences.ended(session)
        self._post.return_unacked(session, unacked)
