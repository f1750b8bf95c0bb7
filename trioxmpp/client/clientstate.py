"""Client state indication (XEP-0352): the server learns whether a person is looking."""

from __future__ import annotations

from ..protocol.elements import csi
from ..protocol.features import StreamFeatures
from ..stream.link import Link
from ..stream.outbound.channels import Control

__all__ = ["ClientStateIndication"]


class ClientStateIndication:
    """The state that the application wants, and the one that the server knows.

    A link begins as active (XEP-0352 §5.2).
    """

    def __init__(self) -> None:
        self.active: bool = True
        """Whether a person is looking."""
        self._link: Link | None = None
        self._is_offered = False
        self._is_told = True

    def set_active(self, active: bool) -> None:
        """Tell the server, on this link and on each later one."""
        self.active = active
        self._tell()

    def begins(self, features: StreamFeatures, link: Link, *, inactive: bool) -> None:
        """There is a new session on `link`. `inactive`: it began as that, since the login asked for it."""
        self._link, self._is_offered, self._is_told = link, features.csi, not inactive
        self._tell()

    def resumed(self, features: StreamFeatures, link: Link) -> None:
        """The session goes on, on `link`. Some servers offer nothing then: what they offered before still holds."""
        self._link, self._is_offered, self._is_told = link, self._is_offered or features.csi, True
        self._tell()

    def _tell(self) -> None:
        if self._link is not None and not self._link.over and self._is_offered and self.active != self._is_told:
            self._is_told = self.active
            self._link.control.send_nowait(Control.CLIENT_STATE, csi.ACTIVE if self.active else csi.INACTIVE)
