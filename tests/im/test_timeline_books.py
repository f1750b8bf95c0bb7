"""The books of a timeline, with an archive of a test: what is held, what is known, and what a page costs."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from trioxmpp import JID, MemoryStore, Message, MessageType
from trioxmpp.client.notes import Notebook
from trioxmpp.im.provenance import Account, stanza_id
from trioxmpp.im.timeline import Entry, Source
from trioxmpp.im.timeline.archives import Arrival
from trioxmpp.im.timeline.cursor import Cursor, Position
from trioxmpp.im.timeline.duplicates import archive_key
from trioxmpp.im.timeline.entry import fingerprint
from trioxmpp.im.timeline.ledger import Ledger
from trioxmpp.protocol.elements.delay import Delay
from trioxmpp.protocol.elements.forward import Forwarded
from trioxmpp.protocol.elements.mam import Result
from trioxmpp.protocol.elements.stanza_ids import StanzaId

ROMEO, JULIET = JID.parse("romeo@example.test"), JID.parse("juliet@example.test/balcony")
THEN = datetime(2026, 1, 1, tzinfo=UTC)


class Shelf:
    """An archive whose messages a test puts into the books; it counts how often a message is looked at."""

    address: JID | None = None
    owner = ROMEO

    def __init__(self) -> None:
        self.looks: Counter[str | None] = Counter()

    def fingerprint(self, message: Message) -> str:
        self.looks[message.body] += 1
        return fingerprint(message, ROMEO)

    def key(self, message: Message, archive_id: str) -> str:
        return archive_key(archive_id, JULIET.bare)

    def id_of(self, arrival: Arrival) -> str | None:
        return stanza_id(arrival.message, ROMEO)

    def live(self, arrival: Arrival, archive_id: str | None) -> Entry:
        return self._entry(arrival.message, arrival.source, archive_id)

    def archived(self, message: Message, id: str | None, sent: datetime) -> Entry:
        return self._entry(message, Source.ARCHIVE, id)

    @staticmethod
    def _entry(message: Message, source: Source, id: str | None) -> Entry:
        return Entry(message, source, JULIET.bare, Account(JULIET.bare), False, THEN, id, source is Source.LIVE)


def books(shelf: Shelf, **more: Any) -> Ledger:
    notes = Notebook(MemoryStore()).of_kind("mam")
    return Ledger(shelf, Cursor(notes, str(ROMEO)), **{"capacity": 10_000, "held": 10_000, **more})


def message(number: object, *, id: str | None = "", archive_id: str | None = None) -> Message:
    """A message with an id of its own, or with `id`; with `archive_id` it tells the id that the archive gave it."""
    made = Message(from_=JULIET, to=ROMEO, type=MessageType.CHAT, body=str(number), id=f"m{number}" if id == "" else id)
    if archive_id is not None:
        made.payloads.append(StanzaId(by=ROMEO, id=archive_id))
    return made


def result(message: Message, archive_id: str) -> Result:
    return Result(id=archive_id, forwarded=Forwarded(delay=Delay(stamp=THEN), stanza=message))


def page(numbers: Iterable[int]) -> list[Result]:
    """A page of the archive."""
    return [result(message(each), f"a{each}") for each in numbers]


def given(ledger: Ledger) -> list[str]:
    """All that waits for the application, which has it now."""
    return [each.entry.message.body or "" for each in ledger.queue.take_all() if each.entry is not None]


def told(ledger: Ledger) -> list[tuple[str | None, Source, str | None]]:
    """The text, the source and the id in the archive of all that waits for the application."""
    entries = [each.entry for each in ledger.queue.take_all() if each.entry is not None]
    return [(entry.message.body, entry.source, entry.archive_id) for entry in entries]


def read(ledger: Ledger, number: int, *, by: int) -> None:
    """Take this number of messages from the archive, in pages of `by` messages."""
    for first in range(0, number, by):
        ledger.archived(page(range(first, first + by)))


# --- what is held


def test_a_message_that_waits_is_looked_at_once_however_many_pages_the_archive_has() -> None:
    shelf = Shelf()
    ledger = books(shelf)
    for number in range(1_000):
        ledger.arrived(message(number), Source.LIVE)
    read(ledger, 1_000, by=10)
    ledger.release()
    assert given(ledger) == [str(number) for number in range(1_000)]
    assert max(shelf.looks.values()) <= 2, "a message and its copy are looked at once each"


def test_messages_that_wait_are_given_once_though_the_archive_has_more_than_is_remembered() -> None:
    ledger = books(Shelf(), held=100)
    for number in range(100):
        ledger.arrived(message(number), Source.LIVE)
    read(ledger, 30_000, by=250)
    ledger.release()
    assert given(ledger) == [str(number) for number in range(30_000)]


def test_the_end_of_the_archive_is_known_after_all_that_was_held_was_given() -> None:
    for number in (10_000, 10_650):
        ledger = books(Shelf())
        ledger.archived(page(range(number)))
        for later in range(20_000, 30_000):
            ledger.arrived(message(later, archive_id=f"a{later}"), Source.LIVE)
        ledger.release()
        given(ledger)
        ledger.archived(page(range(number - 50, number)))
        assert given(ledger) == [], f"after {number} messages"


def test_all_that_waits_for_the_application_is_known_to_the_archive() -> None:
    ledger = books(Shelf(), capacity=25_000)
    ledger.release()
    for number in range(25_000):
        ledger.arrived(message(number, archive_id=f"a{number}"), Source.LIVE)
    assert len(given(ledger)) == 25_000
    for first in range(0, 25_000, 250):
        ledger.archived(page(range(first, first + 250)))
    assert given(ledger) == []


def test_messages_behind_one_that_was_dropped_are_dropped_and_read_in_their_order() -> None:
    ledger = books(Shelf(), held=2)
    for number in (1, 2, 3):
        ledger.arrived(message(number), Source.LIVE)
    ledger.archived(page([1, 2]))
    ledger.arrived(message(4), Source.LIVE)
    assert not ledger.release()
    ledger.archived(page([2, 3, 4]))
    ledger.arrived(message(5), Source.LIVE)
    assert ledger.release()
    assert given(ledger) == ["1", "2", "3", "4", "5"]


def test_copies_that_wait_are_given_once_with_the_id_that_one_of_them_tells() -> None:
    ledger = books(Shelf())
    ledger.arrived(message(1), Source.LIVE)
    ledger.arrived(message(1, archive_id="a1"), Source.CARBON_RECEIVED)
    ledger.arrived(message(2), Source.LIVE)
    assert (ledger.holds, ledger.duplicates) == (2, 1)
    ledger.release()
    assert told(ledger) == [("1", Source.LIVE, "a1"), ("2", Source.LIVE, None)]


def test_a_message_that_arrives_while_it_is_read_from_the_archive_was_not_missed() -> None:
    ledger = books(Shelf())
    ledger.arrived(message(2), Source.LIVE)
    ledger.archived(page([1, 2, 3]))
    assert (ledger.holds, ledger.duplicates) == (0, 1)
    ledger.release()
    assert told(ledger) == [("1", Source.ARCHIVE, "a1"), ("2", Source.LIVE, "a2"), ("3", Source.ARCHIVE, "a3")]


def test_equal_texts_without_an_id_are_paired_with_as_many_in_the_archive() -> None:
    ledger = books(Shelf())
    for _ in range(3):
        ledger.arrived(message("yes", id=None), Source.LIVE)
    ledger.archived([result(message("yes", id=None), "a1"), result(message("yes", id=None), "a2")])
    ledger.release()
    assert [body for body, _, _ in told(ledger)] == ["yes", "yes", "yes"]


def test_equal_texts_without_an_id_are_told_apart_by_their_ids_in_the_archive() -> None:
    ledger = books(Shelf())
    for number in (1, 2, 3):
        ledger.arrived(message("yes", id=None, archive_id=f"a{number}"), Source.LIVE)
    ledger.archived([result(message("yes", id=None), "a0"), result(message("yes", id=None), "a2")])
    ledger.release()
    assert [id for _, _, id in told(ledger)] == ["a0", "a2", "a1", "a3"]


def test_copies_beyond_the_first_take_no_memory_while_they_wait() -> None:
    ledger = books(Shelf())
    ledger.arrived(message(1), Source.LIVE)
    for number in range(100):
        ledger.arrived(message(1, archive_id=f"a{number}"), Source.LIVE)
    tracemalloc.start()
    for number in range(100, 2_100):
        ledger.arrived(message(1, archive_id=f"a{number}"), Source.LIVE)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000, "octets"
    assert (ledger.holds, ledger.duplicates) == (1, 2_100)


# --- the first start, and no archive


def test_a_message_that_the_archive_had_first_and_that_then_arrives_is_new() -> None:
    ledger = books(Shelf())
    ledger.skip(Position(("a1", "a2"), THEN))
    ledger.arrived(message(2), Source.LIVE)
    ledger.archived(page([1, 2, 3]))
    ledger.release()
    assert given(ledger) == ["2", "3"]


def test_an_id_in_the_archive_is_not_believed_where_there_is_no_archive() -> None:
    ledger = books(Shelf())
    ledger.arrived(message(1, archive_id="forged"), Source.LIVE)
    ledger.found_archive(False)
    ledger.arrived(message(2, archive_id="forged"), Source.LIVE)
    assert told(ledger) == [("1", Source.LIVE, None), ("2", Source.LIVE, None)]
