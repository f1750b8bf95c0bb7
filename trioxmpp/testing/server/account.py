"""An account: what is left of a user when nobody is logged in."""

from __future__ import annotations

from collections import OrderedDict, deque

from ... import xml
from .archive import Archive
from .authentication import SCRAM, salted
from .roster import Roster

__all__ = ["Account"]

#: The counts of this many sessions that have expired are remembered, for the ``h`` of a failed resumption.
REMEMBERED = 10


class Account:
    """One user of the server."""

    def __init__(self, jid: str, password: str, history: int) -> None:
        self.jid = jid
        """Its bare JID."""
        self.password = password
        self.keys: dict[str, bytes] | None = None
        """What is stored for SCRAM, by the name of the hash. None: the password, which is good for every hash."""
        self.offline: list[xml.Element] = []
        """Messages that wait for somebody to become available."""
        self.handled: deque[xml.Element] = deque(maxlen=history)
        """What the server accepted from any session of this account, oldest first."""
        self.roster = Roster()
        """Its contacts (RFC 6121 §2)."""
        self.blocked: list[str] = []
        """The addresses that it does not hear from (XEP-0191), in the order in which they were blocked."""
        self.private: dict[str, xml.Element] = {}
        """What its clients store (XEP-0049), by tag."""
        self.vcard: xml.Element | None = None
        """Its vCard (XEP-0054)."""
        self.tokens: dict[tuple[str, str], list[str]] = {}
        """Those that log in without the password (XEP-0484), the newest at the end, by client and mechanism."""
        self.archive = Archive(history)
        """What it has sent and received, if the server keeps that."""
        self.counts: dict[str, int] = {}
        """How often each of them was used, by what its user says, where that is counted."""
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
        """Have another one from now on."""
        self.password, self.keys = password, None

    def keep_keys(self, *mechanisms: str) -> None:
        """Store nothing for SCRAM but the keys of these mechanisms, as a server does that knows no passwords."""
        name, hashes = self.jid.partition("@")[0], (SCRAM[mechanism] for mechanism in mechanisms)
        self.keys = {algorithm: salted(algorithm, name, self.password) for algorithm in hashes}

    def can(self, mechanism: str) -> bool:
        """Whether what is stored will do for a login by that mechanism."""
        return self.keys is None or SCRAM.get(mechanism.removesuffix("-PLUS"), "") in {"", *self.keys}

    def remember(self, previd: str, h: int) -> None:
        """Keep the count of a session that has come to its end."""
        self._expired[previd] = h
        while len(self._expired) > REMEMBERED:
            self._expired.popitem(last=False)

    def recall(self, previd: str) -> int | None:
        """The count of a session that has come to its end, if it is still known."""
        return self._expired.get(previd)

    def forget(self) -> None:
        """Forget all those counts."""
        self._expired.clear()
