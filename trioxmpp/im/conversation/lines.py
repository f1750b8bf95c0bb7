"""The values of a conversation: its lines as they stand now, and the events that change them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, TypeAlias

from ...jid import JID
from ...protocol.elements.chat_states import ChatState, Composing
from ...protocol.stanza import Message
from ...record import field, record
from ...xep.encryption import Encryption
from ..provenance import Account, Occupant, Sender

__all__ = [
    "Corrected",
    "Delivery",
    "DeliveryChanged",
    "Displayed",
    "Ended",
    "Entry",
    "Line",
    "PeerBack",
    "PeerLeft",
    "PeerRenamed",
    "Reacted",
    "Retracted",
    "Said",
    "TalkEvent",
    "Typing",
    "key_of",
]


class Entry(Protocol):
    """One message with what is believed of it: an entry of a timeline, or of a room."""

    @property
    def message(self) -> Message:
        """The message, with what is not verified."""
        ...

    @property
    def peer(self) -> JID:
        """The other side of the conversation."""
        ...

    @property
    def sender(self) -> Sender:
        """The author, as far as that is verified."""
        ...

    @property
    def by_us(self) -> bool:
        """Whether our account wrote it."""
        ...

    @property
    def sent(self) -> datetime:
        """When it was sent."""
        ...

    @property
    def archive_id(self) -> str | None:
        """Its id in the archive, or None."""
        ...

    @property
    def caught_up(self) -> bool:
        """Whether it is new, and not one that was missed."""
        ...

    @property
    def source(self) -> enum.Enum:
        """How it came: LIVE, OFFLINE, by a copy, from an archive."""
        ...

    @property
    def encryption(self) -> Encryption | None:
        """How it was protected; None if its conversation is not encrypted."""
        ...


def key_of(sender: Sender) -> tuple[object, ...]:
    """Return what tells one sender from another, as far as that is verified."""
    if isinstance(sender, Account):
        return ("account", sender.jid)
    if isinstance(sender, Occupant):
        if sender.occupant_id is not None:
            return ("occupant", sender.room, sender.occupant_id)
        return ("real", sender.real) if sender.real is not None else ("nick", sender.room, sender.nick, sender.stay)
    return ("room", sender.jid)


class Delivery(enum.IntEnum):
    """How far a message of ours has come, as far as the other side has told."""

    SENT = 1
    RECEIVED = 2
    DISPLAYED = 3
    FAILED = 4


@record
class Line:
    """One message of a conversation, as it stands now.

    `id` is the id by which replies, reactions and retractions name it; `message` is what was said first, or last if
    it was corrected. `text` has no fallback in it, and is None once the message is retracted, or if it cannot be read.
    `corrects` is the id of a message that this one corrects and that is not known here. `reactions` are by sender
    (`key_of`). `delivery` is for messages of ours, and `error` why one has failed. `encryption` is how the message was
    protected: `Plain` for one that was not, in a conversation that is, and `Unreadable` for one without text.
    `archive_id` is its id in the archive, if known.
    """

    id: str
    message: Message = field(repr=False, compare=False)
    sender: Sender
    by_us: bool
    sent: datetime
    text: str | None
    reply_to: str | None = None
    thread: str | None = None
    corrects: str | None = None
    corrected: int = 0
    retracted: bool = False
    reactions: Mapping[tuple[object, ...], tuple[str, ...]] = field(default_factory=dict)
    delivery: Delivery | None = None
    error: Exception | None = field(default=None, compare=False)
    encryption: Encryption | None = None
    archive_id: str | None = None


@record
class Said:
    """There is a new line. `caught_up` is false for one that was missed: do not notify."""

    line: Line
    caught_up: bool = True


@record
class Corrected:
    """Its author has corrected a line; `before` is how it stood."""

    line: Line
    before: Line


@record
class Retracted:
    """Its author, or a moderator, has retracted a line; `before` is how it stood."""

    line: Line
    before: Line


@record
class Reacted:
    """`sender` reacts to a line by these, in place of what it reacted by before."""

    line: Line
    sender: Sender
    reactions: tuple[str, ...]


@record
class DeliveryChanged:
    """A message of ours has come farther, or has failed."""

    line: Line


@record
class Displayed:
    """`sender` has seen everything up to this line. If it is our account, another client of ours has."""

    line: Line
    sender: Sender
    by_us: bool


@record
class Typing:
    """The chat state of `sender` is another one; None if it is no longer known."""

    sender: Sender
    state: ChatState | None

    @property
    def is_composing(self) -> bool:
        """Whether it is writing now."""
        return isinstance(self.state, Composing)


@record
class PeerLeft:
    """The occupant with which we talk in private has left the room. It may come back."""


@record
class PeerBack:
    """The occupant with which we talk in private is in the room again."""


@record
class PeerRenamed:
    """The occupant with which we talk in private has another nick: the address of the conversation is another one."""

    before: JID
    after: JID


@record
class Ended:
    """Another occupant has the nick now, so this conversation is over: nothing that is said here may reach that one."""


TalkEvent: TypeAlias = (
    Said
    | Corrected
    | Retracted
    | Reacted
    | DeliveryChanged
    | Displayed
    | Typing
    | PeerLeft
    | PeerBack
    | PeerRenamed
    | Ended
)
