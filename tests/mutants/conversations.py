"""Naive timelines of rooms, private talks and conversations, each as its first author might write it."""

from __future__ import annotations

from .planting import Mutant

ROOMS = "im/test_room_timeline.py"
PRIVATE = "im/test_private_talks.py"
READING = "im/test_reading_together.py"
OLDER = "im/test_older_lines.py"

MUTANTS = [
    # --- the timeline of a room
    Mutant(
        "rooms: a timeline catches up once in a session, and not after each stay",
        """
        self._absences = self.room.absences
        self._books.hold()
        self._stay.cancel(reason="the stay in the room is over")
        """,
        "self._absences = self.room.absences",
        (ROOMS,),
    ),
    Mutant(
        "rooms: live messages of the next stay are not held",
        """
        if self._absences != self.room.absences:
            self._begin_stay()
        if isinstance(event, RoomMessage):
        """,
        "if isinstance(event, RoomMessage):",
        (ROOMS,),
    ),
    Mutant(
        "rooms: the history that a room sends is left out where it has no archive",
        "if not room.has_archive or is_first:",
        "if is_first and room.has_archive:",
        (ROOMS,),
    ),
    Mutant(
        "rooms: the history is given again with each start",
        "if not room.has_archive or is_first:",
        "if True:",
        (f"{ROOMS}::test_history_chooses_where_the_first_timeline_begins",),
    ),
    Mutant(
        "rooms: a room with an archive is asked for its history as well",
        "wanted = 0 if self.has_archive else None",
        "wanted = None",
        (f"{ROOMS}::test_each_message_of_a_room_is_given_once_over_processes",),
    ),
    Mutant(
        "rooms: the word of an occupant counts as that of the room",
        "if message.from_ == self.owner:",
        "if True:",
        (f"{ROOMS}::test_a_forged_moderation_and_forged_ids_cost_no_message",),
    ),
    Mutant(
        "rooms: a timeline asks the archive of the account",
        "return await archive_page(self._session, page, archive=self._ledger.archive.address, start=start)",
        "return await archive_page(self._session, page, start=start)",
        (ROOMS,),
    ),
    Mutant(
        "rooms: what came before the timeline was opened is lost",
        """
        for event in self._early or ():
            listener(event)
        self._listeners.append(listener)
        """,
        "self._listeners.append(listener)",
        (f"{ROOMS}::test_messages_between_the_join_and_the_first_timeline_are_in_it",),
    ),
    # --- private talks
    Mutant(
        "private talks: a nick is an identity",
        "return known is not None and isinstance(author, provenance.Occupant) and _is_same(author, known)",
        "return True",
        (PRIVATE,),
    ),
    Mutant(
        "private talks: a message goes to whichever occupant has the nick",
        """
        if self.occupant is None or self.is_over:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND, f"{self.peer.resource} is another occupant now")
        await self.room.whisper(self.occupant, message)
        """,
        "await self.room.client.send(message)",
        (f"{PRIVATE}::test_messages_to_an_occupant_that_left_never_reach_the_next_one",),
    ),
    Mutant(
        "private talks: a talk stays at its nick",
        """
        del self._talks[talk.peer]
        talk.moved(occupant_jid(room.jid, after))
        self._put(room, talk)
        """,
        "pass",
        (f"{PRIVATE}::test_a_talk_follows_its_occupant_and_ends_when_another_has_the_nick",),
    ),
    Mutant(
        "private talks: nothing tells that another occupant has the nick",
        """
        elif talk.occupant is not None:
            talk.end()
        """,
        "",
        (f"{PRIVATE}::test_messages_to_an_occupant_that_left_never_reach_the_next_one",),
    ),
    Mutant(
        "private talks: the archive ends a talk that goes on",
        "if opened.is_over and talk is not None and not talk.is_over:",
        "if False:",
        (f"{PRIVATE}::test_a_missed_message_goes_to_the_talk_of_its_author",),
    ),
    Mutant(
        "private talks: an occupant id counts where the room gives none",
        "claimed = message.get(OccupantId) if self._occupancy.features.occupant_ids else None",
        "claimed = message.get(OccupantId)",
        ("xep/muc/test_attacks.py",),
    ),
    # --- reading
    Mutant(
        "reading: what was displayed is told again",
        "if line.by_us or self.book.reading.has(line):",
        "if line.by_us:",
        (READING,),
    ),
    Mutant(
        "reading: a position moves a conversation back",
        "if self._read is None or self._read < number:",
        "if True:",
        (f"{OLDER}::test_reading_never_goes_back",),
    ),
    Mutant(
        "reading: the id of a message is published as that of the archive",
        'self._displays.mark(self.peer, last.archive_id or "", by=by, sent=last.sent)',
        "self._displays.mark(self.peer, line.id, by=by, sent=last.sent)",
        (READING,),
    ),
    Mutant(
        "reading: a position of a line that is not known yet is forgotten",
        "self._expected = archive_id, by",
        "pass",
        (f"{READING}::test_a_line_that_one_client_has_displayed_is_read_on_the_other",),
    ),
    # --- older lines
    Mutant(
        "older lines: a change of a line that is not known is forgotten",
        """
        if corrects is not None:
            self._unresolved.append(entry)
        """,
        "",
        (OLDER,),
    ),
    Mutant(
        "older lines: a page brings lines twice",
        """
        if not self._is_noted(entry):
            older.apply(entry)
        """,
        "older.apply(entry)",
        (f"{OLDER}::test_a_page_that_overlaps_brings_no_line_twice",),
    ),
    Mutant(
        "older lines: a corrected line stays beside its correction",
        """
        if alone is not None:
            self._lines.remove(alone)
        """,
        "",
        (OLDER,),
    ),
    Mutant(
        "older lines: our own reaction is told by the timeline once more",
        "if shown == line.reactions.get(key, ()):",
        "if False:",
        ("docs/test_chat_example.py::test_the_screens_show_what_the_page_shows",),
    ),
]
