"""The book of a conversation: who may change what, and how it stands then. Without I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from trioxmpp import JID, Message, MessageType, StanzaCondition, XMPPCancelError, xml
from trioxmpp.im.conversation import (
    Corrected,
    Delivery,
    DeliveryChanged,
    Displayed,
    Reacted,
    Retracted,
    Said,
    Typing,
    text_of,
)
from trioxmpp.im.conversation.book import MAX_AUTHORS, Book
from trioxmpp.im.provenance import Account, Occupant, Room
from trioxmpp.protocol.elements import chat_states, markers, receipts, replies
from trioxmpp.protocol.elements.correction import Replace
from trioxmpp.protocol.elements.fallback import Body, Fallback
from trioxmpp.protocol.elements.hints import NoStore, Store
from trioxmpp.protocol.elements.reactions import Reactions
from trioxmpp.protocol.elements.retraction import Moderated, Retract
from trioxmpp.protocol.elements.retraction import Retracted as Tombstone
from trioxmpp.protocol.stanza import parse_stanza
from trioxmpp.xep.encryption import Unreadable

JULIET, ROMEO, MALLORY = (JID.parse(f"{name}@example.test") for name in ("juliet", "romeo", "mallory"))
HERS, OURS = Account(JULIET), Account(ROMEO)
ROOM = JID.parse("hall@conference.example.test")


class Source(enum.Enum):
    LIVE = "live"


@dataclass(frozen=True)
class Noted:
    message: Message
    sender: Any
    peer: JID = JULIET
    by_us: bool = False
    sent: datetime = field(default_factory=lambda: datetime.now(UTC))
    archive_id: str | None = None
    caught_up: bool = True
    encryption: Any = None
    source: enum.Enum = Source.LIVE


def chat(body: str | None = None, *payloads: Any, id: str | None = None, type=MessageType.CHAT, **more: Any) -> Message:
    return Message(type=type, body=body, id=id, payloads=payloads, **more)


def theirs(message: Message, sender: Any = HERS, **more: Any) -> Noted:
    return Noted(message, sender, **more)


def ours(message: Message, sender: Any = OURS, **more: Any) -> Noted:
    return Noted(message, sender, by_us=True, **more)


def occupant(nick: str, id: str | None = None, stay: int | None = None) -> Occupant:
    return Occupant(ROOM, nick, id, None, stay)


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


@pytest.fixture
def book() -> Book:
    return Book(JULIET)


@pytest.mark.item("D6.2")
def test_a_receipt_of_the_peer_says_that_a_message_of_ours_was_received(book):
    book.apply(ours(chat("hi", id="1")))
    (event,) = book.apply(theirs(chat(None, receipts.Received(id="1"))))
    assert event == DeliveryChanged(book.lines[0])
    assert book.lines[0].delivery is Delivery.RECEIVED
    assert book.apply(theirs(chat(None, receipts.Received(id="1")))) == []


@pytest.mark.item("D6.13")
def test_receipts_and_markers_of_a_third_party_count_for_nothing(book):
    book.apply(ours(chat("hi", id="1")))
    for sender in (Account(MALLORY), Account(ROMEO), Occupant(JULIET, "juliet"), Room(JULIET)):
        for payload in (receipts.Received(id="1"), markers.Displayed(id="1")):
            book.apply(theirs(chat(None, payload), sender))
            assert book.lines[0].delivery is Delivery.SENT, sender
    book.apply(theirs(chat("hi", id="2")))
    assert book.apply(theirs(chat(None, receipts.Received(id="2")))) == [], "it was not ours"
    assert book.apply(theirs(chat(None, receipts.Received(id="3")))) == []


@pytest.mark.item("D6.3")
def test_an_error_says_that_a_message_of_ours_has_failed(book):
    book.apply(ours(chat("hi", id="1")))
    error = XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
    (event,) = book.apply(theirs(Message(type=MessageType.ERROR, id="1", error=error)))
    assert event.line.delivery is Delivery.FAILED
    assert event.line.error.condition is StanzaCondition.SERVICE_UNAVAILABLE
    assert book.apply(theirs(Message(type=MessageType.ERROR, id="other", error=error))) == []


@pytest.mark.item("D6.4")
def test_a_marker_covers_what_was_before_and_never_goes_back(book):
    for number in range(4):
        book.apply(ours(chat(str(number), id=str(number))))
    events = book.apply(theirs(chat(None, markers.Displayed(id="2"))))
    assert kinds(events) == [DeliveryChanged] * 3 + [Displayed]
    assert [line.delivery for line in book.lines] == [Delivery.DISPLAYED] * 3 + [Delivery.SENT]
    assert book.apply(theirs(chat(None, markers.Displayed(id="1")))) == []
    assert book.apply(theirs(chat(None, receipts.Received(id="0")))) == []
    (event,) = book.apply(ours(chat(None, markers.Displayed(id="1"))))
    assert event.by_us, "another client of ours has seen it"


@pytest.mark.item("D6.7")
def test_a_correction_changes_the_first_message_however_often(book):
    book.apply(theirs(chat("one", id="1")))
    book.apply(theirs(chat("two", id="2")))
    for number, target in enumerate(("1", "1", "c0")):
        (event,) = book.apply(theirs(chat(f"fixed {number}", Replace(id=target), id=f"c{number}")))
        assert isinstance(event, Corrected)
        assert event.line.text == f"fixed {number}"
    assert [line.text for line in book.lines] == ["fixed 2", "two"]
    assert book.lines[0].corrected == 3
    assert book.lines[0].id == "1"


@pytest.mark.item("D6.7")
def test_a_correction_of_an_unknown_message_is_a_line_that_says_so(book):
    (event,) = book.apply(theirs(chat("fixed", Replace(id="lost"), id="2")))
    assert isinstance(event, Said)
    assert (event.line.text, event.line.corrects) == ("fixed", "lost")


@pytest.mark.item("D6.14")
def test_only_the_author_corrects_and_retracts(book):
    book.apply(theirs(chat("hers", id="1")))
    (event,) = book.apply(theirs(chat("forged", Replace(id="1"), id="2"), Account(MALLORY)))
    assert isinstance(event, Said)
    assert event.line.corrects is None
    assert book.apply(theirs(chat("retracted", Retract(id="1"), id="3"), Account(MALLORY))) == []
    assert book.apply(theirs(chat("retracted", Retract(id="1", moderated=Moderated()), id="4"))) == []
    assert [line.text for line in book.lines] == ["hers", "forged"]


@pytest.mark.item("D6.14")
def test_in_a_room_an_occupant_is_known_by_its_id_or_within_one_stay():
    cases = [
        (occupant("juliet", "a"), occupant("Jule", "a"), True),
        (occupant("juliet", "a"), occupant("juliet", "b"), False),
        (occupant("juliet", "a"), occupant("juliet", None, 1), False),
        (occupant("juliet", None, 1), occupant("juliet", None, 1), True),
        (occupant("juliet", None, 1), occupant("juliet", None, 2), False),
        (occupant("juliet", None, None), occupant("juliet", None, None), False),
        (occupant("juliet", "a"), Room(ROOM), False),
    ]
    for author, sender, may in cases:
        book = Book(ROOM, is_room=True)
        book.apply(theirs(chat("hi", id="1", type=MessageType.GROUPCHAT), author, archive_id="s1"))
        book.apply(theirs(chat("fixed", Replace(id="1"), type=MessageType.GROUPCHAT), sender, archive_id="s2"))
        assert (book.lines[0].text == "fixed") is may, (author, sender)
        events = book.apply(theirs(chat(None, Retract(id="s1"), type=MessageType.GROUPCHAT), sender))
        assert kinds(events) == [Retracted] * may, (author, sender)


@pytest.mark.item("D6.14")
def test_reactions_replace_only_those_of_the_same_sender():
    book = Book(ROOM, is_room=True)
    book.apply(theirs(chat("hi", id="1"), occupant("nurse", "n"), archive_id="s1"))
    for sender in (occupant("a", None, 1), occupant("a", None, 2), occupant("b", "id"), occupant("c", "id")):
        book.apply(theirs(chat(None, Reactions(id="s1", reactions=(sender.nick,))), sender))
    assert sorted(book.lines[0].reactions.values()) == [("a",), ("a",), ("c",)]


@pytest.mark.item("D6.8")
def test_a_retraction_leaves_a_line_without_text(book):
    book.apply(theirs(chat("oops", id="1")))
    (event,) = book.apply(theirs(chat("I took it back", Retract(id="1"), Fallback(for_="urn:xmpp:message-retract:1"))))
    assert isinstance(event, Retracted)
    assert event.before.text == "oops"
    assert (book.lines[0].text, book.lines[0].retracted) == (None, True)
    assert book.apply(theirs(chat("zombie", Replace(id="1"), id="2"))) == []
    (event,) = book.apply(theirs(chat(None, Tombstone(id="9"), id="8"), archive_id="8"))
    assert isinstance(event, Said)
    assert event.line.retracted
    room = Book(ROOM, is_room=True)
    room.apply(theirs(chat("spam", id="1"), occupant("spammer", "x"), archive_id="s"))
    assert kinds(room.apply(theirs(chat(None, Retract(id="s", moderated=Moderated())), Room(ROOM)))) == [Retracted]


@pytest.mark.item("D6.9")
def test_reactions_are_replaced_taken_back_and_bounded(book):
    book.apply(theirs(chat("hi", id="1")))
    for sent, shown in (
        (("👍", "👍", "❤"), ("👍", "❤")),
        (tuple("abcdefgh"), tuple("abcdef")),
        (("x" * 33, "", "y"), ("y",)),
        ((), ()),
    ):
        (event,) = book.apply(theirs(chat(None, Reactions(id="1", reactions=sent))))
        assert isinstance(event, Reacted)
        assert event.reactions == shown
        assert [*book.lines[0].reactions.values()] == ([shown] if shown else [])
    for number in range(MAX_AUTHORS + 10):
        sender = Account(JID.parse(f"u{number}@example.test"))
        book.apply(theirs(chat(None, Reactions(id="1", reactions=("a",))), sender))
    assert len(book.lines[0].reactions) == MAX_AUTHORS
    assert book.apply(theirs(chat(None, Reactions(id="unknown", reactions=("a",))))) == []


@pytest.mark.item("D6.10")
def test_the_quote_of_a_reply_is_cut_out_in_code_points(book):
    quoted = "> Grüße 👩‍🚀 an alle\n"
    fallback = Fallback(for_=replies.NS, bodies=(Body(start=0, end=len(quoted)),))
    (event,) = book.apply(theirs(chat(f"{quoted}Danke 👍", replies.Reply(id="1", to=ROMEO), fallback, id="2")))
    assert (event.line.text, event.line.reply_to) == ("Danke 👍", "1")


@pytest.mark.item("D6.15")
def test_ranges_of_a_fallback_that_cannot_be_are_ignored():
    cases = {
        "start='0' end='3'": "def",
        "start='0' end='7'": "abcdef",
        "start='-1' end='3'": "abcdef",
        "start='4' end='2'": "abcdef",
        "start='2' end='2'": "abcdef",
        "start='99999999999999999999' end='999999999999999999999'": "abcdef",
        "end='x'": "abcdef",
        "start='3'": "abc",
        "end='2'": "cdef",
        "": None,
    }
    for attributes, text in cases.items():
        assert text_of(_parsed(f"<body {attributes}/>")) == text, attributes
    assert text_of(_parsed("<body start='0' end='3'/><body start='2' end='4'/><body start='5' end='6'/>")) == "e"
    assert text_of(_parsed("<body start='3' end='6'/><body start='0' end='3'/>")) is None
    assert text_of(_parsed("<body start='0' end='3'/>", for_="urn:other")) == "abcdef"


def _parsed(parts: str, for_: str = replies.NS) -> Message:
    text = f"<message xmlns='jabber:client'><body>abcdef</body><fallback xmlns='urn:xmpp:fallback:0' for='{for_}'>"
    message = parse_stanza(xml.fromstring(f"{text}{parts}</fallback></message>"))
    assert isinstance(message, Message)
    return message


@pytest.mark.item("D6.6")
def test_chat_states_of_others_are_told_once_and_end_with_a_message(book):
    assert not book.states.are_known
    (event,) = book.apply(theirs(chat(None, chat_states.Composing())))
    assert isinstance(event, Typing)
    assert book.states.are_known
    assert book.apply(theirs(chat(None, chat_states.Composing()))) == []
    assert kinds(book.apply(theirs(chat("hi", id="1")))) == [Typing, Said]
    assert not book.states
    assert book.apply(theirs(chat(None, chat_states.Composing()), caught_up=False)) == [], "that was long ago"
    assert book.apply(ours(chat(None, chat_states.Composing()))) == []


@pytest.mark.item("D6.11")
def test_a_thread_is_kept(book):
    (event,) = book.apply(theirs(chat("hi", thread="t1", id="1")))
    assert event.line.thread == "t1"


def test_a_book_keeps_its_last_lines_and_forgets_the_names_of_others():
    book = Book(JULIET, capacity=100)
    for number in range(1_000):
        book.apply(theirs(chat(str(number), id=f"m{number}")))
        book.apply(theirs(chat(f"fixed {number}", Replace(id=f"m{number}"), id=f"c{number}")))
    assert [line.text for line in book.lines] == [f"fixed {number}" for number in range(900, 1_000)]
    assert book.get("m899") is None
    assert book.get("m900") is not None
    assert book.get("c900") is book.get("m900")
    assert sum(book.get(f"m{number}") is not None for number in range(1_000)) == 100


@pytest.mark.item("D6.5")
def test_our_own_message_in_a_room_gets_the_id_of_the_archive():
    book = Book(ROOM, is_room=True)
    me = occupant("romeo", "r")
    book.apply(ours(chat("hi", id="1", type=MessageType.GROUPCHAT), me))
    assert book.lines[0].id == "1"
    assert book.apply(ours(chat("hi", id="1", type=MessageType.GROUPCHAT), me, archive_id="s1")) == []
    assert book.lines[0].id == "s1"
    (event,) = book.apply(theirs(chat(None, Reactions(id="s1", reactions=("a",))), occupant("nurse", "n")))
    assert event.line is book.lines[0]


def test_two_authors_may_use_one_id(book):
    book.apply(theirs(chat("hers", id="1")))
    book.apply(ours(chat("ours", id="1")))
    book.apply(theirs(chat("hers, fixed", Replace(id="1"))))
    book.apply(theirs(chat(None, receipts.Received(id="1"))))
    assert [line.text for line in book.lines] == ["hers, fixed", "ours"]
    assert book.lines[1].delivery is Delivery.RECEIVED


def test_a_message_that_cannot_be_read_is_a_line_unless_no_archive_shall_keep_it(book: Book) -> None:
    unreadable = Unreadable(ValueError())
    state = theirs(chat(None, NoStore(), id="1"), encryption=unreadable)
    assert (book.apply(state), book.lines) == ([], ())
    assert kinds(book.apply(theirs(chat(None, Store(), id="2"), encryption=unreadable))) == [Said]
