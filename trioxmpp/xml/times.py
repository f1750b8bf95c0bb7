"""Dates and times as XEP-0082 has them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

__all__ = [
    "decode_date",
    "decode_datetime",
    "decode_offset",
    "decode_time",
    "encode_date",
    "encode_datetime",
    "encode_offset",
    "encode_time",
]

_DATETIME: Final = re.compile(
    r"((?:\d{4}-\d{2}-\d{2}|\d{8})T\d{2}:\d{2}:)(\d{2})((?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?)", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME: Final = re.compile(r"\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?", re.ASCII)
_OFFSET: Final = re.compile(r"Z|([+-])(\d{2}):(\d{2})", re.ASCII)
_TWO_DIGITS: Final = tuple([f"{number:02}" for number in range(60)])


def decode_datetime(text: str) -> datetime:
    """XEP-0082 §3.2, and the form without dashes of XEP-0091. Without an offset it is UTC."""
    match = _DATETIME.fullmatch(text.strip())
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


def encode_datetime(value: datetime) -> str:
    """In UTC, as it always should be."""
    if value.tzinfo is UTC and not value.microsecond:
        # As isoformat() does, in a third of its time.
        day = f"{value.year:04}-{_TWO_DIGITS[value.month]}-{_TWO_DIGITS[value.day]}"
        return f"{day}T{_TWO_DIGITS[value.hour]}:{_TWO_DIGITS[value.minute]}:{_TWO_DIGITS[value.second]}Z"
    if value.utcoffset() is None:
        raise ValueError("a date and time needs a time zone (XEP-0082)")
    try:
        return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    except OverflowError:
        raise ValueError(f"{value} is out of range in UTC") from None


def decode_date(text: str) -> date:
    """XEP-0082 §3.1."""
    text = text.strip()
    if not _DATE.fullmatch(text):
        raise ValueError("not a date (XEP-0082)")
    return date.fromisoformat(text)


def encode_date(value: date) -> str:
    """XEP-0082 §3.1."""
    if isinstance(value, datetime) or not isinstance(value, date):
        raise TypeError(f"expected a date, got {type(value).__name__}")
    return value.isoformat()


def decode_time(text: str) -> time:
    """XEP-0082 §3.3. A time may have no zone; what it means then is up to who uses it."""
    text = text.strip()
    if not _TIME.fullmatch(text):
        raise ValueError("not a time (XEP-0082)")
    return time.fromisoformat(text)


def encode_time(value: time) -> str:
    """XEP-0082 §3.3, with the zone that the time has: without a date it cannot be had in another."""
    if not isinstance(value, time):
        raise TypeError(f"expected a time, got {type(value).__name__}")
    offset = value.utcoffset()
    if offset is None:
        return value.isoformat()
    return value.replace(tzinfo=None).isoformat() + encode_offset(timezone(offset))


def decode_offset(text: str) -> timezone:
    """How far a time zone is ahead of UTC: ``-06:00``, ``Z`` (XEP-0082 §2)."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an offset from UTC (XEP-0082)")
    sign, hours, minutes = match.groups()
    if sign is None:
        return UTC
    if int(minutes) > 59:
        raise ValueError("not an offset from UTC (XEP-0082)")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


def encode_offset(value: timezone) -> str:
    """As ``Z`` or ``-06:00``."""
    if not isinstance(value, timezone):
        raise TypeError(f"expected a timezone, got {type(value).__name__}")
    minutes, seconds = divmod(round(value.utcoffset(None).total_seconds()), 60)
    if seconds:
        raise ValueError(f"{value} is not a whole number of minutes away from UTC")
    hours, minutes = divmod(abs(minutes), 60)
    return f"{'-' if value.utcoffset(None) < timedelta() else '+'}{hours:02}:{minutes:02}" if hours or minutes else "Z"
