"""Text to values and back."""

from __future__ import annotations

import base64
import enum
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from ..jid import JID

__all__ = ["Codec", "codec_for", "identity"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How a value is written in XML.

    `decode` raises ValueError for what is not one; `encode` raises ValueError for what cannot be written, TypeError
    for what is no such value at all.
    """

    decode: Callable[[str], T]
    encode: Callable[[T], str]


_INT: Final = re.compile(r"[+-]?[0-9]{1,400}")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED_FLOATS: Final = {"INF": math.inf, "-INF": -math.inf, "NaN": math.nan}
_TIME: Final = re.compile(
    r"((?:\d{4}-\d{2}-\d{2}|\d{8})T\d{2}:\d{2}:)(\d{2})((?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?)", re.ASCII
)


def identity(text: str) -> str:
    """The text itself, and so the mark by which generated code knows that there is nothing to do."""
    return text


def _decode_int(text: str) -> int:
    text = text.strip()
    if not _INT.fullmatch(text):
        raise ValueError("not an integer")
    return int(text)


def _decode_bool(text: str) -> bool:
    match text.strip():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise ValueError("not a boolean")


def _encode_bool(value: bool) -> str:
    if not isinstance(value, bool):
        raise TypeError(f"expected a bool, got {type(value).__name__}")
    return "true" if value else "false"


def _decode_float(text: str) -> float:
    text = text.strip()
    if _FLOAT.fullmatch(text):
        return float(text)
    named = _NAMED_FLOATS.get(text)
    if named is None:
        raise ValueError("not a number")
    return named


def _encode_float(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))  # an int will do as well
    return "NaN" if math.isnan(value) else ("INF" if value > 0 else "-INF")


def _decode_bytes(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("not base64") from None


def _decode_datetime(text: str) -> datetime:
    """XEP-0082 §3.2, and the form without dashes of XEP-0091. Without an offset it is UTC."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a date and time (XEP-0082)")
    start, second, end = match.groups()
    # ISO 8601 has leap seconds, Python has not: it is the second after the one before it.
    is_leap = second == "60"
    try:
        value = datetime.fromisoformat(f"{start}59{end}" if is_leap else f"{start}{second}{end}")
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC) + timedelta(seconds=is_leap)
    except OverflowError:
        raise ValueError("out of range") from None


def _encode_datetime(value: datetime) -> str:
    if value.utcoffset() is None:
        raise ValueError("a date and time needs a time zone (XEP-0082)")
    try:
        return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    except OverflowError:
        raise ValueError(f"{value} is out of range in UTC") from None


def _encode_jid(value: JID) -> str:
    if not isinstance(value, JID):
        raise TypeError(f"expected a JID, got {type(value).__name__}")
    return str(value)


_CODECS: Final[dict[Any, Codec[Any]]] = {
    str: Codec(identity, identity),
    # Of int itself: whatever a subclass makes of str() is not meant for the wire.
    int: Codec(_decode_int, int.__repr__),
    bool: Codec(_decode_bool, _encode_bool),
    float: Codec(_decode_float, _encode_float),
    bytes: Codec(_decode_bytes, lambda value: base64.b64encode(value).decode()),
    datetime: Codec(_decode_datetime, _encode_datetime),
    JID: Codec(JID.parse_inbound, _encode_jid),
}


def codec_for(cls: Any) -> Codec[Any]:
    """The codec for values of class `cls`. Raises TypeError if there is none."""
    if cls in _CODECS:
        return _CODECS[cls]
    if isinstance(cls, type) and issubclass(cls, enum.Enum):
        return _codec_for_enum(cls)
    raise TypeError(f"there is no codec for {cls!r}: give the field one")


def _codec_for_enum(cls: type[enum.Enum]) -> Codec[Any]:
    """By value. White space around it is tolerated, unless it belongs to a value."""
    members = {str(member.value): member for member in cls}

    def decode(text: str) -> enum.Enum:
        for key in (text, text.strip()):
            if key in members:
                return members[key]
        raise ValueError(f"not one of {', '.join(members)}")

    def encode(member: enum.Enum) -> str:
        if not isinstance(member, cls):
            raise TypeError(f"expected a {cls.__name__}, got {type(member).__name__}")
        return str(member.value)

    return Codec(decode, encode)
