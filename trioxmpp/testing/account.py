"""An account: what is left of a user when nobody is logged in."""

from __future__ import annotations

from collections import OrderedDict, deque

from .. import xml

__all__ = ["Account"]

#: The counts of this many sessions that have expired are remembered, for the ``h`` of a failed resumption.
REMEMBERED = 10


class Account:
    """One user of the server."""

    def __init__(self, jid: str, password: str, history: int) -> None:
        self.jid = jid
        """Its bare JID."""
        self.password = password
        self.offline: list[xml.Element] = []
        """Messages that wait for somebody to become available."""
        self.handled: deque[xml.Element] = deque(maxlen=history)
        """What the server accepted from any session of this account, oldest first."""
        self.contacts: set[str] = set()
        """Bare JIDs of those who see the presence of this account, and whose presence it sees."""
        self.tokens: dict[tuple[str, str], list[str]] = {}
        """Those that log in without the password (XEP-0484), the newest at the end, by client and mechanism."""
        self._expired: OrderedDict[str, int] = OrderedDict()

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
