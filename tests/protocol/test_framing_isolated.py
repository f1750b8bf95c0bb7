"""A framing that keeps no parser between two reads gives the same, at a cost that grows with the length alone."""

from __future__ import annotations

import sys
from typing import Any

from trioxmpp import xml
from trioxmpp.protocol.framing import Framing

HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
STREAM = (
    b"<message><body>one</body><message/><x xmlns='urn:x'><![CDATA[</message>]]></x></message> <presence/>"
    b"<iq type='get' id='1'><message xmlns='urn:y'>\xc3\xa4&gt;</message></iq><message a='>'><body>end</body></message>"
)


def isolated() -> Framing:
    framing = Framing()
    framing.feed(HEADER)
    framing.isolate()
    return framing


def shown(events: list[Any]) -> list[str]:
    return [xml.serialise(event) for event in events]


def calls_for(pieces: int) -> int:
    """The calls that a message takes if it comes in that many pieces of 2,000 octets."""
    framing, count, events = isolated(), 0, []

    def counts(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counts)
    try:
        for data in (b"<message><body>", *[b"a>b&lt;" + b"x" * 1993] * pieces, b"</body></message>"):
            events += framing.feed(data)[0]
    finally:
        sys.setprofile(None)
    assert len(events) == 1
    return count


def test_it_gives_the_same_wherever_it_is_cut() -> None:
    whole = shown(isolated().feed(STREAM)[0])
    assert len(whole) == 4
    for first in range(len(STREAM)):
        for second in (first, (first + len(STREAM)) // 2):
            framing, events = isolated(), []
            for piece in (STREAM[:first], STREAM[first:second], STREAM[second:]):
                found, error = framing.feed(piece)
                assert error is None
                events += found
            assert shown(events) == whole, (first, second)
            assert framing.between


def test_damage_behind_a_cut_is_an_error_as_it_is_without_one() -> None:
    for damage in (b"</body></presence>", b"& </body>", b"<a></b>", b"\0", b"<!-- -->"):
        framing = isolated()
        assert framing.feed(b"<message><body>Good ")[1] is None
        framing.feed(b"night")
        for data in (damage, b"</body></message>"):
            error = framing.feed(data)[1]
        assert error is not None, damage


def test_damage_in_a_tag_is_an_error_as_soon_as_it_is_without_isolation() -> None:
    damages = {
        b"<pr#0'/a b='c'>&x'>": True,  # the parser looks for the end of the tag, and we for what must not be in it
        b"<a b='&amp>": True,
        b"<a b='>' c='<!-->": True,
        b"<a b='>&amp;>' c=\">&\">": True,
        "<\u00d7>".encode(): True,
        "<a \u00b7=''>".encode(): True,
        "<a c='>' b\u00d7=''>".encode(): True,
        "<\u00e4 \u00f6='\u00d7&gt;>' b\u00b7=\"\u00d7>\" \u00d7=''>".encode(): True,
        "<\u00e4 \u00f6='\u00d7&gt;>' b\u00b7=\"\u00d7>\">".encode(): False,
        b"<a b='>' c='/>": False,
        b"<c></c '>": True,
    }
    for begun in (b"", b"<message>", b"<message><body a='>'>text</body>"):
        for markup, is_damaged in damages.items():
            for framing in (Framing(), isolated()):
                if framing.fast_path_limit == 0:
                    framing.feed(HEADER)
                framing.feed(begun)
                errors = [framing.feed(bytes([octet]))[1] for octet in markup]
                assert (errors[-1] is not None) is is_damaged, (begun, markup, errors[-1])


def test_the_cost_of_a_long_stanza_in_small_pieces_is_that_of_its_length() -> None:
    assert calls_for(800) < 2.5 * calls_for(400)
