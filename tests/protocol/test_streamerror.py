"""RFC 6120 §4.9: stream errors, written and read."""

from __future__ import annotations

import pytest
from lxml import etree

from trioxmpp.errors import StreamCondition, StreamError
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import Framing, header, parse_stream_error, stream_error

HEADER = header(to="example.org")
C = StreamCondition


def round_trip(error: StreamError) -> StreamError:
    (_, element), refusal = Framing().feed(HEADER + stream_error(error))
    assert refusal is None
    assert isinstance(element, etree._Element)
    return parse_stream_error(element)


@pytest.mark.parametrize("condition", list(StreamCondition))
def test_stream_errors_round_trip(condition: StreamCondition) -> None:
    error = round_trip(StreamError(condition, "it's <that> & so", by_us=True))
    assert (error.condition, error.text, error.application) == (condition, "it's <that> & so", None)
    assert not error.by_us
    assert round_trip(StreamError(condition)).text is None


def test_a_stream_error_with_an_application_specific_condition() -> None:
    error = round_trip(StreamError(C.RESET, application="<why xmlns='urn:x'>so</why>"))
    assert error.application is not None
    assert etree.fromstring(error.application).tag == "{urn:x}why"


def test_a_stream_error_is_written_whatever_its_text() -> None:
    assert round_trip(StreamError(C.RESET, "a\0b\ud800c")).text == "a\ufffdb\ufffdc"


def fragment(inner: str) -> StreamError:
    return parse_stream_error(
        etree.fromstring(f"<e:error xmlns:e='{ns.STREAM}' xmlns='{ns.STREAM_ERRORS}'>{inner}</e:error>")
    )


@pytest.mark.parametrize(
    ("inner", "condition", "text"),
    [
        ("", C.UNDEFINED_CONDITION, None),
        ("<new-condition/>", C.UNDEFINED_CONDITION, None),
        ("<text>a</text><conflict/><text xml:lang='de'>b</text>", C.CONFLICT, "a"),
        ("<conflict/><reset/>", C.CONFLICT, None),
        ("<conflict>why</conflict>", C.CONFLICT, "why"),
        ("<see-other-host> a.example:5222\n</see-other-host>", C.SEE_OTHER_HOST, "a.example:5222"),
        ("<see-other-host>a.example</see-other-host><text>moved</text>", C.SEE_OTHER_HOST, "a.example"),
        ("<see-other-host/><text>moved</text>", C.SEE_OTHER_HOST, "moved"),
        ("<!-- x --><?y z?>text<conflict/>", C.CONFLICT, None),
        ("<x xmlns=''/><conflict xmlns='urn:x'/>", C.UNDEFINED_CONDITION, None),
    ],
)
def test_reading_stream_errors(inner: str, condition: StreamCondition, text: str | None) -> None:
    error = fragment(inner)
    assert (error.condition, error.text) == (condition, text)


def read(inner: str) -> StreamError:
    element = etree.fromstring(f"<error xmlns='{ns.STREAM}'>{inner}</error>")
    return parse_stream_error(element)


def test_texts_in_several_languages_are_kept() -> None:
    text = f"<text xmlns='{ns.STREAM_ERRORS}'"
    error = read(
        f"<conflict xmlns='{ns.STREAM_ERRORS}'/>{text} xml:lang='en'>Taken</text>{text} xml:lang='de'>Weg</text>"
    )
    assert (error.texts, error.text) == ({"en": "Taken", "de": "Weg"}, "Taken")


def test_the_name_of_an_unknown_condition_is_kept() -> None:
    error = read(f"<too-much-coffee xmlns='{ns.STREAM_ERRORS}'/>")
    assert (error.condition, error.condition_name) == (C.UNDEFINED_CONDITION, "too-much-coffee")
    assert "too-much-coffee" in str(error)


def test_a_text_of_the_server_is_cut_and_cleaned() -> None:
    """F17: into an exception, and from there into logs and terminals."""
    evil = "ERROR&#10;&#13;root: \u202e&#x9b;31m" + "x" * 700_000
    for inner in (
        f"<conflict/><text>{evil}</text>",
        f"<conflict>{evil}</conflict>",
        f"<see-other-host>{evil}</see-other-host>",
        f"<x xmlns='urn:x'>{evil}</x>",
    ):
        error = fragment(inner)
        assert len(str(error)) < 600, inner[:60]
        assert str(error).isprintable(), inner[:60]
        assert len(error.application or "") < 5000
