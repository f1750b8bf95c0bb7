"""Stanzas to the wire and back: what is written, what is refused, what survives."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.errors import JIDError, StanzaCondition, XMPPCancelError, XMPPModifyError
from trioxmpp.jid import JID
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
    response_type,
)


@xml.element("urn:example:note", "note")
class Note:
    text: str = xml.text()


CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
TEXTS = st.text(CHARACTERS | st.sampled_from("<&>'\"\r\n\t"), max_size=20)
LANGS = st.sampled_from(["de", "en", "it", "x-klingon"])
LANG_TEXTS = st.dictionaries(st.just("") | LANGS, TEXTS, max_size=3)
JIDS = st.none() | st.sampled_from(
    [JID.parse("juliet@example.test/it's"), JID.parse("example.test"), JID.parse_inbound("caf\u2615@example.test/<&>")]
)
ERRORS = st.builds(XMPPModifyError, st.sampled_from(StanzaCondition), st.none() | TEXTS.filter(bool))


@st.composite
def elements(draw: st.DrawFn, depth: int = 2) -> str:
    """Some XML in an unknown namespace."""
    name = draw(st.sampled_from(["a", "b", "body", "error"]))
    attributes = draw(st.dictionaries(st.sampled_from(["c", "d", "type"]), TEXTS, max_size=2))
    said = "".join(f" {key}='{xml.escape_attr(value)}'" for key, value in attributes.items())
    inner = xml.escape(draw(TEXTS))
    if depth:
        inner += "".join(draw(st.lists(elements(depth - 1), max_size=2)))
    return f"<{name} xmlns='{draw(st.sampled_from(['urn:a', 'urn:b']))}'{said}>{inner}</{name}>"


PAYLOADS = st.lists(elements().map(xml.fromstring) | st.builds(Note, text=TEXTS), max_size=3)
COMMON = {"to": JIDS, "from_": JIDS, "id": st.none() | TEXTS.filter(bool), "lang": st.none() | LANGS}


def again(stanza: Message | Presence | IQ) -> Any:
    return parse_stanza(xml.fromstring(f"<stream xmlns='{ns.CLIENT}'>{stanza.serialise()}</stream>")[0])


def said(texts: dict[str, str], own: str | None) -> dict[str, str]:
    """Texts, as the other side understands them."""
    return {lang or own or "": text for lang, text in texts.items()}


def same(one: Any, other: Any) -> bool:
    """Whether two stanzas say the same."""

    def element(payload: Any) -> xml.Element:
        return payload if isinstance(payload, xml.Element) else xml.fromstring(xml.serialise(payload))

    return (
        [getattr(one, name) for name in ("to", "from_", "id", "lang", "type")]
        == [getattr(other, name) for name in ("to", "from_", "id", "lang", "type")]
        and len(one.payloads) == len(other.payloads)
        and all(xml.equal(element(a), element(b)) for a, b in zip(one.payloads, other.payloads, strict=True))
        and (one.error is None) == (other.error is None)
        and (one.error is None or (one.error.condition, one.error.text) == (other.error.condition, other.error.text))
    )


# --- there and back


@given(
    message=st.builds(
        Message,
        **COMMON,
        type=st.sampled_from(MessageType),
        body=LANG_TEXTS,
        subject=LANG_TEXTS,
        thread=st.none() | TEXTS,
        parent_thread=st.none() | TEXTS,
        payloads=PAYLOADS,
        error=st.none() | ERRORS,
    ).filter(lambda m: not (m.lang in m.bodies and "" in m.bodies) and not (m.lang in m.subjects and "" in m.subjects))
)
def test_a_message_survives_the_wire(message: Message) -> None:
    read = again(message)
    assert same(read, message)
    assert read.bodies == said(message.bodies, message.lang)
    assert read.subjects == said(message.subjects, message.lang)
    assert read.body == message.body or message.lang in message.bodies or "" not in message.bodies
    assert read.thread == message.thread
    assert read.parent_thread == (message.parent_thread if message.thread is not None else None)
    twice = again(read)
    assert same(twice, read)
    assert (twice.bodies, twice.subjects, twice.thread) == (read.bodies, read.subjects, read.thread)


@given(
    presence=st.builds(
        Presence,
        **COMMON,
        type=st.sampled_from(PresenceType),
        show=st.none() | st.sampled_from(PresenceShow),
        status=LANG_TEXTS,
        priority=st.integers(-128, 127),
        payloads=PAYLOADS,
        error=st.none() | ERRORS,
    ).filter(lambda p: not (p.lang in p.statuses and "" in p.statuses))
)
def test_a_presence_survives_the_wire(presence: Presence) -> None:
    read = again(presence)
    assert same(read, presence)
    assert read.statuses == said(presence.statuses, presence.lang)
    assert (read.show, read.priority) == (presence.show, presence.priority)
    assert same(again(read), read)


@given(
    iq=st.builds(
        IQ,
        **(COMMON | {"id": TEXTS.filter(bool)}),
        type=st.sampled_from([IQType.GET, IQType.SET, IQType.RESULT]),
        payload=elements().map(xml.fromstring) | st.builds(Note, text=TEXTS),
    )
)
def test_an_iq_survives_the_wire(iq: IQ) -> None:
    assert same(again(iq), iq)


def test_an_unknown_payload_is_passed_on_as_it_came() -> None:
    """Even where a payload beside it was read, and the text changed."""
    unknown = "<x xmlns='urn:x' y='1'>a<z xmlns='urn:z'/>b</x>"
    stanza = parse_stanza(
        xml.fromstring(
            f"<message xmlns='{ns.CLIENT}'><note xmlns='urn:example:note'>n</note>{unknown}<body>b</body></message>"
        )
    )
    assert isinstance(stanza, Message)
    stanza.get(Note)
    stanza.body = "c"
    read = again(stanza)
    assert xml.equal(read.payloads[1], xml.fromstring(unknown))
    assert (read.body, read.get(Note)) == ("c", Note(text="n"))


# --- how it looks


def test_absent_attributes_are_not_written() -> None:
    assert Presence().serialise() == "<presence/>"
    assert Message().serialise() == "<message type='normal'/>"
    assert IQ(type=IQType.RESULT, id="1").serialise() == "<iq id='1' type='result'/>"


def test_markup_is_escaped_wherever_it_stands() -> None:
    stanza = Message(
        to=JID("a", "b", "it's <c>"), id="'&<", body="</body><evil/>", thread="<&", parent_thread="'", lang="'><evil/>"
    )
    read = again(stanza)
    assert (read.body, read.id, read.lang, read.payloads) == ("</body><evil/>", "'&<", "'><evil/>", [])


@pytest.mark.parametrize(
    "stanza",
    [
        Message(body="\0"),
        Message(subject="\x08"),
        Message(thread="\ufffe"),
        Message(id="\x1f"),
        Message(body={"\x01": "a"}),
        Message(lang="\x0c"),
        Message(payloads=[Note(text="\0")]),
        Presence(status="\ud800"),
        IQ(type=IQType.ERROR, id="1", error=XMPPCancelError(StanzaCondition.CONFLICT, "\x0b")),
    ],
)
def test_a_character_that_xml_cannot_carry_is_refused(stanza: Message | Presence | IQ) -> None:
    with pytest.raises(ValueError, match=r"U\+"):
        stanza.serialise()


def test_a_stanza_is_recognised_in_a_log() -> None:
    assert repr(Message(to="a@b", type=MessageType.CHAT, body="secret")) == "<Message CHAT to='a@b'>"
    assert repr(IQ(type=IQType.GET, id="1", from_="a@b/c")) == "<IQ GET from_='a@b/c' id='1'>"
    assert repr(Presence()) == "<Presence AVAILABLE>"


# --- what may not be sent

ERROR = XMPPCancelError(StanzaCondition.CONFLICT)


@pytest.mark.parametrize(
    "stanza",
    [
        Message(type=MessageType.ERROR),
        Message(type=MessageType.CHAT, error=ERROR),
        Presence(type=PresenceType.ERROR),
        Presence(error=ERROR),
        Presence(priority=128),
        Presence(priority=-129),
        IQ(type=IQType.ERROR),
        IQ(type=IQType.RESULT, error=ERROR),
        IQ(type=IQType.GET),
        IQ(type=IQType.SET),
    ],
)
def test_an_invalid_stanza_may_not_be_sent(stanza: Message | Presence | IQ) -> None:
    with pytest.raises(ValueError, match="RFC 612"):
        stanza.validate()


@pytest.mark.parametrize("kind", [IQType.GET, IQType.SET, IQType.RESULT])
def test_an_iq_has_no_two_payloads(kind: IQType) -> None:
    iq = IQ(type=kind, payload=Note(text=""))
    iq.payloads.append(Note(text=""))
    with pytest.raises(ValueError, match="payload"):
        iq.validate()


@pytest.mark.parametrize(
    ("cls", "type_"), [(Message, "chat"), (Presence, ""), (IQ, "get"), (Message, PresenceType.ERROR), (Presence, None)]
)
def test_a_type_is_a_member_of_its_enum(cls: Any, type_: Any) -> None:
    with pytest.raises(TypeError, match=f"type must be an? {cls.__name__}Type, not"):
        cls(type=type_)
    stanza = cls(type=IQType.GET) if cls is IQ else cls()
    stanza.type = type_
    with pytest.raises(TypeError, match=f"type must be {cls.__name__}Type, not"):
        stanza.validate()
    assert cls.__name__ in repr(stanza)


@pytest.mark.parametrize("stanza", [Message(), Presence(), IQ(type=IQType.RESULT)])
def test_an_address_may_be_text_until_it_is_sent(stanza: Message | Presence | IQ) -> None:
    anything: Any = stanza
    anything.to, anything.from_ = "JULIET@example.test", "romeo@example.test"
    stanza.validate()
    assert (stanza.to, stanza.from_) == (JID.parse("juliet@example.test"), JID.parse("romeo@example.test"))
    anything.to = "@@"
    with pytest.raises(JIDError):
        stanza.validate()


@pytest.mark.parametrize("cls", [Message, Presence])
def test_an_address_is_checked_at_once(cls: Any) -> None:
    with pytest.raises(JIDError):
        cls(to="@@")


# --- changing what came


def parsed(text: str) -> Any:
    return parse_stanza(xml.fromstring(text.replace(">", f" xmlns='{ns.CLIENT}'>", 1)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body", "new"),
        ("subject", "new"),
        ("thread", "new"),
        ("parent_thread", "new"),
        ("payloads", []),
        ("error", None),
    ],
)
def test_a_message_that_came_can_be_changed_before_it_was_read(name: str, value: Any) -> None:
    message = parsed(
        "<message type='error'><body>b</body><subject>s</subject><thread parent='p'>t</thread><x xmlns='urn:x'/>"
        "<error type='cancel'/></message>"
    )
    setattr(message, name, value)
    read = again(message)
    unchanged = {"body": "b", "subject": "s", "thread": "t", "parent_thread": "p"} | {name: value}
    for key in ("body", "subject", "thread", "parent_thread"):
        assert getattr(read, key) == unchanged[key]
    assert len(read.payloads) == (name != "payloads")
    assert (read.error is None) == (name == "error")


@pytest.mark.parametrize(("name", "value"), [("show", PresenceShow.XA), ("status", "new"), ("priority", 9)])
def test_a_presence_that_came_can_be_changed_before_it_was_read(name: str, value: Any) -> None:
    presence = parsed("<presence><show>away</show><status>s</status><priority>1</priority></presence>")
    setattr(presence, name, value)
    read = again(presence)
    expected = {"show": PresenceShow.AWAY, "status": "s", "priority": 1} | {name: value}
    assert {key: getattr(read, key) for key in expected} == expected


def test_texts_can_be_changed_by_language_and_taken_away() -> None:
    message = Message(body={"de": "Hallo"}, subject="s")
    message.bodies["en"] = "Hi"
    message.subject = None
    assert message.bodies == {"de": "Hallo", "en": "Hi"}
    assert message.body == "Hallo"
    message.body = "Hi"
    assert message.bodies == {"": "Hi"}
    assert again(message).subject is None


def test_the_payload_of_an_iq_can_be_replaced() -> None:
    iq = parsed("<iq type='get' id='1'><a/></iq>")
    iq.payload = Note(text="a")
    assert again(iq).get_all(Note) == [Note(text="a")]
    iq.payload = None
    assert iq.payloads == []


# --- answers


def test_an_answer_goes_back_to_whom_it_came_from() -> None:
    request = IQ(type=IQType.SET, id="1", from_="juliet@example.test/balcony", to="romeo@example.test/orchard")
    for answer in (request.make_result(Note(text="a")), request.make_error(ERROR)):
        assert (answer.id, answer.to, answer.from_) == ("1", request.from_, request.to)
        answer.validate()
    assert request.make_result().payload is None


@pytest.mark.parametrize("cls", [Message, Presence])
def test_an_error_goes_back_to_whom_it_came_from(cls: Any) -> None:
    stanza = cls(id="1", from_="juliet@example.test/balcony", to="romeo@example.test/orchard")
    error = stanza.make_error(ERROR)
    assert (error.id, error.to, error.from_, error.error) == ("1", stanza.from_, stanza.to, ERROR)
    error.validate()


def test_a_reply_stays_in_the_conversation() -> None:
    message = Message(type=MessageType.CHAT, from_="juliet@example.test/balcony", thread="1", body="Art thou Romeo?")
    reply = message.reply("Neither")
    assert (reply.type, str(reply.to), reply.thread) == (MessageType.CHAT, "juliet@example.test/balcony", "1")
    assert (reply.body, reply.from_, reply.id) == ("Neither", None, None)
    assert message.reply(payloads=[Note(text="a")]).get(Note) == Note(text="a")


def test_a_reply_to_a_room_goes_to_the_room() -> None:
    message = Message(type=MessageType.GROUPCHAT, from_="verona@rooms.example.test/juliet")
    assert str(message.reply("Ay me").to) == "verona@rooms.example.test"


def test_a_reply_to_our_server_has_no_address() -> None:
    assert Message(body="Welcome").reply("Thanks").to is None


# --- what answers which request


@xml.element("urn:example:note", "fetch")
class Fetch(Get[Note]):
    pass


@xml.element("urn:example:note", "peek")
class Peek(Get[Note | None]):
    pass


@xml.element("urn:example:note", "drop")
class Drop(Set[None]):
    pass


@pytest.mark.parametrize(
    ("cls", "kind", "answer"),
    [
        (Fetch, IQType.GET, (Note, False)),
        (Peek, IQType.GET, (Note, True)),
        (Drop, IQType.SET, (None, True)),
    ],
)
def test_a_request_says_what_answers_it(cls: Any, kind: IQType, answer: tuple[Any, bool]) -> None:
    assert cls.IQ_TYPE is kind
    assert response_type(cls) == answer


@pytest.mark.parametrize("cls", [Note, str, object])
def test_only_a_request_has_an_answer(cls: type[Any]) -> None:
    with pytest.raises(TypeError, match="is not a request"):
        response_type(cls)


def test_payloads_and_subjects_that_are_added_later_are_written():
    """The list and the dictionary are made when they are first asked for: they have to stay."""
    message = Message(type=MessageType.CHAT)
    assert message.payloads is message.payloads
    message.payloads.append(xml.fromstring("<a xmlns='urn:x'/>"))
    message.subjects["en"] = "Verona"
    copied = copy.deepcopy(message)
    for stanza in (message, copied):
        stanza.validate()
        assert "urn:x" in stanza.serialise()
        assert "<subject xml:lang='en'>Verona</subject>" in stanza.serialise()
    copied.payloads.clear()
    assert len(message.payloads) == 1


def test_a_stored_stanza_is_read_again() -> None:
    message = Message(to="a@b", from_="c@d/e", type=MessageType.CHAT, body="<&\n 'é", id="1", lang="de")
    message.payloads.append(xml.fromstring("<x xmlns='urn:x' y='1'><z/></x>"))
    for stanza in (message, Presence(to="a@b"), IQ(type=IQType.RESULT, id="2", from_="c@d")):
        again = type(stanza).deserialise(stanza.serialise())
        assert again.serialise() == stanza.serialise()
    assert Message.deserialise(message.serialise()).body == message.body
    for text in (
        "",
        "x",
        "<iq/>",
        "<message/><message/>",
        "<message/>x",
        "<message",
        "</stored><stored>",
        "<a:message/>",
    ):
        with pytest.raises(ValueError):  # noqa: PT011  (each has its own words)
            Message.deserialise(text)
    with pytest.raises(JIDError):
        Message.deserialise("<message from='@@'/>")
