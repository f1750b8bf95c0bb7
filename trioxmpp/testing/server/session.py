"""A session of a client on the server, from binding a resource until the end, over any number of links."""

from __future__ import annotations

import re
from collections import deque

from ... import xml
from ...protocol import ns
from .account import Account
from .acknowledgements import Delivery, ServerQueue
from .link import Link
from .stanzas import now, text_of

__all__ = ["ServerSession"]


class ServerSession:
    """One bound resource."""

    def __init__(self, account: Account, jid: str, link: Link, *, history: int, ack_requests: bool) -> None:
        self.account = account
        self.jid = jid
        """Its full JID."""
        self.link: Link | None = link
        """Its link, or None while it hibernates and after its end."""
        self.sm: ServerQueue | None = None
        """Its stream management, once it is enabled."""
        self.carbons = False
        """Whether it gets copies of the messages of other sessions of its account (XEP-0280)."""
        self.active = True
        """Whether the client is active, as it says on this link (XEP-0352)."""
        self.presence: xml.Element | None = None
        """The last presence that was broadcast, if it is available."""
        self.presence_stamp: str = ""
        """The time at which that presence was sent, as XEP-0082 writes it."""
        self.priority: int = 0
        """Its priority (RFC 6121 §4.7.2.3)."""
        self.wants_blocklist = False
        """Whether its client asked for the block list, and so gets pushes (XEP-0191 §3.2)."""
        self.wants_roster = False
        """Whether its client asked for the roster, and so gets pushes."""
        self.directed: set[str] = set()
        """The JIDs to which it has sent directed presence (RFC 6121 §4.6)."""
        self.handled: deque[xml.Element] = deque(maxlen=history)
        """The stanzas that the server accepted from it, as they were routed, oldest first; at most `Policy.history`."""
        self.handled_count: int = 0
        """The number of stanzas that the server accepted from it, with or without stream management."""
        self.resumptions = 0
        """The number of times that it was resumed."""
        self.ended = False
        """Whether it has ended for good."""
        self._ack_requests = ack_requests

    @property
    def hibernating(self) -> bool:
        """Whether it has no link and can be resumed."""
        return self.link is None and not self.ended

    def reset_link(self) -> None:
        """Break its link with a reset, if it has one; see `Link.reset`."""
        if self.link is not None:
            self.link.reset()

    def announced(self, presence: xml.Element) -> None:
        """Note the presence that the client has broadcast. A priority that is malformed is 0."""
        self.presence, self.presence_stamp = presence, now()
        text = presence.findtext(f"{{{ns.CLIENT}}}priority") or "0"
        self.priority = int(text) if re.fullmatch(r"[+-]?[0-9]{1,3}", text.strip()) else 0

    def deliver(self, element: xml.Element, text: str | None = None) -> None:
        """Send a stanza to the client; without a link, keep it for the next one. `text` is the element as XML."""
        delivery = Delivery(element, text or text_of(element))
        if self.sm is not None:
            self.sm.unacked.append(delivery)
        self._write(delivery)

    def write_again(self) -> None:
        """Write all stanzas that the client has not acknowledged, on a new link."""
        assert self.sm is not None
        for delivery in self.sm.unacked:
            self._write(delivery)

    def _write(self, delivery: Delivery) -> None:
        if self.link is not None:
            delivery.written = True
            self.link.write(delivery.text)
            if self.sm is not None and self._ack_requests:
                self.link.ask_for_ack()

    def request_ack(self) -> None:
        """Send ``<r/>`` now."""
        if self.link is not None:
            self.link.write(f"<r xmlns='{ns.SM}'/>")

    def count(self, element: xml.Element) -> None:
        """Note that a stanza of the client was accepted."""
        self.handled.append(element)
        self.account.handled.append(element)
        self.handled_count += 1
        if self.sm is not None:
            self.sm.count()
