"""XEP-0198: Stream Management, as a value with methods.

`StreamManagement` is one end of a session: the counter of what we handled, what the peer says it handled, and what is
still in flight in between. It knows neither clock nor wire; whoever owns it tells it what happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .. import xml
from ..errors import ElementError, StreamCondition, StreamError
from . import ns

__all__ = [
    "REQUEST",
    "Enabled",
    "Failed",
    "HandledCountTooHigh",
    "StreamManagement",
    "ack",
    "enable",
    "parse_ack",
    "parse_enabled",
    "parse_failed",
    "parse_resumed",
    "resume",
]

T = TypeVar("T")

#: Counters wrap around to zero after 2**32 - 1 (XEP-0198 §4).
MODULUS = 2**32

REQUEST = f"<r xmlns='{ns.SM}'/>"

TAG_ACK = f"{{{ns.SM}}}a"
TAG_REQUEST = f"{{{ns.SM}}}r"
TAG_ENABLED = f"{{{ns.SM}}}enabled"
TAG_RESUMED = f"{{{ns.SM}}}resumed"
TAG_FAILED = f"{{{ns.SM}}}failed"


class HandledCountTooHigh(StreamError):
    """The peer acknowledged stanzas that we never sent (XEP-0198 §4)."""

    def __init__(self, h: int, send_count: int) -> None:
        super().__init__(
            StreamCondition.UNDEFINED_CONDITION,
            f"You acknowledged {h} stanzas, but I only sent you {send_count} so far.",
            by_us=True,
            application=f"<handled-count-too-high xmlns='{ns.SM}' h='{h}' send-count='{send_count}'/>",
        )
        self.h = h
        self.send_count = send_count


@dataclass(frozen=True, slots=True)
class Enabled:
    """What the server granted: ``<enabled/>``."""

    id: str | None = None
    resumable: bool = False
    max: int | None = None
    location: tuple[str, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """What the server refused: ``<failed/>``. `h` is what it had handled of the old session, if it still knows."""

    condition: str
    h: int | None = None


@dataclass(eq=False, slots=True)
class StreamManagement(Generic[T]):
    """Both counters of one session, and what is still in flight."""

    granted: Enabled = field(default_factory=Enabled)
    handled: int = 0
    """The h that we report: the stanzas that we have taken care of, modulo 2**32."""
    base: int = 0
    """The last h that the peer reported."""
    unacked: deque[T] = field(default_factory=deque)
    """What we sent and the peer did not acknowledge yet, oldest first."""

    @property
    def resumable(self) -> bool:
        """Whether the server will let us resume: it said so and gave an id to do it with (XEP-0198 §3)."""
        return self.granted.resumable and self.granted.id is not None

    def received(self) -> None:
        """A stanza was processed; the next acknowledgement covers it."""
        self.handled = (self.handled + 1) % MODULUS

    def sent(self, item: T) -> None:
        """A stanza is about to be offered to the transport. To be called *before* it is."""
        self.unacked.append(item)

    def acked(self, h: int) -> list[T]:
        """The peer says that it handled `h` stanzas; return those that this settles, oldest first.

        Raises HandledCountTooHigh, and changes nothing, if that is more than we sent.
        """
        count = (h - self.base) % MODULUS
        if count > len(self.unacked):
            raise HandledCountTooHigh(h, (self.base + len(self.unacked)) % MODULUS)
        self.base = h
        return [self.unacked.popleft() for _ in range(count)]

    def in_flight(self) -> Iterable[T]:
        """What has to be sent again after a resumption, in the original order (XEP-0198 §5)."""
        return tuple(self.unacked)


def enable(*, resume: bool, max: int | None = None) -> str:
    """The request to manage the stream, resumable or not, for at least `max` seconds without a link."""
    wanted = " resume='true'" if resume else ""
    limit = f" max='{max}'" if resume and max is not None else ""
    return f"<enable xmlns='{ns.SM}'{wanted}{limit}/>"


def resume(previd: str, h: int) -> str:
    """The request to resume the session that the server calls `previd`."""
    return f"<resume xmlns='{ns.SM}' h='{h}' previd='{xml.escape_attr(previd)}'/>"


def ack(h: int) -> str:
    """The answer to ``<r/>``: we handled `h` stanzas."""
    return f"<a xmlns='{ns.SM}' h='{h}'/>"


def parse_ack(element: xml.Element) -> int:
    """The h of ``<a/>``. Raises ElementError."""
    h = _count(element, "a")
    if h is None:
        raise ElementError("missing", "a/@h")
    return h


def parse_enabled(element: xml.Element) -> Enabled:
    """What ``<enabled/>`` grants. What cannot be read is not granted."""
    max_ = element.get("max", "")
    return Enabled(
        id=element.get("id") or None,
        resumable=element.get("resume") in ("true", "1"),
        max=int(max_) if max_.isascii() and max_.isdigit() and len(max_) < 10 else None,
        location=_location(element.get("location", "")),
    )


def parse_resumed(element: xml.Element) -> tuple[str | None, int]:
    """The previd and the h of ``<resumed/>``. Raises ElementError."""
    h = _count(element, "resumed")
    if h is None:
        raise ElementError("missing", "resumed/@h")
    return element.get("previd"), h


def parse_failed(element: xml.Element) -> Failed:
    """Why the server refused, by ``<failed/>``.

    Never raises: some servers wrap the condition in an ``<error/>``, and a refusal is a refusal however it is spelt.
    """
    try:
        h = _count(element, "failed")
    except ElementError:
        h = None
    for child in element.iter(f"{{{ns.STANZA_ERRORS}}}*"):
        return Failed(str(child.tag).rpartition("}")[2], h)
    return Failed("undefined-condition", h)


def _count(element: xml.Element, name: str) -> int | None:
    text = element.get("h")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < MODULUS):
        raise ElementError(f"not a count modulo 2**32: {text[:20]!r}", f"{name}/@h")
    return int(text)


def _location(text: str) -> tuple[str, int | None] | None:
    """Host and port of the server's preferred place to resume at: ``host``, ``host:port``, ``[v6]``, ``[v6]:port``."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or (port and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536)):
        return None
    return host, int(port) if port else None
