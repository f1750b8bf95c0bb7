"""The types of message, presence and IQ."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

__all__ = ["IQType", "MessageType", "PresenceShow", "PresenceType"]


class _Type(enum.Enum):
    """Base of the types: each prints as its word on the wire."""

    # A member exists once, so its identity serves as its hash. The default, the hash of its name, is much slower.
    if not TYPE_CHECKING:  # checkers take an alias for a field
        __hash__ = object.__hash__

    def __str__(self) -> str:
        return str(self.value)


class MessageType(_Type):
    """The types of a message (RFC 6121 §5.2.2). Absent and unknown types are read as NORMAL."""

    CHAT = "chat"
    ERROR = "error"
    GROUPCHAT = "groupchat"
    HEADLINE = "headline"
    NORMAL = "normal"


class PresenceType(_Type):
    """The types of a presence (RFC 6121 §4.7.1). AVAILABLE is the absence of the attribute."""

    AVAILABLE = ""
    ERROR = "error"
    PROBE = "probe"
    SUBSCRIBE = "subscribe"
    SUBSCRIBED = "subscribed"
    UNAVAILABLE = "unavailable"
    UNSUBSCRIBE = "unsubscribe"
    UNSUBSCRIBED = "unsubscribed"

    def __str__(self) -> str:
        return self.value or "available"


class PresenceShow(_Type):
    """How available an available resource is (RFC 6121 §4.7.2.1)."""

    AWAY = "away"
    CHAT = "chat"
    DND = "dnd"
    XA = "xa"


class IQType(_Type):
    """The types of an IQ (RFC 6120 §8.2.3)."""

    GET = "get"
    SET = "set"
    RESULT = "result"
    ERROR = "error"

    @property
    def is_request(self) -> bool:
        """Whether an IQ of this type must be answered: get and set."""
        return self in _REQUESTS


_REQUESTS = frozenset({IQType.GET, IQType.SET})
