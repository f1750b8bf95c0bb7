"""The recipients of events: the ``+notify`` of clients (XEP-0163 §4.3, XEP-0115), and the last items for new presences.

A client says in its disco#info which nodes it wants to hear of, and its presence has the hash of that answer. So the
server asks the client once for each hash, as real servers do, and remembers the features.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterable

from ... import xml
from ...jid import JID
from ...protocol import ns
from .nodes import EVENT
from .post import Post
from .session import ServerSession
from .stanzas import build, new_stanza

__all__ = ["Interests", "send_event"]

CAPS = "{http://jabber.org/protocol/caps}c"
ADDRESSES = "http://jabber.org/protocol/address"

#: The hashes that are remembered, at most.
MAX_HASHES = 1000


class Interests:
    """The nodes of which clients want events."""

    def __init__(self, post: Post, learnt: Callable[[ServerSession, Iterable[str]], None]) -> None:
        self._post = post
        self._learnt = learnt
        self._features: dict[str, frozenset[str]] = {}

    def wants(self, session: ServerSession, node: str) -> bool:
        """Return whether the client of a session asks for events of this node."""
        return session.presence is not None and f"{node}+notify" in self._of(session.presence)

    def _of(self, presence: xml.Element) -> frozenset[str]:
        return self._features.get(_hash(presence), frozenset())

    def present(self, session: ServerSession) -> None:
        """Deal with new presence of a session: ask its client what it wants, if that is not known."""
        presence = session.presence
        if presence is None or not (hash := _hash(presence)):
            return
        if hash in self._features:
            self._learnt(session, self._features[hash])
            return
        dialect = self._post.dialect
        id = dialect.caps_request_id or secrets.token_hex(8)
        askers = [session.account.jid if dialect.caps_request_id else session.jid]
        if dialect.caps_asked_by_contacts:
            askers += session.account.roster.watchers()
        self._post.services.expect(session.jid, id, lambda reply: self._hear(session, hash, reply))
        for asker in askers:
            request = new_stanza("iq", type="get", id=id, from_=asker, to=session.jid)
            request.append(build(ns.DISCO_INFO, "query", node=hash))
            self._post.hand_over(request)

    def _hear(self, session: ServerSession, hash: str, reply: xml.Element) -> None:
        if reply.get("type") != "result":
            return
        names = reply.iterfind(f"{{{ns.DISCO_INFO}}}query/{{{ns.DISCO_INFO}}}feature")
        while len(self._features) >= MAX_HASHES:
            del self._features[next(iter(self._features))]
        self._features[hash] = frozenset(feature.get("var", "") for feature in names)
        self._learnt(session, self._features[hash])


def _hash(presence: xml.Element) -> str:
    caps = presence.find(CAPS)
    return "" if caps is None else f"{caps.get('node', '')}#{caps.get('ver', '')}"


def send_event(post: Post, from_: str, to: Iterable[str], event: xml.Element, publisher: str | None) -> None:
    """Send an event to these JIDs, full or bare. `publisher` is the full JID of the client that caused it."""
    for jid in to:
        message = new_stanza("message", type="headline", from_=from_, to=jid)
        message.append(build(EVENT, "event", copy.deepcopy(event)))
        if post.dialect.event_addresses and publisher is not None:
            message.append(build(ADDRESSES, "addresses", build(ADDRESSES, "address", type="replyto", jid=publisher)))
        post.send(message, JID.parse(jid))
