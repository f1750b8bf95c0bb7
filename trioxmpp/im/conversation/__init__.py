"""Conversations: say, reply, correct, retract, react; receipts, markers, chat states (XEP-0085, 0184, 0308, 0333, 0424,
0428, 0444, 0461), in the same words with an account, in a private talk with an occupant, and in a room.

The lines of a conversation are values to look at, `Conversation.lines`; each change is an event. The rules of
`provenance` decide who may change what.
"""

from .conversation import Composition, Conversation
from .conversations import Conversations, Receipts, open_conversations
from .fallbacks import quote, text_of
from .kinds import about, is_lasting
from .lines import (
    Corrected,
    Delivery,
    DeliveryChanged,
    Displayed,
    Ended,
    Entry,
    Line,
    PeerBack,
    PeerLeft,
    PeerRenamed,
    Reacted,
    Retracted,
    Said,
    TalkEvent,
    Typing,
)
from .private import PrivateConversation
from .rooms import open_room_conversation

__all__ = [
    "Composition",
    "Conversation",
    "Conversations",
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
    "PrivateConversation",
    "Reacted",
    "Receipts",
    "Retracted",
    "Said",
    "TalkEvent",
    "Typing",
    "about",
    "is_lasting",
    "open_conversations",
    "open_room_conversation",
    "quote",
    "text_of",
]
