"""Codecs that a field names, and those of dates, times, offsets, durations and addresses."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import JID, xml
from trioxmpp.xml.codec import codec_for

Seconds = NewType("Seconds", int)
Byte = Annotated[int, xml.integer(0, 255)]
WEST = timezone(timedelta(hours=-3, minutes=-30))


def codec(of: Any) -> xml.Codec[Any]:
    return of if isinstance(of, xml.Codec) else codec_for(of)


@pytest.mark.parametrize(
    ("of", "text", "value"),
    [
        (Decimal, "-1.50", Decimal("-1.50")),
        (date, "1776-07-04", date(1776, 7, 4)),
        (time, "16:00:00", time(16)),
        (time, "16:00:00.500000Z", time(16, microsecond=500000, tzinfo=UTC)),
        (time, "16:00:00-03:30", time(16, tzinfo=WEST)),
        (timezone, "-03:30", WEST),
        (timezone, "+05:45", timezone(timedelta(hours=5, minutes=45))),
        (timezone, "Z", UTC),
        (Seconds, "7", 7),
        (Byte, "255", 255),
        (Literal["get", "set"], "set", "set"),
        (xml.integer(low=-1), "-1", -1),
        (xml.HEX, "00ff", b"\0\xff"),
        (xml.URI, "xmpp:juliet@example.org?message", "xmpp:juliet@example.org?message"),
        (xml.LANGUAGE, "zh-Hant-TW", "zh-Hant-TW"),
        (xml.lenient(int), "7", 7),
        (JID, "romeo@example.org/x y", JID("romeo", "example.org", "x y")),
        (timedelta, "PT0S", timedelta()),
        (timedelta, "P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        (timedelta, "-PT1M30S", timedelta(seconds=-90)),
        (timedelta, "PT0.000001S", timedelta(microseconds=1)),
        (timedelta, "P7D", timedelta(weeks=1)),
        (float, "0.0000001", 1e-7),
        (float, "123000000000000000000", 1.23e20),
        (float, "-0.00000000000000000012", -1.2e-19),
        (time, "16:00:00+23:59", time(16, tzinfo=timezone(timedelta(hours=23, minutes=59)))),
    ],
)
def test_a_codec_reads_and_writes_a_value(of: Any, text: str, value: object) -> None:
    decoded = codec(of).decode(f" {text}\n")
    assert (decoded, type(decoded)) == (value, type(value))
    written = codec(of).encode(value)
    assert codec(of).decode(written) == value
    assert written == text


@pytest.mark.parametrize(
    ("of", "texts"),
    [
        (Decimal, ["", "1e3", "INF", "1,5", "NaN", "."]),
        (date, ["", "2026-2-3", "20260203", "2026-02-30", "2026-02-03Z"]),
        (time, ["", "16:00", "25:00:00", "16:00:00+1"]),
        (timezone, ["", "0", "+24:00", "-03:60", "z", "0330", "+3:30"]),
        (Byte, ["-1", "256", "x"]),
        (Literal["get", "set"], ["", "result", "GET"]),
        (xml.HEX, ["0", "0g", "0x00"]),
        (xml.URI, ["", "example.org", "http://a b", "1:x", "x:<y>", "x:\n y"]),
        (xml.LANGUAGE, ["", "de_DE", "-de", "deutschland", "de-"]),
        (
            timedelta,
            ["", "P", "PT", "1D", "P1D2H", "PT1.S", "PT1H1D", "P1Y", "P2M", "P-1D", "P9999999999D", "P999999999W"],
        ),
        (time, ["16:00:00+01:60", "16:00:00-24:00", "16:00:00+99:00"]),
        (timezone, ["+01:60", "-24:00", "+99:99"]),
        (
            datetime,
            [f"2024-01-01T00:00:00{zone}" for zone in ("+01:60", "+24:00", "-99:00", "+1:00", "+0100", "+01:00:00")],
        ),
        (JID, ["", " ", "\n", "@b", " a@ "]),
    ],
)
def test_a_malformed_text_is_a_value_error(of: Any, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ValueError):  # noqa: PT011  (any message will do)
            codec(of).decode(text)


@pytest.mark.parametrize(
    ("of", "value", "error"),
    [
        (Decimal, Decimal("Infinity"), ValueError),
        (Decimal, 1.5, TypeError),
        (date, datetime(2026, 2, 3), TypeError),
        (time, "16:00:00", TypeError),
        (timezone, timezone(timedelta(seconds=30)), ValueError),
        (timezone, "Z", TypeError),
        (Byte, 256, ValueError),
        (Byte, "1", TypeError),
        (Literal["get", "set"], "result", TypeError),
        (xml.HEX, "00", TypeError),
        (xml.URI, "example.org", ValueError),
    ],
)
def test_a_value_outside_the_codec_is_not_written(of: Any, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        codec(of).encode(value)


def test_a_lenient_codec_reads_a_malformed_text_as_none() -> None:
    assert xml.lenient(int).decode("soon") is None
    assert xml.lenient(xml.integer(0, 9)).decode("10") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P1W", timedelta(weeks=1)),
        ("P0Y0M1D", timedelta(days=1)),
        ("PT36H", timedelta(days=1, hours=12)),
        ("PT90S", timedelta(seconds=90)),
        ("PT0.1234567S", timedelta(microseconds=123456)),
        ("-P0D", timedelta()),
    ],
)
def test_other_forms_of_durations_are_read(text: str, value: timedelta) -> None:
    assert codec_for(timedelta).decode(text) == value


@given(st.timedeltas())
def test_durations_survive(value: timedelta) -> None:
    assert codec_for(timedelta).decode(codec_for(timedelta).encode(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_as_a_decimal(value: float) -> None:
    text = codec_for(float).encode(value)
    assert codec_for(float).decode(text) == value
    assert codec_for(Decimal).decode(text) == Decimal(repr(value))


def test_white_space_around_an_address_is_no_part_of_it() -> None:
    for text in ("\n  romeo@example.org/x\n", "\tromeo@example.org/x ", " romeo@example.org/x"):
        assert codec_for(JID).decode(text) == JID("romeo", "example.org", "x")
