"""The stages at which services see an inbound stanza, before any filter does.

A stage is a plain function: it returns the stanza, or another one in its place, or None if it took the stanza for
itself. The order is fixed by `Stage`, so that services of different authors cannot argue about it. An exception in a
stage is a bug of the service, or an attack on it: the stanza is dropped and logged, and stream and client live on. The
seed's filters (`StanzaStream.service_inbound_message_filter` and its like) keep the seed's rule: what they raise ends
the stream.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ...jid import JID
from ...protocol.stanza import Message, Presence
from ..asyncness import is_async

__all__ = ["Claims", "Stage", "Stages"]

_logger = logging.getLogger(__name__)

S = TypeVar("S", Message, Presence)


class Stage(enum.IntEnum):
    """The order in which services see a stanza."""

    ARCHIVE = 10
    """Takes the archived messages that a query asked for (XEP-0313)."""
    CARBON = 20
    """Unwraps or drops copies of messages (XEP-0280)."""
    EVENT = 30
    """Takes the events of nodes (XEP-0060)."""
    DECRYPT = 40
    """Replaces an encrypted payload by what is in it."""
    NOTICE = 50
    """Takes what stands alone: receipts, markers, chat states; notes presences."""
    TIMELINE = 60
    """Notes each message for the timeline."""


class Stages(Generic[S]):
    """The functions of all services, for one kind of stanza, in their order."""

    def __init__(self, logger: logging.Logger = _logger) -> None:
        self._logger = logger
        self.chain: list[tuple[Stage, Callable[[S], S | None]]] = []

    @contextmanager
    def at(self, stage: Stage, function: Callable[[S], S | None]) -> Iterator[None]:
        """Call `function` at this stage while the block runs; equal stages in the order in which they were entered."""
        if is_async(function):
            raise TypeError("a stage is a plain function: nothing may be awaited on the way of a stanza")
        entry = stage, function
        # A new list: a chain that is being walked keeps the one that it began with.
        chain = self.chain.copy()
        chain.insert(sum(before <= stage for before, _ in chain), entry)
        self.chain = chain
        try:
            yield
        finally:
            self.chain = [one for one in self.chain if one is not entry]

    def pass_through(self, stanza: S) -> S | None:
        """Return what is left of `stanza` after all stages, or None."""
        result: S | None = stanza
        for stage, function in self.chain:
            try:
                result = function(stanza)
            except Exception:
                self._logger.exception("dropped %r: the stage %s failed", stanza, stage.name)
                return None
            if result is None:
                return None
            stanza = result
        return result


class Claims:
    """Bare JIDs whose stanzas all go to one service: a room's, say. One dictionary look-up for each stanza."""

    def __init__(self, logger: logging.Logger = _logger) -> None:
        self._logger = logger
        self.messages: dict[JID, Callable[[Message], object]] = {}
        """Where the messages of each JID that is claimed go. Only `claim` changes it."""
        self._presences: dict[JID, Callable[[Presence], object]] = {}

    def __contains__(self, jid: JID) -> bool:
        return jid.bare in self.messages

    @contextmanager
    def claim(
        self, jid: JID, on_message: Callable[[Message], object], on_presence: Callable[[Presence], object]
    ) -> Iterator[None]:
        """All messages and presences from `jid` go to these functions while the block runs. ValueError if claimed."""
        if is_async(on_message) or is_async(on_presence):
            raise TypeError("what takes claimed stanzas is a plain function: nothing may be awaited on their way")
        jid = jid.bare
        if jid in self.messages:
            raise ValueError(f"{jid} is claimed already")
        self.messages[jid], self._presences[jid] = on_message, on_presence
        try:
            yield
        finally:
            del self.messages[jid], self._presences[jid]

    def take_message(self, message: Message) -> bool:
        """Hand `message` to the service that claimed its sender; return whether there is one."""
        if message.from_ is None:
            return False
        return self._call(self.messages.get(message.from_.bare), message)

    def take_presence(self, presence: Presence) -> bool:
        """Hand `presence` to the service that claimed its sender; return whether there is one."""
        if presence.from_ is None:
            return False
        return self._call(self._presences.get(presence.from_.bare), presence)

    def _call(self, function: Callable[[S], object] | None, stanza: S) -> bool:
        if function is None:
            return False
        try:
            function(stanza)
        except Exception:
            self._logger.exception("dropped %r: the service that claimed its sender failed", stanza)
        return True
