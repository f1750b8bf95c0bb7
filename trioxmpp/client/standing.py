"""Where a client stands: how far it has come, and which session it may use."""

from __future__ import annotations

import enum
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import trio

from ..jid import JID
from ..protocol.features import StreamFeatures
from ..stream.core import StreamCore
from .session import Session
from .steps import Prepare, Step, Steps

__all__ = ["Phase", "Standing", "StreamByHand"]


class Phase(enum.IntEnum):
    """How far a client has come. It goes in one direction, whatever becomes of its sessions."""

    ARRIVING = enum.auto()
    """There was no session yet: an error is raised by `Supervisor.run`."""
    ENTERING = enum.auto()
    """There is a first session, and the services are being entered."""
    PREPARING = enum.auto()
    """They set up the first session."""
    SERVING = enum.auto()
    """The application could use a session."""
    BODY = enum.auto()
    """The body of `connect` has begun: it sees what is posted before any of it is sent."""
    LEFT = enum.auto()
    """The loops have ended."""


class Standing(Protocol):
    """The owner of the session of a `Client`. For `connect` that is a `Supervisor`."""

    changed: trio.lowlevel.ParkingLot

    @property
    def session(self) -> Session | None:
        """The session that the application may use."""

    @property
    def ended(self) -> Exception | None:
        """Why there will never be a session again."""

    def each_session(self, step: Step, prepare: Prepare) -> AbstractAsyncContextManager[None]:
        """See `Client.each_session`."""
        ...


class StreamByHand:
    """The standing of a client whose stream the application runs itself."""

    def __init__(self, core: StreamCore, jid: JID | None) -> None:
        self.core = core
        self._steps = Steps(lambda trouble: None)
        self.changed: trio.lowlevel.ParkingLot = core.link_changed
        self._jid = jid
        self._session: Session | None = None

    @property
    def session(self) -> Session | None:
        """The session of now, if there is one."""
        state = self.core.session
        if not state.established or state.ended is not None:
            return None
        if self._session is None or not self._session.is_of(state):
            jid = self._jid or self.core.router.local_jid or JID(None, "localhost", None)
            self._session = Session(self.core, state, jid, StreamFeatures())
        return self._session

    @property
    def ended(self) -> Exception | None:
        """Why nothing can be sent: by hand, a stream that does not run may be run again at any time."""
        if self.session is not None:
            return None
        return self.core.session.ended or ConnectionError("there is no session: the stream is not running")

    def each_session(self, step: Step, prepare: Prepare) -> AbstractAsyncContextManager[None]:
        """Prepare the session of now: the next one is for the application to announce, which runs the stream."""
        session = self.session
        if session is not None:
            self._steps.adopt_unprepared(session)
        return self._steps.each_session(step, prepare)
