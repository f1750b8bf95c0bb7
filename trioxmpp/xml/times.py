"""Dates, times and offsets (XEP-0082), and durations (ISO 8601, as XML Schema Part 2 §3.2.6 writes them)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

__all__ = [
    "decode_date",
    "decode_datetime",
    "decode_duration",
    "decode_offset",
    "decode_time",
    "encode_date",
    "encode_datetime",
    "encode_duration",
    "encode_offset",
    "encode_time",
]

# Python takes +01:60 for +02:00.
_ZONE: Final = r"(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_DATETIME: Final = re.compile(
    rf"((?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{8}})T\d{{2}}:\d{{2}}:)(\d{{2}})((?:\.\d+)?{_ZONE}?)", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME: Final = re.compile(rf"\d{{2}}:\d{{2}}:\d{{2}}(?:\.\d+)?{_ZONE}?", re.ASCII)
_OFFSET: Final = re.compile(r"Z|([+-])([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DURATION: Final = re.compile(
    r"(-?)P(?=[0-9T])(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?=\d)(?:(\d{1,12})H)?(?:(\d{1,12})M)?(?:(\d{1,12})(?:\.(\d+))?S)?)?",
    re.ASCII,
)
_TWO_DIGITS: Final = tuple([f"{number:02}" for number in range(60)])


def decode_datetime(text: str) -> datetime:
    """Read a date and time (XEP-0082 §3.2), also without dashes (XEP-0091). Without an offset it is in UTC."""
    match = _DATETIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a date and time (XEP-0082)")
    start, second, end = match.groups()
    # Python has no leap seconds: the 60th second is read as the one after the 59th.
    is_leap = second == "60"
    try:
        value = datetime.fromisoformat(f"{start}59{end}" if is_leap else f"{start}{second}{end}")
        if value.tzinfo is not UTC:  # as it is for "Z"
            value = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        return value + timedelta(seconds=1) if is_leap else value
    except OverflowError:
        raise ValueError("out of range") from None


def encode_datetime(value: datetime) -> str:
    """Write a date and time in UTC, as XEP-0082 §3.2 recommends. ValueError if it has no time zone."""
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
    """Read a date (XEP-0082 §3.1)."""
    text = text.strip()
    if not _DATE.fullmatch(text):
        raise ValueError("not a date (XEP-0082)")
    return date.fromisoformat(text)


def encode_date(value: date) -> str:
    """Write a date (XEP-0082 §3.1)."""
    if isinstance(value, datetime) or not isinstance(value, date):
        raise TypeError(f"expected a date, got {type(value).__name__}")
    return value.isoformat()


def decode_time(text: str) -> time:
    """Read a time (XEP-0082 §3.3). It may have no zone; the protocol that uses it says what that means."""
    text = text.strip()
    if not _TIME.fullmatch(text):
        raise ValueError("not a time (XEP-0082)")
    return time.fromisoformat(text)


def encode_time(value: time) -> str:
    """Write a time with the zone that it has (XEP-0082 §3.3): without a date it cannot be converted to UTC."""
    if not isinstance(value, time):
        raise TypeError(f"expected a time, got {type(value).__name__}")
    offset = value.utcoffset()
    if offset is None:
        return value.isoformat()
    return value.replace(tzinfo=None).isoformat() + encode_offset(timezone(offset))


def decode_offset(text: str) -> timezone:
    """Read how far a time zone is ahead of UTC: ``-06:00``, ``Z`` (XEP-0082 §2)."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an offset from UTC (XEP-0082)")
    sign, hours, minutes = match.groups()
    if sign is None:
        return UTC
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


def encode_offset(value: timezone) -> str:
    """Write an offset as ``Z`` or ``-06:00``."""
    if not isinstance(value, timezone):
        raise TypeError(f"expected a timezone, got {type(value).__name__}")
    minutes, seconds = divmod(round(value.utcoffset(None).total_seconds()), 60)
    if seconds:
        raise ValueError(f"{value} is not a whole number of minutes away from UTC")
    hours, minutes = divmod(abs(minutes), 60)
    return f"{'-' if value.utcoffset(None) < timedelta() else '+'}{hours:02}:{minutes:02}" if hours or minutes else "Z"


def decode_duration(text: str) -> timedelta:
    """Read a duration: ``PT90S``, ``P1DT2H30M``, ``-P1W``.

    ValueError if it has years or months, which have no fixed length, unless there are 0 of them.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a duration (ISO 8601)")
    sign, years, months, *parts, fraction = match.groups()
    if int(years or 0) or int(months or 0):
        raise ValueError("a duration of years or months has no fixed length")
    weeks, days, hours, minutes, seconds = [int(part or 0) for part in parts]
    microseconds = int((fraction or "")[:6].ljust(6, "0"))
    try:
        value = timedelta(days, seconds, microseconds, 0, minutes, hours, weeks)
    except OverflowError:
        raise ValueError("out of range") from None
    return -value if sign else value


def encode_duration(value: timedelta) -> str:
    """Write a duration in days, hours, minutes and seconds: ``P1DT2H30M``, ``PT0S``."""
    if not isinstance(value, timedelta):
        raise TypeError(f"expected a timedelta, got {type(value).__name__}")
    length = abs(value)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06}".rstrip("0") if length.microseconds else ""
    day = f"{length.days}D" if length.days else ""
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if seconds or fraction or not (day or clock):
        clock += f"{seconds}{fraction}S"
    return f"{'-' if value < timedelta() else ''}P{day}{'T' + clock if clock else ''}"
