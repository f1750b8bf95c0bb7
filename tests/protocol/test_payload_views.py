"""Looking at a payload: each class gets its own view, and the stanza does not change."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Mapping

import pytest

from trioxmpp import JID, Message, MessageType, xml
from trioxmpp.errors import ElementError
from trioxmpp.protocol.stanza import IQ, Presence, parse_stanza

NS = "urn:example:note"


@xml.element(NS, "note")
class Note:
    text: str = xml.attr()


@xml.element(NS, "note")
class LibraryNote:
    priority: int = xml.attr()
    tags: tuple[str, ...] = xml.child_texts("tag")


@xml.element(NS, "note", fixed={"kind": "sticky"})
class Sticky:
    text: str = xml.attr()


NOTE = (
    f"<note xmlns='{NS}' text='buy milk' priority='3' kind='sticky' extra='kept'>"
    "<tag>home</tag><unknown xmlns='urn:unknown' a='b'>words<deep/></unknown></note>"
)


def message(*payloads: str) -> Message:
    stanza = parse_stanza(xml.fromstring(f"<message xmlns='jabber:client' from='a@b/c'>{''.join(payloads)}</message>"))
    assert isinstance(stanza, Message)
    return stanza


def test_each_class_gets_its_own_view_of_a_payload() -> None:
    for first, second in ((Note, LibraryNote), (LibraryNote, Note)):
        received = message(NOTE)
        assert received.get(first) is not None
        assert received.get(second) is not None
        assert received.get(Note) == Note(text="buy milk")
        assert received.get(LibraryNote) == LibraryNote(priority=3, tags=("home",))
        assert received.get(Sticky) == Sticky(text="buy milk")


def test_a_payload_is_parsed_once_for_each_class() -> None:
    received = message(NOTE)
    assert received.get(Note) is received.get(Note)
    assert received.get_all(LibraryNote)[0] is received.get(LibraryNote)


def test_a_forwarded_stanza_keeps_what_the_class_that_looked_does_not_know() -> None:
    untouched, looked_at = message(NOTE, NOTE), message(NOTE, NOTE)
    looked_at.get(Note)
    looked_at.get_all(LibraryNote)
    assert looked_at.serialise() == untouched.serialise()
    assert "extra" in looked_at.serialise()
    assert "deep" in looked_at.serialise()


def test_an_object_in_a_message_can_be_read_as_another_class() -> None:
    sent = Message(to="a@b", payloads=[Sticky(text="x")])
    assert sent.get(Note) == Note(text="x")
    assert sent.get(LibraryNote) is None


def test_absent_and_malformed_can_be_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    absent, malformed = message(), message(f"<note xmlns='{NS}' priority='high'/>", NOTE)
    assert absent.get(LibraryNote) is absent.get(LibraryNote, strict=True) is None
    with caplog.at_level(logging.DEBUG, "trioxmpp"):
        assert malformed.get(LibraryNote) == LibraryNote(priority=3, tags=("home",))
        assert malformed.get_all(LibraryNote) == [LibraryNote(priority=3, tags=("home",))]
    assert [record.getMessage() for record in caplog.records] == [
        "skipped a malformed value of LibraryNote: note/@priority: not an integer"
    ]
    for _ in range(2):
        with pytest.raises(ElementError, match="not an integer") as caught:
            malformed.get(LibraryNote, strict=True)
        assert caught.value.path == "note/@priority"


def test_a_payload_that_a_filter_replaces_is_read_anew() -> None:
    received = message(NOTE)
    assert received.get(Note) == Note(text="buy milk")
    received.payloads[0] = xml.fromstring(f"<note xmlns='{NS}' text='buy bread'/>")
    assert received.get(Note) == Note(text="buy bread")
    received.payloads = []
    assert received.get(Note) is None


@xml.element("urn:xmpp:forward:0", "forwarded")
class Forwarded:
    stamp: str | None = xml.attr(default=None)
    stanza: Message | Presence | IQ = xml.child()


@xml.element("urn:example:batch", "batch")
class Batch:
    messages: tuple[Message, ...] = xml.children(lenient=True)
    last: Message | None = xml.child(inside="last", default=None)


FORWARDED = (
    "<forwarded xmlns='urn:xmpp:forward:0' stamp='now'><message xmlns='jabber:client' from='romeo@example.net/x' "
    "to='juliet@example.org' id='1' type='chat' xml:lang='en'><body>Call me &lt;</body>"
    f"{NOTE}</message></forwarded>"
)


def test_a_stanza_can_be_inside_an_element() -> None:
    (payload,) = message(FORWARDED).payloads
    forwarded = xml.parse(Forwarded, payload)
    inner = forwarded.stanza
    assert isinstance(inner, Message)
    assert (inner.from_, inner.type) == (JID.parse("romeo@example.net/x"), MessageType.CHAT)
    assert inner.body == "Call me <"
    assert inner.get(Note) == Note(text="buy milk")
    for ns in ("", "jabber:client", "urn:xmpp:forward:0"):
        parent = xml.fromstring(f"<parent xmlns='{ns}'>{xml.serialise(forwarded, ns)}</parent>")
        assert xml.equal(parent[0], xml.fromstring(FORWARDED))
        assert xml.parse(Forwarded, parent[0]) == forwarded
    assert hash(xml.parse(Forwarded, payload)) == hash(forwarded)


def test_a_stanza_that_a_program_made_is_written_inside_an_element() -> None:
    forwarded = Forwarded(stanza=Message(to="juliet@example.org", body="Hi", payloads=[Note(text="x")]))
    again = xml.parse(Forwarded, xml.fromstring(xml.serialise(forwarded)))
    assert again == forwarded
    assert again != Forwarded(stanza=Message(to="juliet@example.org", body="Ho"))
    assert isinstance(again.stanza, Message)
    assert again.stanza.get(Note) == Note(text="x")


def test_a_stanza_inside_does_not_keep_the_stanza_around_it() -> None:
    outer = xml.fromstring(f"<message xmlns='jabber:client'>{FORWARDED}</message>")
    inner = xml.parse(Forwarded, outer[0]).stanza
    (note,) = inner.payloads
    assert note.getroottree().getroot().tag == "{jabber:client}message"
    assert note.getroottree().getroot() is not outer


def test_malformed_stanzas_inside_are_element_errors() -> None:
    bad = "<message xmlns='jabber:client' from='@'/>"
    with pytest.raises(ElementError) as caught:
        xml.parse(Forwarded, xml.fromstring(f"<forwarded xmlns='urn:xmpp:forward:0'>{bad}</forwarded>"))
    assert caught.value.path.startswith("forwarded/message")
    good = "<message xmlns='jabber:client'><body>b</body></message>"
    batch = xml.parse(Batch, xml.fromstring(f"<batch xmlns='urn:example:batch'>{bad}{good}<last>{good}</last></batch>"))
    assert [message.body for message in batch.messages] == ["b"]
    assert batch.last is not None
    assert batch.last.body == "b"
    assert [type(value.error) for value in xml.malformed(batch)] == [ElementError]


def test_a_stanza_is_read_and_written_like_any_element() -> None:
    element = xml.fromstring("<message xmlns='jabber:client'><body>b</body></message>")
    assert xml.parse(Message, element).body == "b"
    assert (
        xml.serialise(Message(body="b"), "") == "<message xmlns='jabber:client' type='normal'><body>b</body></message>"
    )
    with pytest.raises(ElementError, match="expected"):
        xml.parse(Presence, element)


def test_a_stanza_whose_payloads_were_looked_at_can_be_copied() -> None:
    sent = Message(to="a@b", payloads=[Sticky(text="x")])
    sent.get(Note)
    for again in (copy.deepcopy(sent), pickle.loads(pickle.dumps(sent))):
        assert again.get(Note) == Note(text="x")
        assert again.serialise() == sent.serialise()


def test_an_open_child_is_read_by_classes_of_which_its_owner_does_not_know() -> None:
    @xml.element("urn:example:items", "item")
    class Item:
        id: str = xml.attr()
        payload: xml.Payload | None = xml.any_child(default=None)
        attributes: Mapping[str, str] = xml.rest_attrs()

    item = xml.parse(Item, xml.fromstring(f"<item xmlns='urn:example:items' id='1'>{NOTE}</item>"))
    assert item.payload is not None
    assert item.payload.get(Note) == Note(text="buy milk")
    assert item.payload.get(LibraryNote) == LibraryNote(priority=3, tags=("home",))
    assert item.payload.get(Forwarded) is None
    assert xml.equal(item.payload.element, xml.fromstring(NOTE))
