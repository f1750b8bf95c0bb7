"""What is to be so in every session of a client: carbons (XEP-0280), and whether anybody is looking (XEP-0352)."""

from __future__ import annotations

import logging

from ..protocol.elements import carbons, csi
from ..protocol.features import StreamFeatures
from ..protocol.stanza import IQ, IQType
from ..stream.ids import new_id
from ..stream.stanzastream import StanzaStream

__all__ = ["Desired"]

logger = logging.getLogger(__name__)


class Desired:
    """Has to be told of each session that `begins`, and of each that is `resumed`."""

    def __init__(self, stream: StanzaStream) -> None:
        self.carbons = False
        self.active = True
        self._stream = stream
        self._told = True
        """What the server believes: every link begins with somebody looking."""
        self._asks = False
        """Whether the server wants to know."""

    def set_active(self, active: bool) -> None:
        """Whether anybody is looking, from now on."""
        self.active = active
        self._tell()

    def begins(self, features: StreamFeatures) -> None:
        """There is a new session, which begins with what was settled along with the login."""
        if not self._stream.established:
            return  # it is over already
        settled = features.settled
        self._asks, self._told = features.csi, not settled.inactive
        self._tell()
        if self.carbons and not settled.carbons:
            self._enable_carbons()

    def resumed(self, features: StreamFeatures, *, of_another: bool) -> None:
        """The session goes on: with its carbons, but as if somebody was looking (XEP-0352 §5.2).

        `of_another` tells that another process began it, which may not have wanted carbons.
        """
        self._asks, self._told = self._asks or features.csi, True
        self._tell()
        if self.carbons and of_another:
            self._enable_carbons()

    def _tell(self) -> None:
        if self._asks and self._stream.running and self.active != self._told:
            outbox, self._told = self._stream._session.outbox, self.active
            outbox.aside = csi.ACTIVE if self.active else csi.INACTIVE
            outbox.wake()

    def _enable_carbons(self) -> None:
        """Ask for them; what is sent from now on is behind that, so there is no need to wait for the answer."""

        def answered(reply: IQ) -> None:
            if reply.error is not None:
                logger.warning("going on without carbons: %s", reply.error)

        session, id_ = self._stream._session, new_id()
        session.replies.expect(None, id_, self._stream.local_jid, answered)
        session.enqueue(IQ(type=IQType.SET, payload=carbons.Enable(), id=id_))
