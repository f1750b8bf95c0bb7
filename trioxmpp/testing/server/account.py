"""An account: the state of a user that lasts while no client is logged in."""

from __future__ import annotations

from collections import OrderedDict, deque

from ... import xml
from .archive import Archive
from .authentication import SCRAM, salted
from .roster import Roster

__all__ = ["Account"]

#: The number of expired sessions whose counts are remembered, for the ``h`` of a failed resumption.
REMEMBERED = 10


class Account:
    """One user of the server."""

    def __init__(self, jid: str, password: str, history: int) -> None:
        self.jid = jid
        """Its bare JID."""
        self.password: str = password
        self.keys: dict[str, bytes] | None = None
        """The keys that are stored for SCRAM, by the name of the hash. None: the password is stored, for every hash."""
        self.offline: list[xml.Element] = []
        """Messages that wait for a session to become available."""
        self.handled: deque[xml.Element] = deque(maxlen=history)
        """The stanzas that the server accepted from any session of this account, oldest first."""
        self.roster: Roster = Roster()
        """Its contacts (RFC 6121 §2)."""
        self.blocked: list[str] = []
        """The addresses that it does not hear from (XEP-0191), in the order in which they were blocked."""
        self.private: dict[str, xml.Element] = {}
        """The elements that its clients store (XEP-0049), by tag."""
        self.vcard: xml.Element | None = None
        """Its vCard (XEP-0054)."""
        self.tokens: dict[tuple[str, str], list[str]] = {}
        """Tokens for logins without the password (XEP-0484), by client and mechanism; the newest is at the end."""
        self.archive: Archive = Archive(history)
        """The messages that it has sent and received, if the policy archives them."""
        self.counts: dict[str, int] = {}
        """The highest count that a client gave for each token, if the policy counts them."""
        self._expired: OrderedDict[str, int] = OrderedDict()

    def blocks(self, jid: str) -> bool:
        """Return whether a stanza of this sender is blocked (XEP-0191 §3.1).

        An item that is a full JID covers that JID; a bare JID covers its resources; ``domain/resource`` covers that
        resource, and a domain covers all its addresses.
        """
        if not self.blocked:
            return False
        bare, _, resource = jid.partition("/")
        domain = bare.rpartition("@")[2]
        covering = {jid, bare, domain, *((f"{domain}/{resource}",) if resource else ())}
        return bare != self.jid and not covering.isdisjoint(self.blocked)

    def change_password(self, password: str) -> None:
        """Replace the password."""
        self.password, self.keys = password, None

    def keep_keys(self, *mechanisms: str) -> None:
        """Store only the keys of these mechanisms for SCRAM, as a server does that does not store passwords."""
        name, hashes = self.jid.partition("@")[0], (SCRAM[mechanism] for mechanism in mechanisms)
        self.keys = {algorithm: salted(algorithm, name, self.password) for algorithm in hashes}

    def can(self, mechanism: str) -> bool:
        """Return whether a login by that mechanism is possible with the stored password or keys."""
        return self.keys is None or SCRAM.get(mechanism.removesuffix("-PLUS"), "") in {"", *self.keys}

    def remember(self, previd: str, h: int) -> None:
        """Keep the count of a session that has ended."""
        self._expired[previd] = h
        while len(self._expired) > REMEMBERED:
            self._expired.popitem(last=False)

    def recall(self, previd: str) -> int | None:
        """Return the count of a session that has ended, if it is still known."""
        return self._expired.get(previd)

    def forget(self) -> None:
        """Forget all those counts."""
        self._expired.clear()
