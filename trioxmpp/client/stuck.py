"""Sessions that the server lets us resume, though nothing that we say in them is heard any more."""

from __future__ import annotations

from ..errors import SessionLost
from ..stream.stanzastream import StanzaStream
from .policy import Cause

__all__ = ["Progress"]

#: So many resumptions in a row that lead nowhere, and the session is given up.
PATIENCE = 2

#: A server that did not acknowledge anything for so many seconds, though it was asked to, is not going to.
ANSWER_TIME = 25.0


class Progress:
    """Whether what is in flight gets anywhere from one resumption to the next.

    Prosody 0.12 goes on reading with the parser of the link before. If that was cut within a stanza, everything that
    we send is taken for the rest of it, and never acknowledged: we resume, wait in vain, and resume again. A stanza for
    which the server ends every stream does the same, since it is sent again each time.
    """

    def __init__(self) -> None:
        self._base: int | None = None
        self._in_vain = 0

    def resumed(self, stream: StanzaStream) -> None:
        """The session goes on, on a new link; what is in flight is sent again."""
        self._base = stream.sm_outbound_base

    def established(self) -> None:
        """There is a new session."""
        self._base, self._in_vain = None, 0

    def ended(self, stream: StanzaStream, cause: Exception, lasted: float) -> SessionLost | None:
        """An attempt, or the link that came of it and `lasted` so many seconds, is over. Gives the reason, if the
        session had better be, too.
        """
        base, self._base = self._base, None
        if base is None or not stream.sm_enabled:
            return None
        kind = Cause.of(cause)
        # The server may well have said something all the time, but not what it was asked for.
        tells = kind is Cause.SILENCE or kind.is_refusal or lasted >= ANSWER_TIME
        if tells and stream.sm_unacked_count and stream.sm_outbound_base == base:
            self._in_vain += 1
        else:
            self._in_vain = 0
        if self._in_vain < PATIENCE:
            return None
        return SessionLost(f"the server resumes the session, but takes nothing of what we send in it: {cause}")
