"""XEP-0198: Stream Management, as a value with methods.

`StreamManagement` is one end of a session. It has the counter of the stanzas that we handled, the counter that the peer
reported last, and the stanzas that are still in flight. It knows neither clock nor transport: the session tells it what
happened. Around it stand the elements of the protocol, to be written and to be read.
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
    """The grant of the server, ``<enabled/>`` (XEP-0198 §3)."""

    id: str | None = None
    resumable: bool = False
    max: int | None = None
    location: tuple[str, int | None] | None = None


@record
class Failed:
    """The refusal of the server, ``<failed/>``. `h` is its counter of the old session, if it still has it (§5)."""

    condition: str
    h: int | None = None


class StreamManagement(Generic[T]):
    """Both counters of one session, and the stanzas that are still in flight."""

    __slots__ = ("_began_at", "_retracted", "base", "granted", "handled", "unacked")

    def __init__(self, granted: Enabled = Enabled(), handled: int = 0, base: int = 0) -> None:
        self.granted: Enabled = granted
        self.handled: int = handled
        """The h that we report: the number of stanzas that we have handled, modulo 2**32."""
        self.base: int = base
        """The last h that the peer reported."""
        self.unacked: deque[T] = deque()
        """The stanzas that we sent and that the peer has not acknowledged, oldest first."""
        self._began_at = handled, base
        self._retracted = 0

    @property
    def resumable(self) -> bool:
        """Whether the server lets us resume: it granted that, with an id to do it with (XEP-0198 §3)."""
        return self.granted.resumable and self.granted.id is not None

    @property
    def handled_in_total(self) -> int:
        """The number of stanzas that were handled since this object was made, less than 2**32."""
        return (self.handled - self._began_at[0]) % MODULUS

    @property
    def acked_in_total(self) -> int:
        """The number of stanzas that were acknowledged since this object was made, less than 2**32."""
        return (self.base - self._began_at[1]) % MODULUS

    @property
    def sent_unacked(self) -> int:
        """The number of stanzas that were sent and not acknowledged, those that were retracted included."""
        return len(self.unacked) + self._retracted

    def received(self) -> None:
        """Count a stanza that was handled; the next acknowledgement covers it."""
        self.handled = (self.handled + 1) % MODULUS

    def sent(self, item: T) -> None:
        """Note a stanza that is sent. To be called *before* its bytes are offered to the transport."""
        self.unacked.append(item)

    def acked(self, h: int) -> list[T]:
        """Take the counter that the peer reports; return the stanzas that it acknowledges, oldest first.

        Raises HandledCountTooHigh, and changes nothing, if `h` is more than we sent.
        """
        count = (h - self.base) % MODULUS
        if count > len(self.unacked):
            raise HandledCountTooHigh(h, (self.base + len(self.unacked)) % MODULUS)
        self.base = h
        popleft = self.unacked.popleft
        return [popleft() for _ in range(count)]

    def acked_by(self, element: xml.Element) -> list[T]:
        """Take ``<a/>``, as `acked` does the counter in it. Raises ElementError as well."""
        return self.acked(parse_ack(element))

    def retract_first(self) -> T:
        """Forget the oldest item that is in flight, and return it: the peer has not counted it, and never will."""
        self._retracted += 1
        return self.unacked.popleft()

    def in_flight(self) -> Iterable[T]:
        """Return the stanzas to send again after a resumption, in the original order (XEP-0198 §5)."""
        return tuple(self.unacked)


def _decode_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < MODULUS):
        raise ValueError(f"not a count modulo 2**32: {text[:20]!r}")
    return int(text)


def _decode_location(text: str) -> tuple[str, int | None] | None:
    """Read where the server prefers a resumption: ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or "[" in host or "]" in host:
        return None
    if port and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        return None
    return host, int(port) if port else None


def _encode_location(location: tuple[str, int | None] | None) -> str:
    if location is None:
        return ""
    host, port = location
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


_COUNT = xml.Codec(_decode_count, str, is_plain=True)


@xml.element(ns.SM, "enable")
class Enable:
    """The request to manage the stream (XEP-0198 §3)."""

    resume: bool = xml.attr(default=False)
    max: int | None = xml.attr(default=None)


@xml.element(ns.SM, "enabled")
class _Enabled:
    """An attribute that cannot be read grants nothing."""

    id: str | None = xml.attr(default=None)
    resume: bool = xml.attr(default=False, codec=FLAG)
    max: int | None = xml.attr(default=None, codec=xml.lenient(xml.integer(0, 999_999_999)))
    location: tuple[str, int | None] | None = xml.attr(
        default=None, codec=xml.Codec(_decode_location, _encode_location)
    )


@xml.element(ns.SM, "resume")
class Resume:
    """The request to resume the session `previd`, of which we have handled `h` stanzas (XEP-0198 §5)."""

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
    """Write the request to manage the stream. If it is resumable, the server keeps it `max` seconds without a link."""
    return xml.serialise(Enable(resume=resume, max=max if resume else None))


def resume(previd: str, h: int) -> str:
    """Write the request to resume the session that the server calls `previd`."""
    return xml.serialise(Resume(h=h, previd=previd))


def ack(h: int) -> str:
    """Write the answer to ``<r/>``: we handled `h` stanzas."""
    return xml.serialise(_Ack(h=h))


def parse_ack(element: xml.Element) -> int:
    """Return the h of ``<a/>``. Raises ElementError."""
    h = element.get("h")
    # Servers say just this, and often. `_Ack` judges all other forms.
    if h is not None and len(h) < 10 and h.isascii() and h.isdigit() and not len(element) and not element.text:
        return int(h)
    return xml.parse(_Ack, element).h


def parse_enabled(element: xml.Element) -> Enabled:
    """Return the grant. An attribute that cannot be read grants nothing."""
    parsed = xml.parse(_Enabled, element)
    return Enabled(id=parsed.id or None, resumable=parsed.resume, max=parsed.max, location=parsed.location)


def parse_resumed(element: xml.Element) -> tuple[str | None, int]:
    """Return the previd and the h of ``<resumed/>``. Raises ElementError."""
    parsed = xml.parse(_Resumed, element)
    return parsed.previd, parsed.h


def parse_failed(element: xml.Element) -> Failed:
    """Return the refusal. Never raises: a refusal with an unknown condition is a refusal."""
    parsed = xml.parse(_Failed, element)
    for other in parsed.others:
        for condition in other.iter(f"{{{ns.STANZA_ERRORS}}}*"):
            return Failed(str(condition.tag).rpartition("}")[2], parsed.h)
    return Failed("undefined-condition", parsed.h)
