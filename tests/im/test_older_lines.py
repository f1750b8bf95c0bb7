"""Older pages of an archive, put in front of the lines of a conversation."""

from __future__ import annotations

import itertools
import random
from typing import Any

from tests.im.test_conversation_book import HERS, JULIET, MALLORY, ROMEO, Noted, chat, theirs
from tests.im.world import ACCOUNTS, Disk, connect, reading, settle
from tests.im.world import chat as to_romeo
from tests.xep.muc.rooms import ROOM, persistent
from trioxmpp import MessageType
from trioxmpp.im.conversation import (
    Conversation,
    Delivery,
    Said,
    about,
    is_lasting,
    open_conversations,
    open_room_conversation,
)
from trioxmpp.im.conversation.book import Book
from trioxmpp.im.provenance import Account
from trioxmpp.im.timeline import open_room_timeline, open_timeline
from trioxmpp.protocol.elements import chat_states, markers, receipts
from trioxmpp.protocol.elements.correction import Replace
from trioxmpp.protocol.elements.reactions import Reactions
from trioxmpp.protocol.elements.retraction import Retract
from trioxmpp.testing import open_server
from trioxmpp.xep.muc import FROM_ARCHIVE, open_room

OURS = Account(ROMEO)


def story() -> list[Noted]:
    """A conversation with all kinds of changes, some of them by an attacker."""
    counter = itertools.count()

    def entry(message: Any, sender: Account = HERS) -> Noted:
        return Noted(message, sender, by_us=sender == OURS, archive_id=f"a{next(counter)}", caught_up=False)

    return [
        entry(chat("one", id="1")),
        entry(chat("two", id="2"), OURS),
        entry(chat("three", id="3")),
        entry(chat("four", id="4"), OURS),
        entry(chat(None, receipts.Received(id="2"), id="r2")),
        entry(chat("one, mended", Replace(id="1"), id="c1")),
        entry(chat(None, Reactions(id="3", reactions=("a",)), id="e3"), OURS),
        entry(chat(None, Retract(id="4"), id="t4"), OURS),
        entry(chat("forged", Replace(id="3"), id="f3"), Account(MALLORY)),
        entry(chat(None, Retract(id="1"), id="f1"), Account(MALLORY)),
        entry(chat("five", id="5")),
        entry(chat("one, mended twice", Replace(id="1"), id="c2")),
        entry(chat(None, markers.Displayed(id="2"), id="d2")),
        entry(chat(None, markers.Displayed(id="5"), id="d5"), OURS),
    ]


def look(book: Book) -> list[Any]:
    return [(e.text, e.by_us, e.retracted, e.corrected, e.delivery, [*e.reactions.values()]) for e in book.lines]


def test_pages_in_front_give_what_the_whole_would_give() -> None:
    whole = Book(JULIET)
    for entry in story():
        whole.apply(entry)
    chance = random.Random(1)
    for _ in range(200):
        cuts = sorted(chance.sample(range(1, len(story())), chance.randrange(1, 6)))
        pages = [story()[start:end] for start, end in itertools.pairwise([0, *cuts, len(story())])]
        book = Book(JULIET)
        for entry in pages.pop():
            book.apply(entry)
        while pages:
            book.put_in_front(pages.pop())
        assert look(book) == look(whole), cuts
        assert book.reading.line is not None
        assert book.reading.line.text == "five"
        assert book.reading.unread == whole.reading.unread
    assert whole.lines[0].text == "one, mended twice"
    assert whole.lines[1].delivery is Delivery.DISPLAYED


def test_a_page_that_overlaps_brings_no_line_twice() -> None:
    book = Book(JULIET)
    entries = story()
    for entry in entries[2:]:
        book.apply(entry)
    lines = book.put_in_front(entries)
    assert [line.text for line in lines] == ["one, mended twice", "two"]
    before = look(book)
    assert book.put_in_front(entries) == ()
    assert look(book) == before


def test_a_live_copy_of_a_line_that_a_page_has_brought_adds_none() -> None:
    book = Book(JULIET)
    book.put_in_front(story()[:1])
    assert book.apply(theirs(chat("one", id="1"), archive_id="a0")) == []
    (event,) = book.apply(theirs(chat("one", id="1"), archive_id="another"))
    assert isinstance(event, Said), "an id of a message may be used twice"


def test_lines_beyond_the_capacity_are_returned_and_not_kept() -> None:
    book = Book(JULIET, capacity=3)
    book.apply(theirs(chat("now", id="now"), archive_id="now"))
    lines = book.put_in_front([theirs(chat(str(n), id=str(n)), archive_id=f"a{n}") for n in range(10)])
    assert [line.text for line in lines] == [str(n) for n in range(10)]
    assert [line.text for line in book.lines] == ["8", "9", "now"]
    book.apply(theirs(chat("later", id="later")))
    assert [line.text for line in book.lines] == ["9", "now", "later"]


def test_reading_never_goes_back() -> None:
    book = Book(JULIET)
    for number in range(3):
        book.apply(theirs(chat(str(number), id=str(number)), archive_id=f"a{number}"))
    for archive_id, told, unread in (("a1", 1, 1), ("a0", 0, 1), ("a1", 0, 1), ("a2", 1, 0), ("unknown", 0, 0)):
        assert len([*book.reading.up_to_archived(archive_id, OURS)]) == told, archive_id
        assert book.reading.unread == unread, archive_id


def test_changes_of_unknown_lines_are_bounded() -> None:
    book = Book(JULIET)
    for number in range(1_000):
        book.apply(theirs(chat(None, Reactions(id=f"m{number}", reactions=("a",)))))
    assert len(book.unresolved) <= 100


def test_a_store_is_told_what_to_keep() -> None:
    for message, id, lasting in (
        (chat("hi"), None, True),
        (chat(None, chat_states.Composing()), None, False),
        (chat(None, receipts.Received(id="1")), "1", True),
        (chat(None, markers.Displayed(id="2")), "2", True),
        (chat("fixed", Replace(id="3")), "3", True),
        (chat(None, Reactions(id="4", reactions=())), "4", True),
        (chat("fallback", Retract(id="5")), "5", True),
    ):
        assert (about(message), is_lasting(message)) == (id, lasting), message


async def test_a_conversation_reads_its_archive_backwards(autojump_clock: Any) -> None:
    async with (
        open_server(accounts=ACCOUNTS, archive=True) as server,
        connect(server, "juliet@example.test/1") as juliet,
        reading(server),
    ):
        for number in range(25):
            await juliet.send(to_romeo(number, id=f"m{number}"))
        async with (
            connect(server, "romeo@example.test/2", store=Disk()) as client,
            open_timeline(client) as timeline,
            open_conversations(client, timeline) as talks,
        ):
            talk = talks["juliet@example.test"]
            await juliet.send(to_romeo("now", to=client.jid))
            await settle()
            pages = []
            while lines := await talk.older(10):
                pages.insert(0, [line.text for line in lines])
            assert [len(page) for page in pages] == [5, 10, 10]
            assert [line.text for line in talk.lines] == [*map(str, range(25)), "now"]
            nobody = talks["nurse@example.test"]
            assert await nobody.older() == ()
            assert await Conversation(client, JULIET).older() == ()


async def test_a_room_reads_its_archive_backwards(autojump_clock: Any) -> None:
    async with (
        open_server(accounts=ACCOUNTS, rooms=True) as server,
        connect(server, "juliet@example.test/1") as hers,
        connect(server, "romeo@example.test/1") as his,
        open_room(hers, ROOM, "juliet", create=persistent) as room,
    ):
        for number in range(25):
            await room.say(str(number))
        async with (
            open_room(his, ROOM, "romeo", history=FROM_ARCHIVE) as entered,
            open_room_timeline(entered) as timeline,
            open_room_conversation(entered, timeline) as talk,
            talk.events() as events,
        ):
            assert talk.lines == ()
            await room.say("now")
            line = await talk.say("mine")
            event = await anext(events)
            assert isinstance(event, Said)
            assert event.line.text == "now"
            await settle()
            assert [line.text for line in talk.lines] == ["now", "mine"]
            while await talk.older(10):
                pass
            assert [line.text for line in talk.lines] == [*map(str, range(25)), "now", "mine"]
            assert talk.lines[0].message.type is MessageType.GROUPCHAT
            await talk.correct(line, "mine, too")
            await settle()
            assert talk.lines[-1].text == "mine, too"
