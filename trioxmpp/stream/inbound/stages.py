"""The stages at which services see an inbound stanza, before any filter does.

A stage is a plain function: it returns the stanza, or another one in its place, or None if it took the stanza for
itself. The order is fixed by `Stage`, so that services of different authors cannot argue about it. An exception in a
stage is a bug of the service, or an attack on it: the stanza is dropped, that is told (`failures`), and stream and
client live on. The seed's filters (`StanzaStream.service_inbound_message_filter` and its like) keep the seed's rule:
what they raise ends the stream.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ...jid import JID
from ...protocol.stanza import Message, Presence
from ..asyncness import is_async
from .failures import ServiceFailures

__all__ = ["Claims", "Stage", "Stages"]

S = TypeVar("S", Message, Presence)
F = TypeVar("F")

#: The sender of the stanzas, and the address of a component that they are to; None: any of our addresses
Claim = tuple[JID, JID | None]


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

    def __init__(self, failures: ServiceFailures | None = None) -> None:
        self._failures = failures or ServiceFailures()
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
            except Exception as exc:
                self._failures.happened(f"the stage {stage.name}", function, stanza, exc)
                return None
            if result is None:
                return None
            stanza = result
        return result


class Claims:
    """Bare JIDs whose stanzas all go to one service: a room's, say. One dictionary look-up for each stanza.

    For a component, a claim may be for the stanzas to one address of ours only: each of its users may be in that room.
    """

    def __init__(self, failures: ServiceFailures | None = None) -> None:
        self._failures = failures or ServiceFailures()
        self.messages: dict[Claim, Callable[[Message], object]] = {}
        """Where the messages of each JID that is claimed go. Only `claim` changes it."""
        self._presences: dict[Claim, Callable[[Presence], object]] = {}

    def __contains__(self, jid: JID) -> bool:
        return (jid.bare, None) in self.messages

    @contextmanager
    def claim(
        self,
        jid: JID,
        on_message: Callable[[Message], object],
        on_presence: Callable[[Presence], object],
        own: JID | None = None,
    ) -> Iterator[None]:
        """All messages and presences from `jid` go to these functions while the block runs. ValueError if claimed.

        With `own`, only those to that address of ours; they precede a claim for all addresses.
        """
        if is_async(on_message) or is_async(on_presence):
            raise TypeError("what takes claimed stanzas is a plain function: nothing may be awaited on their way")
        key = (jid.bare, None if own is None else own.bare)
        if key in self.messages:
            raise ValueError(f"{jid.bare} is claimed already{'' if own is None else f' for {own.bare}'}")
        self.messages[key], self._presences[key] = on_message, on_presence
        try:
            yield
        finally:
            del self.messages[key], self._presences[key]

    def is_claimed(self, jid: JID, own: JID) -> bool:
        """Return whether the stanzas from the bare JID of `jid` to `own` have a claim of their own."""
        return (jid.bare, own.bare) in self.messages

    def take_message(self, message: Message, own: JID | None = None) -> bool:
        """Hand `message` to the service that claimed its sender; return whether there is one."""
        return message.from_ is not None and self._call(_claimant(self.messages, message.from_.bare, own), message)

    def take_presence(self, presence: Presence, own: JID | None = None) -> bool:
        """Hand `presence` to the service that claimed its sender; return whether there is one."""
        return presence.from_ is not None and self._call(_claimant(self._presences, presence.from_.bare, own), presence)

    def _call(self, function: Callable[[S], object] | None, stanza: S) -> bool:
        if function is None:
            return False
        try:
            function(stanza)
        except Exception as exc:
            self._failures.happened("the service that claimed its sender", function, stanza, exc)
        return True


def _claimant(claims: dict[Claim, F], sender: JID, own: JID | None) -> F | None:
    """Return the function that a stanza from `sender` goes to. `own` is for which address of ours, for a component."""
    function = None if own is None else claims.get((sender, own.bare))
    return claims.get((sender, None)) if function is None else function
