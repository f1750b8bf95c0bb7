"""XEP-0198: Stream Management, as a value with methods.

`StreamManagement` is one end of a session: the counter of what we handled, what the peer says it handled, and what is
still in flight in between. It knows neither clock nor wire; whoever owns it tells it what happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from .. import xml
from ..errors import StreamCondition, StreamError
from ..record import record
from . import ns
from .codecs import FLAG

__all__ = [
    "REQUEST",
    "Enable",
    "Enabled",
    "Failed",
    "Feature",
    "HandledCountTooHigh",
    "Resume",
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

TAG_ACK = f"{{{ns.SM}}}a"
TAG_REQUEST = f"{{{ns.SM}}}r"
TAG_ENABLED = f"{{{ns.SM}}}enabled"
TAG_RESUMED = f"{{{ns.SM}}}resumed"
TAG_FAILED = f"{{{ns.SM}}}failed"


@xml.element(ns.SM, "sm")
class Feature:
    """The server offers stream management (XEP-0198 §3), or to resume along with a login (§6.2)."""


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


@record
class Enabled:
    """What the server granted: ``<enabled/>``."""

    id: str | None = None
    resumable: bool = False
    max: int | None = None
    location: tuple[str, int | None] | None = None


@record
class Failed:
    """What the server refused: ``<failed/>``. `h` is what it had handled of the old session, if it still knows."""

    condition: str
    h: int | None = None


class StreamManagement(Generic[T]):
    """Both counters of one session, and what is still in flight."""

    __slots__ = ("base", "granted", "handled", "unacked")

    def __init__(self, granted: Enabled = Enabled(), handled: int = 0, base: int = 0) -> None:
        self.granted = granted
        self.handled = handled
        """The h that we report: the stanzas that we have taken care of, modulo 2**32."""
        self.base = base
        """The last h that the peer reported."""
        self.unacked: deque[T] = deque()
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


def _decode_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < MODULUS):
        raise ValueError(f"not a count modulo 2**32: {text[:20]!r}")
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


_COUNT = xml.Codec(_decode_count, str, is_plain=True)


@xml.element(ns.SM, "enable")
class Enable:
    """Please manage the stream."""

    resume: bool = xml.attr(default=False)
    max: int | None = xml.attr(default=None)


@xml.element(ns.SM, "enabled")
class _Enabled:
    """What cannot be read is not granted."""

    id: str | None = xml.attr(default=None)
    resume: bool = xml.attr(default=False, codec=FLAG)
    max: int | None = xml.attr(default=None, codec=xml.lenient(xml.integer(0, 999_999_999)))
    location: tuple[str, int | None] | None = xml.attr(default=None, codec=xml.Codec(_location, str))


@xml.element(ns.SM, "resume")
class Resume:
    """Please go on with that session; we have handled `h` of its stanzas."""

    h: int = xml.attr(codec=_COUNT)
    previd: str = xml.attr()


@xml.element(ns.SM, "resumed")
class _Resumed:
    h: int = xml.attr(codec=_COUNT)
    previd: str | None = xml.attr(default=None)


@xml.element(ns.SM, "failed")
class _Failed:
    """Some servers wrap the condition in an ``<error/>``, so it may be anywhere in the others."""

    h: int | None = xml.attr(default=None, codec=xml.lenient(_COUNT))
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(ns.SM, "a")
class _Ack:
    h: int = xml.attr(codec=_COUNT)


@xml.element(ns.SM, "r")
class _Request:
    pass


REQUEST = xml.serialise(_Request())


def enable(*, resume: bool, max: int | None = None) -> str:
    """The request to manage the stream, resumable or not, for at least `max` seconds without a link."""
    return xml.serialise(Enable(resume=resume, max=max if resume else None))


def resume(previd: str, h: int) -> str:
    """The request to resume the session that the server calls `previd`."""
    return xml.serialise(Resume(h=h, previd=previd))


def ack(h: int) -> str:
    """The answer to ``<r/>``: we handled `h` stanzas."""
    return xml.serialise(_Ack(h=h))


def parse_ack(element: xml.Element) -> int:
    """The h of ``<a/>``. Raises ElementError."""
    return xml.parse(_Ack, element).h


def parse_enabled(element: xml.Element) -> Enabled:
    """What ``<enabled/>`` grants. What cannot be read is not granted."""
    said = xml.parse(_Enabled, element)
    return Enabled(id=said.id or None, resumable=said.resume, max=said.max, location=said.location)


def parse_resumed(element: xml.Element) -> tuple[str | None, int]:
    """The previd and the h of ``<resumed/>``. Raises ElementError."""
    said = xml.parse(_Resumed, element)
    return said.previd, said.h


def parse_failed(element: xml.Element) -> Failed:
    """Why the server refused, by ``<failed/>``. Never raises: a refusal is a refusal however it is spelt."""
    said = xml.parse(_Failed, element)
    for other in said.others:
        for condition in other.iter(f"{{{ns.STANZA_ERRORS}}}*"):
            return Failed(str(condition.tag).rpartition("}")[2], said.h)
    return Failed("undefined-condition", said.h)
