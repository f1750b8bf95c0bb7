"""The stanzas that a component has sent, and that its server has not yet shown to have handled.

A component has no stream management (XEP-0114). But a server handles the stanzas of one stream in their order
(RFC 6120 §10.1). So the reply to a ping shows that it has handled all that was written before the ping. A ping goes out
after every `PING_AFTER` stanzas, and when the watchdog asks for a sign of life. The stanzas that
are left when the link breaks are in doubt: the server may have them or not.
"""

from __future__ import annotations

import logging
from collections import deque

from .token import StanzaToken

__all__ = ["MAX_UNCONFIRMED", "PING_AFTER", "Unconfirmed"]

_logger = logging.getLogger(__name__)

#: Stanzas after which the server is asked how far it is.
PING_AFTER = 64

#: Stanzas that are remembered. If the server answers no ping for so long, the oldest are forgotten.
MAX_UNCONFIRMED = 4_000


class Unconfirmed:
    """The tokens of what was written since the last ping that was answered, in order."""

    def __init__(self) -> None:
        self._tokens: deque[StanzaToken] = deque(maxlen=MAX_UNCONFIRMED)
        self._written = 0
        self._pinged: int | None = None
        """How much was written when the ping that is under way was asked for; None without one."""
        self._since_ping = 0

    @property
    def tokens(self) -> tuple[StanzaToken, ...]:
        """The tokens of the stanzas that are in doubt."""
        return tuple(self._tokens)

    @property
    def is_ping_due(self) -> bool:
        """Whether the server has to be asked now."""
        return self._pinged is None and self._since_ping >= PING_AFTER

    def written(self, token: StanzaToken) -> None:
        """The transport has taken a stanza."""
        if len(self._tokens) == MAX_UNCONFIRMED == self._written:
            _logger.warning("the server answers no ping: what was sent %d stanzas ago is forgotten", MAX_UNCONFIRMED)
        self._tokens.append(token)
        self._written += 1
        self._since_ping += 1

    def pinged(self) -> None:
        """A ping is going to be written, behind all that is written by now."""
        if self._pinged is None:
            self._pinged, self._since_ping = self._written, 0

    def confirmed(self) -> None:
        """The ping was answered: what was written before it is not in doubt any more."""
        if self._pinged is None:
            return
        after_ping, self._pinged = self._written - self._pinged, None
        while len(self._tokens) > after_ping:
            self._tokens.popleft()
        self._written = len(self._tokens)

    def clear(self) -> None:
        """The server has closed the stream in order: it has handled everything."""
        self._tokens.clear()
