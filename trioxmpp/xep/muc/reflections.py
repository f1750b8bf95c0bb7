"""Messages that we have sent to a room, until the room reflects them (XEP-0045 §7.4).

A room keeps the id of a message, if it announces *muc#stable_id*; from others the origin-id tells (XEP-0359 §3.2). Some
rooms reflect a new subject without any id, so that its text has to tell.
"""

from __future__ import annotations

from ...errors import StanzaCondition, XMPPCancelError, XMPPError
from ...protocol.elements.stanza_ids import OriginId
from ...protocol.stanza import Message
from .events import RoomEntry
from .outcome import Outcome

__all__ = ["Reflections"]


class _Sent:
    """A message that we wait for."""

    def __init__(self, subject: str | None) -> None:
        self.subject = subject
        self.outcome: Outcome[RoomEntry] = Outcome()
        self.refusal: XMPPError | None = None
        """An error which says that we are not in the room: whether that is so has to be asked."""


class Reflections:
    """The messages that tasks wait for, by id."""

    def __init__(self) -> None:
        self._sent: dict[str, _Sent] = {}

    def expect(self, id: str, subject: str | None) -> Outcome[RoomEntry]:
        """Return the outcome of the message with this `id`, which sets `subject` unless that is None."""
        sent = self._sent[id] = _Sent(subject)
        return sent.outcome

    def forget(self, id: str) -> None:
        """Expect it no more."""
        self._sent.pop(id, None)

    def reflected(self, entry: RoomEntry) -> None:
        """Note that a message from our own address has come."""
        sent = self._sent.get(entry.message.id or "")
        if sent is None and self._sent:
            origin = entry.message.get(OriginId)
            sent = None if origin is None else self._sent.get(origin.id)
        if sent is not None:
            sent.outcome.set(entry)

    def subject_reflected(self, entry: RoomEntry) -> None:
        """Note that a new subject from our own address has come."""
        self.reflected(entry)
        text = entry.message.subject or ""
        for sent in self._sent.values():
            if sent.subject == text and not sent.outcome.settled:
                sent.outcome.set(entry)
                return

    def refused(self, message: Message) -> bool:
        """Note that an error has come. Return whether it says that we are not in the room, which has to be verified."""
        sent = self._sent.get(message.id or "")
        if sent is None:
            return False
        error = message.error or XMPPCancelError(StanzaCondition.UNDEFINED_CONDITION)
        if error.condition is StanzaCondition.NOT_ACCEPTABLE:
            sent.refusal = error
            return True
        sent.outcome.fail(error)
        return False

    def in_the_room(self) -> None:
        """Note that we are in the room: what was refused, was refused for another reason."""
        for sent in self._sent.values():
            if sent.refusal is not None:
                sent.outcome.fail(sent.refusal)

    def lost(self, error: Exception) -> None:
        """Note that we are not in the room: nothing more will come back."""
        for sent in self._sent.values():
            sent.outcome.fail(error)
