"""Stanzas from the wire: what of them is read, and what is refused."""

from __future__ import annotations

import pytest

from trioxmpp import xml
from trioxmpp.errors import ErroneousStanza, StanzaCondition, XMPPWaitError
from trioxmpp.protocol import ns
from trioxmpp.protocol.stanza import (
    IQ,
    Get,
    IQType,
    Message,
    MessageType,
    Presence,
    PresenceShow,
    PresenceType,
    Set,
    parse_stanza,
)


@xml.element("urn:xmpp:delay", "delay")
class Delay:
    stamp: str = xml.attr()


@xml.element("urn:example:note", "note")
class Note:
    text: str = xml.text()


DELAY = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T12:00:00Z'/>"


def read(text: str) -> Message | Presence | IQ:
    stanza = parse_stanza(xml.fromstring(f"<stream xmlns='{ns.CLIENT}'>{text}</stream>")[0])
    assert stanza is not None
    return stanza


def message(text: str) -> Message:
    stanza = read(text)
    assert isinstance(stanza, Message)
    return stanza


def presence(text: str) -> Presence:
    stanza = read(text)
    assert isinstance(stanza, Presence)
    return stanza


def iq(text: str) -> IQ:
    stanza = read(text)
    assert isinstance(stanza, IQ)
    return stanza


# --- attributes


@pytest.mark.parametrize("name", ["message", "presence", "iq"])
def test_the_attributes_that_all_have(name: str) -> None:
    kind = " type='get'" if name == "iq" else ""
    stanza = read(
        f"<{name}{kind} id='a' from='Juliet@Example.test/Balcony' to='romeo@example.test' xml:lang='en'><a/></{name}>"
    )
    assert name == stanza.NAME
    assert (stanza.id, stanza.lang) == ("a", "en")
    assert (str(stanza.from_), str(stanza.to)) == ("juliet@example.test/Balcony", "romeo@example.test")


@pytest.mark.parametrize("name", ["message", "presence"])
def test_the_attributes_that_may_be_absent(name: str) -> None:
    stanza = read(f"<{name}/>")
    assert (stanza.id, stanza.lang, stanza.from_, stanza.to) == (None, None, None, None)


@pytest.mark.parametrize("kind", MessageType)
def test_types_of_messages(kind: MessageType) -> None:
    assert message(f"<message type='{kind.value}'/>").type is kind


@pytest.mark.parametrize("attribute", ["", "type='garbage'", "type=''", "type='Chat'"])
def test_a_message_of_any_other_type_is_normal(attribute: str) -> None:
    assert message(f"<message {attribute}/>").type is MessageType.NORMAL


@pytest.mark.parametrize("kind", PresenceType)
def test_types_of_presences(kind: PresenceType) -> None:
    assert presence(f"<presence type='{kind.value}'/>" if kind.value else "<presence/>").type is kind


@pytest.mark.parametrize("kind", IQType)
def test_types_of_iqs(kind: IQType) -> None:
    child = "<error type='cancel'/>" if kind is IQType.ERROR else "<a xmlns='urn:a'/>"
    assert iq(f"<iq type='{kind.value}' id='1'>{child}</iq>").type is kind


def test_a_request_is_of_the_type_that_its_payload_says() -> None:
    @xml.element("urn:example", "get")
    class Asked(Get[None]):
        pass

    @xml.element("urn:example", "set")
    class Told(Set[None]):
        pass

    @xml.element("urn:example", "answer")
    class Answer:
        pass

    iq = IQ.request(Asked(), to="station@example.org", from_="romeo@example.net", id="1")
    assert (iq.type, iq.payload, str(iq.to), str(iq.from_), iq.id) == (
        IQType.GET,
        Asked(),
        "station@example.org",
        "romeo@example.net",
        "1",
    )
    assert IQ.request(Told()).type is IQType.SET
    for payload in (Answer(), "weather"):
        with pytest.raises(TypeError, match="derives neither from Get"):
            IQ.request(payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", IQType)
def test_requests_are_those_that_must_be_answered(kind: IQType) -> None:
    assert kind.is_request == (kind.value in ("get", "set"))


@pytest.mark.parametrize("text", ["<a/>", "<message xmlns='jabber:server'/>", "<message xmlns=''/>", "<Message/>"])
def test_an_element_that_is_not_a_stanza(text: str) -> None:
    assert parse_stanza(xml.fromstring(f"<stream xmlns='{ns.CLIENT}'>{text}</stream>")[0]) is None


@pytest.mark.parametrize(
    "text",
    [
        "<message from='@@'/>",
        "<message from=''/>",
        "<message to='foo/'/>",
        "<presence from='/x'/>",
        "<presence type='available'/>",
        "<iq type='get'><a/></iq>",
        "<iq type='get' id=''><a/></iq>",
        "<iq type='get' id='1' from='a@'><a/></iq>",
        "<iq type='result' id='1' from='@@'/>",
        "<iq type='result' from='@@'/>",
    ],
)
def test_a_sender_unknown_by_address_type_and_id_is_not_known_at_all(text: str) -> None:
    """No `partial`: a malformed sender must never be taken for no sender."""
    with pytest.raises(ErroneousStanza) as caught:
        read(text)
    assert caught.value.partial is None


@pytest.mark.parametrize("type_", ["", " type=''", " type='GET'", " type='nonsense'"])
def test_an_iq_of_an_unknown_type_can_be_answered(type_: str) -> None:
    """RFC 6120 §8.2.3."""
    with pytest.raises(ErroneousStanza) as caught:
        read(f"<iq id='1' from='a@b/c'{type_}><a/></iq>")
    partial = caught.value.partial
    assert (partial.id, str(partial.from_), partial.type.is_request) == ("1", "a@b/c", True)


@pytest.mark.parametrize(
    "text",
    [
        "<iq type='get' id='1' from='a@b/c'><a/><b/></iq>",
        "<iq type='result' id='1' from='a@b/c'><a/><b/></iq>",
        "<iq type='error' id='1' from='a@b/c'/>",
        "<iq type='error' id='1' from='a@b/c'><a/></iq>",
        "<iq type='error' id='1' from='a@b/c'><error xmlns='urn:a'/></iq>",
    ],
)
def test_an_iq_whose_children_do_not_fit_is_known_by_its_attributes(text: str) -> None:
    with pytest.raises(ErroneousStanza) as caught:
        read(text)
    assert (caught.value.partial.id, str(caught.value.partial.from_)) == ("1", "a@b/c")


# --- children


def test_texts_by_language() -> None:
    """RFC 6120 §8.1.5: what has no xml:lang has that of the stanza."""
    stanza = message(
        "<message><body>Hi</body><body xml:lang='de'>Hallo</body><subject xml:lang='de'>Gru\u00df</subject></message>"
    )
    assert stanza.bodies == {"": "Hi", "de": "Hallo"}
    assert (stanza.body, stanza.subject) == ("Hi", "Gru\u00df")
    stanza = message("<message xml:lang='en'><body xml:lang='de'>Hallo</body><body>Hi</body></message>")
    assert stanza.bodies == {"de": "Hallo", "en": "Hi"}
    assert stanza.body == "Hi"
    away = presence("<presence xml:lang='en'><status>Away</status><status xml:lang='de'>Weg</status></presence>")
    assert away.statuses == {"en": "Away", "de": "Weg"}
    assert away.status == "Away"


def test_of_two_texts_in_one_language_the_first_counts() -> None:
    assert message("<message><body>one</body><body>two</body></message>").bodies == {"": "one"}


def test_an_empty_text_is_not_an_absent_one() -> None:
    stanza = message("<message><body/></message>")
    assert stanza.body == ""
    assert stanza.subject is None


def test_text_with_elements_in_it_loses_none_of_its_characters() -> None:
    """RFC 6121 §5.2.3 forbids them; who hides words in one does not hide them from us."""
    assert message("<message><body>a<b>c</b>d</body></message>").body == "acd"


def test_threads() -> None:
    stanza = message("<message><thread parent='0'>1</thread><thread>2</thread></message>")
    assert (stanza.thread, stanza.parent_thread) == ("1", "0")
    assert message("<message/>").thread is None


@pytest.mark.parametrize(("text", "show"), [*((f" {show.value} ", show) for show in PresenceShow), ("online", None)])
def test_shows(text: str, show: PresenceShow | None) -> None:
    assert presence(f"<presence><show>{text}</show></presence>").show is show


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("5", 5),
        ("+5", 5),
        ("-128", -128),
        ("127", 127),
        (" 7\n", 7),
        ("00000000100", 0),
        ("0000000100", 100),
        ("128", 0),
        ("-129", 0),
        ("99999999999999999999", 0),
        ("1_0", 0),
        ("\u0661", 0),
        ("1.0", 0),
        ("0x5", 0),
        ("", 0),
        ("high", 0),
    ],
)
def test_a_priority_is_a_byte_or_as_good_as_absent(text: str, priority: int) -> None:
    assert presence(f"<presence><priority>{text}</priority></presence>").priority == priority


def test_an_element_of_another_namespace_is_a_payload() -> None:
    stanza = message("<message><body xmlns='urn:a'>a</body><body>b</body><x xmlns='urn:b'/></message>")
    assert stanza.body == "b"
    assert [payload.tag for payload in stanza.payloads] == ["{urn:a}body", "{urn:b}x"]


def test_an_error_is_read_once() -> None:
    stanza = message(
        f"<message type='error'><error type='wait'><conflict xmlns='{ns.STANZA_ERRORS}'/></error>{DELAY}"
        "<error type='cancel'/></message>"
    )
    assert type(stanza.error) is XMPPWaitError
    assert stanza.error.condition is StanzaCondition.CONFLICT
    assert stanza.get(Delay) == Delay(stamp="2026-01-01T12:00:00Z")


# --- payloads


def test_a_payload_is_read_when_it_is_asked_for_and_once() -> None:
    stanza = message(f"<message>{DELAY}<note xmlns='urn:example:note'>a</note></message>")
    first = stanza.get(Delay)
    assert first == Delay(stamp="2026-01-01T12:00:00Z")
    assert stanza.get(Delay) is first
    assert stanza.get(Note) == Note(text="a")


def test_all_payloads_of_a_class_in_order() -> None:
    stanza = message(
        "<message><note xmlns='urn:example:note'>a</note><delay xmlns='urn:xmpp:delay'/>"
        "<note xmlns='urn:example:note'>b</note></message>"
    )
    assert stanza.get_all(Note) == [Note(text="a"), Note(text="b")]
    assert stanza.get_all(Delay) == []


def test_a_malformed_payload_hides_no_other_one() -> None:
    stanza = message(f"<message><delay xmlns='urn:xmpp:delay'/>{DELAY}</message>")
    assert stanza.get(Delay) == Delay(stamp="2026-01-01T12:00:00Z")
    assert len(stanza.payloads) == 2


def test_the_payload_of_an_iq() -> None:
    assert iq("<iq type='get' id='1'><a xmlns='urn:a'/></iq>").payload.tag == "{urn:a}a"
    assert iq("<iq type='result' id='1'/>").payload is None
    assert iq("<iq type='error' id='1'><a xmlns='urn:a'/><error type='cancel'/></iq>").payload is None
    assert iq("<iq type='get' id='1'/>").payload is None


def test_text_and_white_space_between_children_are_nothing() -> None:
    stanza = message("<message> <body>a</body> b <x xmlns='urn:x'/> </message>")
    assert stanza.body == "a"
    assert len(stanza.payloads) == 1
