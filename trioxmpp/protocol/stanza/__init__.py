"""The three stanzas of RFC 6120 §8: message, presence and IQ.

A stanza is slotted and mutable, because filters may change it; its payloads are frozen (`trioxmpp.xml`). A stanza that
arrived keeps its XML until it is read: parsing reads the attributes only, children are read on first access, a payload
becomes a typed object in `Stanza.get`, and unknown attributes and children survive a round trip.
"""

from . import nested  # noqa: F401  (lets elements contain stanzas)
from .base import Stanza
from .iq import IQ, ReplyKey, reply_key
from .message import Message
from .parse import parse_skipped, parse_stanza
from .presence import Presence
from .request import Get, Question, Set, response_type
from .types import IQType, MessageType, PresenceShow, PresenceType

__all__ = [
    "IQ",
    "Get",
    "IQType",
    "Message",
    "MessageType",
    "Presence",
    "PresenceShow",
    "PresenceType",
    "Question",
    "ReplyKey",
    "Set",
    "Stanza",
    "parse_skipped",
    "parse_stanza",
    "reply_key",
    "response_type",
]
