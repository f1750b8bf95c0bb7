"""Much at once is read as little by little: another way, and the same comes of it."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from trioxmpp import ElementError, StreamCondition, xml
from trioxmpp.protocol.bulk import BULK, read_bulk
from trioxmpp.protocol.framing import Framing, header
from trioxmpp.protocol.websocket import DocumentFraming

CHAT = b"<message from='juliet@example.org' type='chat'><body>Art thou not Romeo?</body></message>"
ARCHIVED = b"<message><f xmlns='urn:f'><message xmlns='jabber:client'><body>b</body></message></f></message>"
USUAL = (CHAT, ARCHIVED, b"<presence/>", b"<iq type='result' id='1'><query xmlns='q'/></iq>", b"\n")
NONZAS = (b"<r xmlns='urn:xmpp:sm:3'/>", b"<a xmlns='urn:xmpp:sm:3' h='1'/>")
ODD = (
    *(b"<message>", b"</message>", b"</presence>", b"<iq>", b"</iq>", b"<body>", b"</body>"),
    *(b"<x xmlns='urn:x'>", b"</x>"),
    *(b"text", b"&amp;", b"&#32;", b"&foo;", b"\xff", b"\xc3\xa9", b"\0", b" "),
    *(b"<!-- -->", b"<![CDATA[x]]>", b"<?pi?>", b"<y:z/>", b"<q a='>' b=\"<\"/>", b"<q a='1' a='2'/>", b"<q a='>'/>"),
    *(b"<stream:error>", b"</stream:error>", b"<stream:features/>", b"</stream:stream>"),
)
BEGINNING = header(to=None, from_="example.org") + CHAT + b"<presence/><iq/>" + b"".join(NONZAS)


def described(element: object) -> object:
    if not isinstance(element, etree._Element):
        return repr(element)
    children = [(described(child), child.tail) for child in element]
    return element.tag, dict(element.attrib), element.text, children


def read(chunks: list[bytes]) -> tuple[list[object], StreamCondition | None]:
    framing, events, error = Framing(), [], None
    for chunk in (BEGINNING, *chunks):
        more, error = framing.feed(chunk)
        events += [(described(each), getattr(each, "tail", None)) for each in more]
    return events, error and error.condition


@given(
    st.lists(st.sampled_from(USUAL + NONZAS), min_size=12, max_size=30),
    st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(ODD)), max_size=2),
    st.integers(0, 3000),
)
def test_it_does_not_matter_how_much_comes_at_once(usual: list[bytes], odd: list[tuple[int, bytes]], cut: int) -> None:
    data = CHAT * (BULK // len(CHAT) + 1) + b"".join(usual)
    for position, piece in odd:
        position %= len(data) + 1
        data = data[:position] + piece + data[position:]
    little = [data[i : i + 50] for i in range(0, len(data), 50)]
    assert read([data]) == read([data[:cut], data[cut:]]) == read(little)


def test_a_run_that_ends_within_an_archived_stanza_is_read_up_to_the_stanza_before() -> None:
    """The end of the stanza within it does not spoil the whole run."""
    run = ARCHIVED * 12
    opening, closing = header(to=None, from_="example.org"), b"</stream:stream>"
    allowed = frozenset({"{jabber:client}message"})
    for cut in range(len(run), len(run) + len(ARCHIVED)):
        bulk = read_bulk(opening, closing, (run + ARCHIVED)[:cut], longest=1000, allowed=allowed)
        inner_end = len(run) + ARCHIVED.index(b"</message>") + len(b"</message>")
        if cut not in (inner_end, inner_end + 1):  # then the inner end may be that of the stanza
            assert bulk is not None, cut
            assert bulk[1] == len(run), cut
            assert [element.tag for element in bulk[0]] == ["{jabber:client}message"] * 12


@pytest.mark.parametrize("warned", [b"<query xmlns='relative'/>", b""])
def test_a_prefix_that_means_nothing_is_seen_before_a_mere_warning(warned: bytes) -> None:
    """libxml2 notes both, and lxml looks at the last note alone."""
    bad = b"<message><y:z/></message>" + b"<iq type='result' id='1'>" + warned + b"</iq>"
    events, condition = read([CHAT * 50 + bad + CHAT * 50])
    assert condition is StreamCondition.BAD_NAMESPACE_PREFIX
    assert len(events) == 1 + 5 + 50

    framing = DocumentFraming()
    _, error = framing.feed(b"<message xmlns='jabber:client'><y:z/>" + warned + b"</message>")
    assert error is not None
    assert error.condition is StreamCondition.BAD_NAMESPACE_PREFIX

    with pytest.raises(ElementError, match="prefix y"):
        xml.fromstring(b"<message><y:z/>" + warned + b"</message>")


@given(st.integers(1, 200))
def test_an_element_that_has_not_come_as_a_whole_comes_later(missing: int) -> None:
    data = CHAT * 40
    first, rest = data[:-missing], data[-missing:]
    framing = Framing()
    framing.feed(BEGINNING)
    events = list(chain.from_iterable(framing.feed(part)[0] for part in (first, rest)))
    assert len(events) == 40
