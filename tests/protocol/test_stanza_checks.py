"""Values that a stanza refuses: at once where the class is wrong, before it is enqueued where the text is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from trioxmpp import (
    IQ,
    ElementError,
    ErroneousStanza,
    IQType,
    Message,
    MessageType,
    Presence,
    PresenceType,
    StanzaCondition,
    XMPPCancelError,
    xml,
)
from trioxmpp.protocol.elements.stanza_ids import OriginId
from trioxmpp.protocol.stanza import parse_stanza

ERROR = XMPPCancelError(StanzaCondition.CONFLICT)


@xml.element("urn:x", "inner")
class Inner:
    name: str = xml.attr()


@xml.element("urn:x", "outer")
class Outer:
    inner: tuple[Inner, ...] = xml.children()
    note: str | None = xml.child_text(default=None)
    others: dict[str, str] = xml.rest_attrs()


WRONG_CLASS: list[tuple[str, Callable[[Any], object], Any]] = [
    ("body", lambda value: Message(body=value), 5),
    ("body", lambda value: Message(body=value), b"text"),
    ("body", lambda value: Message(body=value), ["text"]),
    ("body['en']", lambda value: Message(body=value), {"en": 5}),
    ("body[5]", lambda value: Message(body=value), {5: 5}),
    ("subject", lambda value: Message(subject=value), 5),
    ("thread", lambda value: Message(thread=value), 5),
    ("to", lambda value: Message(to=value), 5),
    ("from_", lambda value: Presence(from_=value), 5),
    ("id", lambda value: IQ(type=IQType.GET, id=value), 5),
    ("lang", lambda value: Presence(lang=value), 5),
    ("type", lambda value: Message(type=value), "chat"),
    ("type", lambda value: Presence(type=value), MessageType.ERROR),
    ("type", lambda value: IQ(type=value), "get"),
    ("status", lambda value: Presence(status=value), 5),
    ("show", lambda value: Presence(show=value), "away"),
    ("priority", lambda value: Presence(priority=value), "5"),
    ("payloads", lambda value: Message(payloads=value), OriginId(id="1")),
    ("payloads", lambda value: Message(payloads=value), "text"),
    ("error", lambda value: Message(type=MessageType.ERROR, error=value), "conflict"),
]


def test_a_value_of_the_wrong_class_is_a_type_error_that_names_the_field() -> None:
    for field, make, value in WRONG_CLASS:
        with pytest.raises(TypeError) as caught:
            make(value)
        assert str(caught.value).startswith(f"{field} must be "), (field, value)


ASSIGNED: list[tuple[str, Any, Any]] = [
    ("thread", Message(), 5),
    ("id", Message(), 5),
    ("lang", Presence(), 5),
    ("to", IQ(type=IQType.RESULT), 5),
    ("show", Presence(), "away"),
    ("priority", Presence(), "5"),
]


def test_a_value_that_was_assigned_is_checked_before_the_stanza_is_enqueued() -> None:
    for field, stanza, value in ASSIGNED:
        setattr(stanza, field, value)
        with pytest.raises(TypeError, match=f"^{field} must be "):
            stanza.validate()
    message = Message(body="x")
    with pytest.raises(TypeError, match=r"^body must be "):
        message.body = 5  # type: ignore[assignment]
    assert message.body == "x"


ILLEGAL: list[tuple[str, Any]] = [
    ("body", Message(body="\x1b[0m")),
    ("body", Message(body={"de": "ab\x00"})),
    ("body", Message(body={"d\x00": "ab"})),
    ("body", Message(body="\ud800")),
    ("subject", Message(subject="\ufffe")),
    ("thread", Message(thread="\x01")),
    ("parent_thread", Message(thread="a", parent_thread="\x01")),
    ("id", Message(id="\x01")),
    ("lang", Presence(lang="\x01")),
    ("status", Presence(status="\x0b")),
    ("OriginId.id", Message(payloads=[OriginId(id="\x01")])),
    ("OriginId.id", IQ(type=IQType.SET, payload=OriginId(id="\x01"))),
    ("Outer.inner[1].name", Message(payloads=[Outer(inner=(Inner(name="a"), Inner(name="\x02")))])),
    ("Outer.note", Message(payloads=[OriginId(id="1"), Outer(note="\x02")])),
    ("Outer.others['a']", Message(payloads=[Outer(others={"a": "\x02"})])),
]


def test_a_character_that_xml_cannot_carry_is_a_value_error_that_names_field_and_character() -> None:
    for field, stanza in ILLEGAL:
        with pytest.raises(ValueError, match="is not allowed in XML") as caught:
            stanza.validate()
        assert str(caught.value).startswith(f"{field}: U+"), field
    error = Message(type=MessageType.ERROR, error=XMPPCancelError(StanzaCondition.CONFLICT, "\x00"))
    with pytest.raises(ValueError, match=r"U\+0000 is not allowed"):
        error.validate()


def test_a_payload_of_the_wrong_class_is_refused_before_the_stanza_is_enqueued() -> None:
    wrong: list[Any] = [5, "text", object(), OriginId(id=5)]  # type: ignore[arg-type]
    for payload in wrong:
        with pytest.raises(TypeError):
            Message(payloads=[payload]).validate()


def test_white_space_and_letters_of_all_scripts_are_sent_as_they_are() -> None:
    text = "tab\there\r\nZeile 2 \u202e א ☃ 👨\u200d👩 \x85"
    message = Message(body=text, payloads=[Outer(note=text)])
    message.validate()
    again = parse_stanza(xml.fromstring(f"<a xmlns='jabber:client'>{message.serialise()}</a>")[0])
    assert isinstance(again, Message)
    assert again.body == text
    assert again.get(Outer) == Outer(note=text)


def test_a_change_after_validate_is_written() -> None:
    message = Message(payloads=[OriginId(id="1")])
    message.validate()
    message.payloads.append(Outer(note="n"))
    assert "outer" in message.serialise()
    message.validate()
    message.payloads[0] = OriginId(id="2")
    assert "id='2'" in message.serialise()
    element = xml.fromstring("<own xmlns='urn:y'/>")
    message = Message(payloads=[OriginId(id="1"), element])
    message.validate()
    element.set("a", "b")
    assert 'a="b"' in message.serialise()


def test_an_error_must_not_be_answered() -> None:
    """RFC 6120 §8.3.1, §8.2.3."""
    bounce = Message(type=MessageType.ERROR, from_="a@b", error=ERROR)
    absent = Presence(type=PresenceType.ERROR, from_="a@b", error=ERROR)
    answers = [
        lambda: bounce.reply("sorry?"),
        lambda: bounce.make_error(ERROR),
        lambda: absent.make_error(ERROR),
        lambda: IQ(type=IQType.ERROR, id="1", error=ERROR).make_error(ERROR),
        lambda: IQ(type=IQType.RESULT, id="1").make_error(ERROR),
        lambda: IQ(type=IQType.RESULT, id="1").make_result(),
    ]
    for answer in answers:
        with pytest.raises(ValueError, match="must not be answered"):
            answer()


def test_an_empty_to_is_read_as_absent() -> None:
    for name in ("message", "presence", "iq type='get' id='1'"):
        stanza = parse_stanza(xml.fromstring(f"<{name} to='' from='a@b' xmlns='jabber:client'/>"))
        assert stanza is not None
        assert stanza.to is None
        assert str(stanza.from_) == "a@b"


def test_an_empty_from_is_not_read_as_our_own_server() -> None:
    with pytest.raises(ErroneousStanza):
        parse_stanza(xml.fromstring("<message from='' xmlns='jabber:client'/>"))


ARRIVED = (
    "<message xmlns='jabber:client' from='a@b/c' id='1' type='chat'><body>one</body><thread parent='p'>t</thread>"
    "<origin-id xmlns='urn:xmpp:sid:0' id='7'/><own xmlns='urn:x'>text</own></message>"
)


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda stanza: pickle.loads(pickle.dumps(stanza))])
def test_a_stanza_can_be_copied_and_pickled(again: Callable[[Message], Message], is_read: bool) -> None:
    message = parse_stanza(xml.fromstring(ARRIVED))
    assert isinstance(message, Message)
    if is_read:
        assert message.get(OriginId) == OriginId(id="7")
    other = again(message)
    assert other.serialise() == message.serialise()
    other.payloads.clear()
    other.bodies["de"] = "zwei"
    assert len(message.payloads) == 2
    assert message.bodies == {"": "one"}


def test_the_properties_of_a_stanza_are_documented() -> None:
    for cls in (Message, Presence, IQ):
        for name, value in vars(cls).items():
            if isinstance(value, property) and not name.startswith("_"):
                assert value.__doc__, f"{cls.__name__}.{name}"


def test_an_element_error_is_raised_by_no_check() -> None:
    """It is for elements that arrived; an application's mistake is a TypeError or a ValueError."""
    for _, stanza in ILLEGAL:
        with pytest.raises(ValueError, match="U\\+") as caught:
            stanza.validate()
        assert not isinstance(caught.value, ElementError)
