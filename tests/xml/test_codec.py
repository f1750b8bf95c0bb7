"""Codecs of the standard types: text to values and back."""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import JID
from trioxmpp.xml.codec import codec_for


class Sky(enum.Enum):
    CLEAR = "clear"
    NONE = ""
    SPACED = " x "


class Level(enum.IntEnum):
    LOW = 0
    HIGH = 1


class Name(str, enum.Enum):  # noqa: UP042  (its str() is another one)
    EMPTY = ""
    A = "a"


@pytest.mark.parametrize(
    ("cls", "text", "value"),
    [
        (str, " as it is\n", " as it is\n"),
        (int, " +7\n", 7),
        (int, "-0012", -12),
        (bool, "true", True),
        (bool, " 1 ", True),
        (bool, "false", False),
        (bool, "0", False),
        (float, "1.5", 1.5),
        (float, ".5", 0.5),
        (float, "5.", 5.0),
        (float, "-1E+3", -1000.0),
        (float, "INF", math.inf),
        (float, "-INF", -math.inf),
        (bytes, "", b""),
        (bytes, " AA\n==\t", b"\0"),
        (JID, "Romeo@Example.org/Orchard", JID("romeo", "example.org", "Orchard")),
        (Sky, "\nclear ", Sky.CLEAR),
        (Sky, "", Sky.NONE),
        (Sky, " x ", Sky.SPACED),
        (Level, "0", Level.LOW),
        (Name, "", Name.EMPTY),
        (Name, "a", Name.A),
    ],
)
def test_a_codec_reads_each_form_of_a_value(cls: Any, text: str, value: object) -> None:
    decoded = codec_for(cls).decode(text)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2002-09-10T23:08:25Z", datetime(2002, 9, 10, 23, 8, 25, tzinfo=UTC)),
        (" 2002-09-10T23:08:25Z\n", datetime(2002, 9, 10, 23, 8, 25, tzinfo=UTC)),
        ("1969-07-20T21:56:15-05:00", datetime(1969, 7, 21, 2, 56, 15, tzinfo=UTC)),
        ("2002-09-10T23:08:25.1234567899Z", datetime(2002, 9, 10, 23, 8, 25, 123456, tzinfo=UTC)),
        ("2002-09-10T23:08:25", datetime(2002, 9, 10, 23, 8, 25, tzinfo=UTC)),
        ("20020910T23:41:07", datetime(2002, 9, 10, 23, 41, 7, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("20161231T23:59:60", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T00:59:60.5+01:00", datetime(2017, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_a_date_and_time_is_read_in_utc(text: str, value: datetime) -> None:
    decoded = codec_for(datetime).decode(text)
    assert decoded == value
    assert decoded.tzinfo is UTC


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        *((int, text) for text in ("", "1.0", "0x1", "1_0", "\u0661", "9" * 401, "--1")),
        *((bool, text) for text in ("", "True", "yes", "2")),
        *((float, text) for text in ("", ".", "inf", "nan", "1_0", "1,5", "0x1p3")),
        *((bytes, text) for text in ("A", "A===", "AA=A", "ä", "AA*=")),
        *((JID, text) for text in ("", "@example.org", "a@b/")),
        *((Sky, text) for text in ("Clear", "cloudy")),
        *(
            (datetime, text)
            for text in (
                "",
                "2002-09-10",
                "23:08:25Z",
                "2002-09-10 23:08:25Z",
                "2002-0910T23:08:25Z",
                "2002-W37-2T23:08:25Z",
                "2002-13-10T23:08:25Z",
                "2002-09-10T23:08:61Z",
                "2002-09-10T23:60:25Z",
                "2002-09-10T23:08:25+25:00",
                "0001-01-01T00:00:00+05:00",
                "9999-12-31T23:59:60Z",
                "\uff12002-09-10T23:08:25Z",
            )
        ),
    ],
)
def test_a_malformed_text_is_a_value_error(cls: Any, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (any message will do)
        codec_for(cls).decode(text)


@pytest.mark.parametrize(
    ("cls", "value", "text"),
    [
        (int, True, "1"),
        (int, Level.HIGH, "1"),
        (bool, False, "false"),
        (float, 3, "3.0"),
        (float, math.nan, "NaN"),
        (float, -math.inf, "-INF"),
        (bytes, b"\0", "AA=="),
        (datetime, datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))), "2020-01-02T02:04:05Z"),
        (datetime, datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2020-01-02T03:04:05.000006Z"),
        (Sky, Sky.CLEAR, "clear"),
        (Level, Level.LOW, "0"),
        (Name, Name.A, "a"),
    ],
)
def test_a_codec_writes_the_canonical_form(cls: Any, value: object, text: str) -> None:
    assert codec_for(cls).encode(value) == text


@pytest.mark.parametrize("value", [datetime(2020, 1, 1), datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))])
def test_a_time_without_zone_or_out_of_range_is_not_written(value: datetime) -> None:
    with pytest.raises(ValueError, match=r"time zone|out of range"):
        codec_for(datetime).encode(value)


@pytest.mark.parametrize(
    ("cls", "value"),
    [(int, "1"), (int, None), (int, 1.0), (bool, 1), (float, "1"), (bytes, "x"), (JID, "a@b"), (Sky, "clear")],
)
def test_values_of_another_class_are_refused(cls: Any, value: object) -> None:
    with pytest.raises(TypeError):
        codec_for(cls).encode(value)


@pytest.mark.parametrize("cls", [object, list[int], int | str])
def test_a_class_without_a_codec_is_a_type_error(cls: Any) -> None:
    with pytest.raises(TypeError, match="no codec"):
        codec_for(cls)


@given(st.integers() | st.booleans() | st.floats(allow_nan=False) | st.binary() | st.datetimes(timezones=st.just(UTC)))
def test_a_value_survives_writing_and_reading(value: object) -> None:
    codec = codec_for(type(value))
    assert codec.decode(codec.encode(value)) == value


@given(st.text())
def test_decoding_fails_only_with_value_errors(text: str) -> None:
    for cls in (int, bool, float, bytes, datetime, JID, Sky):
        try:
            codec_for(cls).decode(text)
        except ValueError:
            continue
