"""Text to values and back.

A codec reads what XML Schema and the XEPs allow, with white space around it, and writes one canonical form. Nothing but
ValueError leaves `decode`, since a peer chooses the text.
"""

from __future__ import annotations

import base64
import enum
import math
import re
import typing
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar, cast

from ..jid import JID
from . import times

__all__ = ["HEX", "LANGUAGE", "URI", "Codec", "codec_for", "identity", "integer", "lenient", "open_codec_for"]

T = TypeVar("T")


class Codec(Generic[T]):
    """How a value is written in XML.

    `decode` raises ValueError for a text that is not such a value; `encode` raises ValueError for a value that cannot
    be written, TypeError for an object of another class. `is_plain` promises that no text which `encode` returns needs
    to be escaped. A lenient codec has the codec that it was made of as `strict`.
    """

    __slots__ = ("decode", "encode", "is_plain", "strict")

    strict: Codec[Any] | None

    def __init__(self, decode: Callable[[str], T], encode: Callable[[T], str], *, is_plain: bool = False) -> None:
        self.decode: Callable[[str], T] = decode
        self.encode: Callable[[T], str] = encode
        self.is_plain: bool = is_plain
        self.strict = None


_INT: Final = re.compile(r"[+-]?[0-9]{1,400}")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_SPACE: Final = " \t\r\n"
_NAMED_FLOATS: Final = {"INF": math.inf, "-INF": -math.inf, "NaN": math.nan}
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f]*")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")


def identity(text: str) -> str:
    """Return the text itself; generated code leaves this function out."""
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
        text = repr(float(value))  # an int will do as well
        # Readers of xs:decimal do not take an exponent.
        return f"{Decimal(text):f}" if "e" in text else text
    return "NaN" if math.isnan(value) else ("INF" if value > 0 else "-INF")


def _decode_bytes(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("not base64") from None


def _decode_jid(text: str) -> JID:
    return JID.parse_inbound(text.strip(_SPACE))


def _encode_jid(value: JID) -> str:
    if not isinstance(value, JID):
        raise TypeError(f"expected a JID, got {type(value).__name__}")
    return str(value)


def _decode_decimal(text: str) -> Decimal:
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal number")
    return Decimal(text)


def _encode_decimal(value: Decimal) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"expected a Decimal, got {type(value).__name__}")
    if not value.is_finite():
        raise ValueError(f"{value} is not a number that XML Schema can write as a decimal")
    return f"{value:f}"


def _decode_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        raise ValueError("not hexadecimal") from None


def _matching(pattern: re.Pattern[str], what: str) -> Codec[str]:
    """Return the codec of strings that match `pattern`, ignoring white space around them."""

    def decode(text: str) -> str:
        text = text.strip()
        if not pattern.fullmatch(text):
            raise ValueError(f"not {what}")
        return text

    return Codec(decode, decode)


def integer(low: int | None = None, high: int | None = None) -> Codec[int]:
    """Return the codec of an int from `low` to `high`, both included; None is no bound."""

    def check(value: int) -> int:
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(
                f"{value} is not between {'-∞' if low is None else low} and {'∞' if high is None else high}"
            )
        return value

    return Codec(lambda text: check(_decode_int(text)), lambda value: int.__repr__(check(value)), is_plain=True)


def lenient(of: type[T] | Codec[T]) -> Codec[T | None]:
    """Return a codec that reads a malformed value as None.

    The object keeps the malformed text, and writes it again; `malformed` returns it.
    """
    strict: Codec[T] = of if isinstance(of, Codec) else codec_for(of)

    def decode(text: str) -> T | None:
        try:
            return strict.decode(text)
        except ValueError:
            return None

    # None is never written.
    codec = Codec(decode, cast(Callable[[T | None], str], strict.encode), is_plain=strict.is_plain)
    codec.strict = strict
    return codec


#: The codec of bytes as hexadecimal digits.
HEX: Final = Codec(_decode_hex, bytes.hex, is_plain=True)
#: The codec of a string that is a URI, or an IRI, with its scheme (RFC 3986 §3).
URI: Final = _matching(_URI, "a URI")
#: The codec of a string that is a language tag (RFC 5646 §2.1).
LANGUAGE: Final = _matching(_LANGUAGE, "a language tag")

_CODECS: Final[dict[Any, Codec[Any]]] = {
    str: Codec(identity, identity),
    # The repr of int itself: a subclass may have a str() that is not meant for the wire.
    int: Codec(_decode_int, int.__repr__, is_plain=True),
    bool: Codec(_decode_bool, _encode_bool, is_plain=True),
    float: Codec(_decode_float, _encode_float, is_plain=True),
    Decimal: Codec(_decode_decimal, _encode_decimal, is_plain=True),
    bytes: Codec(_decode_bytes, lambda value: base64.b64encode(value).decode(), is_plain=True),
    datetime: Codec(times.decode_datetime, times.encode_datetime, is_plain=True),
    date: Codec(times.decode_date, times.encode_date, is_plain=True),
    time: Codec(times.decode_time, times.encode_time, is_plain=True),
    timezone: Codec(times.decode_offset, times.encode_offset, is_plain=True),
    timedelta: Codec(times.decode_duration, times.encode_duration, is_plain=True),
    JID: Codec(_decode_jid, _encode_jid),
}


def codec_for(cls: Any) -> Codec[Any]:
    """Return the codec for `cls`: a class, an enum, ``Literal["a", "b"]``, ``Annotated[str, codec]``, a NewType.

    Raises TypeError if there is none.
    """
    if isinstance(cls, typing.NewType):
        return codec_for(cls.__supertype__)
    origin = typing.get_origin(cls)
    if origin is typing.Annotated:
        given = [extra for extra in cls.__metadata__ if isinstance(extra, Codec)]
        return given[0] if given else codec_for(cls.__origin__)
    if origin is typing.Literal and all(isinstance(choice, str) for choice in typing.get_args(cls)):
        return _codec_for_choice(typing.get_args(cls))
    if cls in _CODECS:
        return _CODECS[cls]
    if isinstance(cls, type) and issubclass(cls, enum.Enum):
        return _codec_for_enum(cls)
    raise TypeError(f"there is no codec for {cls!r}: give the field one")


def open_codec_for(cls: Any) -> Codec[Any] | None:
    """Return the codec for ``cls | str`` where `cls` is an enum or a Literal: an unknown text is the value itself.

    None if `cls` is neither.
    """
    if not (isinstance(cls, type) and issubclass(cls, enum.Enum)) and typing.get_origin(cls) is not typing.Literal:
        return None
    closed = codec_for(cls)

    def decode(text: str) -> Any:
        try:
            return closed.decode(text)
        except ValueError:
            return text

    def encode(value: Any) -> str:
        return value if type(value) is str else closed.encode(value)

    return Codec(decode, encode)


def _choices(values: Iterable[tuple[str, T]]) -> Callable[[str], T]:
    """Return the function that maps a text to its value, ignoring white space around it that is no part of one."""
    by_text = dict(values)

    def decode(text: str) -> T:
        found = by_text.get(text)
        if found is None and (found := by_text.get(text.strip())) is None:
            raise ValueError(f"not one of {', '.join(by_text)}")
        return found

    return decode


def _codec_for_choice(choices: tuple[str, ...]) -> Codec[str]:
    decode = _choices((choice, choice) for choice in choices)

    def encode(value: str) -> str:
        if value not in choices:
            raise TypeError(f"expected one of {', '.join(choices)}, got {value!r}")
        return value

    return Codec(decode, encode)


def _codec_for_enum(cls: type[enum.Enum]) -> Codec[Any]:
    """Return the codec that writes a member by its value."""

    def encode(member: enum.Enum) -> str:
        if not isinstance(member, cls):
            raise TypeError(f"expected a {cls.__name__}, got {type(member).__name__}")
        return str(member.value)

    return Codec(_choices((str(member.value), member) for member in cls), encode)
