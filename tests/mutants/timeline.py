"""Naive timelines: each is how an author who had not read the recorded dialogs would write it."""

from __future__ import annotations

from .planting import Mutant

TIMELINE = "im/test_timeline.py"
LATE = "im/test_late_archive.py"
BOOKS = "im/test_timeline_books.py"

MUTANTS = [
    Mutant(
        "timeline: a live message moves the cursor over the gap",
        "self.cursor.finish(outcome.keys)",
        """
        self.cursor.finish(outcome.keys)
        if outcome.entry is not None and outcome.entry.archive_id is not None:
            self.read = Position((outcome.entry.archive_id,), outcome.entry.sent)
            self.cursor.move(self.read)
        """,
        ("im/test_timeline_programs.py", TIMELINE),
    ),
    Mutant(
        "timeline: live messages are not held while catching up",
        """
        ledger = self._ledger
        ledger.hold()
        while True:
        """,
        """
        ledger = self._ledger
        ledger.release_anyway()
        while True:
        """,
        (f"{TIMELINE}::test_live_messages_that_arrive_while_catching_up_come_after_it_and_once",),
    ),
    Mutant(
        "timeline: what the archive has shown waits on",
        "self.duplicates += self._held.drop(keys)",
        "",
        (f"{BOOKS}::test_messages_that_wait_are_given_once_though_the_archive_has_more_than_is_remembered",),
    ),
    Mutant(
        "timeline: there is room again behind a message that was dropped",
        "if self.dropped or len(self._waiting) >= self._limit:",
        "if len(self._waiting) >= self._limit:",
        (f"{BOOKS}::test_messages_behind_one_that_was_dropped_are_dropped_and_read_in_their_order",),
    ),
    Mutant(
        "timeline: what was dropped at the first start is from before it",
        "if ledger.dropped or not known:",
        "if not known:",
        (f"{TIMELINE}::test_messages_dropped_at_the_first_start_are_read_from_the_archive",),
    ),
    Mutant(
        "timeline: after many live messages the first start reads what is from before",
        "if ledger.dropped or not known:",
        "if ledger.dropped:",
        (f"{TIMELINE}::test_the_first_start_begins_with_the_first_of_many_messages_that_arrive_meanwhile",),
    ),
    Mutant(
        "timeline: as much is remembered, however much may wait",
        "Seen(max(KEYS, 2 * (max(capacity, held) + CERTAIN_EVERY + PAGE)))",
        "Seen(KEYS)",
        (
            f"{BOOKS}::test_all_that_waits_for_the_application_is_known_to_the_archive",
            f"{BOOKS}::test_the_end_of_the_archive_is_known_after_all_that_was_held_was_given",
        ),
    ),
    Mutant(
        "timeline: a message that the archive had before it arrives is an old one",
        "is_old = id in self._before and copy is None",
        "is_old = id in self._before",
        (f"{BOOKS}::test_a_message_that_the_archive_had_first_and_that_then_arrives_is_new",),
    ),
    Mutant(
        "timeline: equal texts without an id are one message while they wait",
        "return key is None and mark.startswith(WEAK)",
        "return False",
        (f"{BOOKS}::test_equal_texts_without_an_id_are_paired_with_as_many_in_the_archive",),
    ),
    Mutant(
        "timeline: the next session does not hold from its first stanza on",
        """
        finally:
            ledger.hold()
        """,
        """
        finally:
            pass
        """,
        (f"{TIMELINE}::test_live_messages_of_a_new_session_come_after_those_that_were_missed",),
    ),
    Mutant(
        "timeline: the tail that was dropped is not read from the archive",
        "if is_cut and self.has_archive:",
        "if False:",
        (f"{TIMELINE}::test_messages_dropped_while_catching_up_are_read_before_later_ones",),
    ),
    Mutant(
        "timeline: an entry is done when it is given",
        "self._in_hand = outcome\n",
        """
        self._in_hand = outcome
        self.finish()
        """,
        (f"{TIMELINE}::test_a_process_that_is_killed_before_it_is_done_gets_the_message_again_with_the_same_id",),
    ),
    Mutant(
        "timeline: the answer to a cursor is believed without the overlap",
        "return (None, 0) if place is None else (page, place)",
        "return page, place or 0",
        (f"{TIMELINE}::test_a_cursor_that_the_archive_does_not_know_any_more_loses_and_doubles_nothing",),
    ),
    Mutant(
        "timeline: only an error says that a cursor is dead",
        "return (None, 0) if place is None else (page, place)",
        "return (None, 0) if place is None and page is not None and page.results else (page, place or 0)",
        (f"{TIMELINE}::test_a_cursor_that_the_archive_does_not_know_any_more_loses_and_doubles_nothing",),
    ),
    Mutant(
        "timeline: one look at the archive is enough",
        "ledger, place, due, looks = self._ledger, self._ledger.read, self._later(), LOOKS",
        "ledger, place, due, looks = self._ledger, self._ledger.read, math.inf, LOOKS",
        (f"{LATE}::test_a_message_that_a_session_gets_neither_live_nor_from_the_archive_at_first_is_given",),
    ),
    Mutant(
        "timeline: an archive without the live messages is up to date",
        "is_written, is_new, known = not self._ledger.is_behind, False, 0",
        "is_written, is_new, known = True, False, 0",
        (f"{LATE}::test_an_archive_that_is_later_than_the_second_look_is_looked_at_again",),
    ),
    Mutant(
        "timeline: a cursor is one message, and the one before it",
        "steps[max(first - 1, 0) :]",
        "steps[-2:]",
        (f"{LATE}::test_a_message_that_was_overtaken_in_the_archive_is_given_in_the_next_session",),
    ),
    Mutant(
        "timeline: the id of a message is the cursor",
        "trail.add(id, stamp_of(result, now))",
        "trail.add((result.forwarded.message and result.forwarded.message.id) or id, stamp_of(result, now))",
        (f"{TIMELINE}::test_the_cursor_is_an_id_of_the_archive_and_no_other_id_of_a_message",),
    ),
    Mutant(
        "timeline: an id in the archive names one message",
        'return f"@{shown} {_mark_of(str(sender))}"',
        'return f"@{shown}"',
        (f"{LATE}::test_two_messages_with_one_id_in_the_archive_are_both_given",),
    ),
    Mutant(
        "timeline: a purged archive is no gap",
        "return first is None or (stamp_of(first) > position.stamp and not self._ledger.has_had([first]))",
        "return False",
        (f"{TIMELINE}::test_an_archive_that_was_purged_is_told_as_a_gap",),
    ),
    Mutant(
        "timeline: the first start reads the whole archive",
        """
        try:
            await self._begin_at_the_end()
        """,
        """
        try:
            await self._read_pages(await archive_page(self._session), None)
        """,
        (f"{TIMELINE}::test_the_first_start_begins_now_or_at_the_time_that_was_given",),
    ),
    Mutant(
        "timeline: the first start skips what arrives meanwhile",
        "await self._ledger.begin_at(end)",
        "self._ledger.skip(end)",
        (f"{TIMELINE}::test_a_block_that_is_left_by_an_exception_is_not_done_with_its_message",),
    ),
    Mutant(
        "timeline: the archive id alone tells duplicates",
        "is_new = is_new and mark not in self._known and mark not in self._older",
        "is_new = is_new and (key is not None or (mark not in self._known and mark not in self._older))",
        (f"{TIMELINE}::test_a_retransmission_that_the_archive_has_twice_is_given_once",),
    ),
    Mutant(
        "timeline: the id of a message alone tells duplicates",
        """
        if len(bodies) == 1:
            parts += bodies.values()
        """,
        """
        if len(bodies) == 1:
            parts.clear()
        """,
        (f"{TIMELINE}::test_different_texts_under_one_id_and_equal_texts_without_an_id_are_different_messages",),
    ),
    Mutant(
        "timeline: a text alone tells duplicates",
        "return digest if id is not None else WEAK + digest[1:]",
        "return digest",
        (f"{TIMELINE}::test_different_texts_under_one_id_and_equal_texts_without_an_id_are_different_messages",),
    ),
    Mutant(
        "timeline: what is done is not written down",
        """
        with trio.move_on_after(LAST_SAVE, shield=True):
            await self.save()
        """,
        "pass",
        (f"{TIMELINE}::test_missed_messages_come_first_and_then_those_of_now",),
    ),
    Mutant(
        "timeline: a message of our own is not known when it comes back",
        "self._books.arrived(message, Source.OWN)",
        "pass",
        (f"{TIMELINE}::test_copies_of_one_message_are_given_once_by_whichever_way_they_come",),
    ),
    Mutant(
        "timeline: a broken archive keeps all live messages back",
        """
        except (StanzaError, TimeoutError):
            self._ledger.release_anyway()
            raise
        """,
        """
        except (StanzaError, TimeoutError):
            raise
        """,
        (f"{TIMELINE}::test_an_archive_that_does_not_answer_keeps_live_messages_back_for_a_minute_only",),
    ),
    # --- attacks
    Mutant(
        "provenance: a carbon from anyone is believed",
        """
        if message.from_ is not None and message.from_ != account:
            return None
        wrapper =
        """,
        "wrapper =",
        (
            f"{TIMELINE}::test_forged_copies_and_results_are_dropped_and_counted_and_reach_nothing",
            "im/test_provenance.py",
        ),
    ),
    Mutant(
        "provenance: a carbon in a carbon is believed",
        "if inner is None or inner.type not in _TYPES or is_carbon(inner):",
        "if inner is None or inner.type not in _TYPES:",
        ("im/test_provenance.py",),
    ),
    Mutant(
        "provenance: a carbon of a groupchat is believed",
        "if inner is None or inner.type not in _TYPES or is_carbon(inner):",
        "if inner is None or is_carbon(inner):",
        ("im/test_provenance.py",),
    ),
    Mutant(
        "provenance: the first of two ids in the archive is believed",
        """
        if found is not None:
            return None
        found = each.id
        """,
        "found = found or each.id",
        (f"{TIMELINE}::test_a_forged_archive_id_costs_no_message", "im/test_provenance.py"),
    ),
    Mutant(
        "archive: a result from another sender is believed",
        "if payload is None or not sent_by_archive(message, self._archive, self._ours):",
        "if payload is None:",
        ("xep/test_mam.py::test_only_results_of_the_archive_asked_for_this_query_and_before_its_fin_are_believed",),
    ),
    Mutant(
        "archive: a result of another query is believed",
        "elif result.queryid != self._queryid:",
        "elif False:",
        ("xep/test_mam.py::test_only_results_of_the_archive_asked_for_this_query_and_before_its_fin_are_believed",),
    ),
    Mutant(
        "archive: results that nothing asked for reach the application",
        """
        self.forged += 1
        _logger.debug("dropped an archived message that was not asked for, from %s", message.from_)
        return None
        """,
        """
        self.forged += 1
        return message
        """,
        ("xep/test_mam.py::test_only_results_of_the_archive_asked_for_this_query_and_before_its_fin_are_believed",),
    ),
    Mutant(
        "archive: a page has no end",
        "elif len(self.results) >= self._limit:",
        "elif False:",
        ("xep/test_mam.py::test_an_archive_that_sends_far_more_than_the_page_is_cut_short_and_nothing_is_skipped",),
    ),
    Mutant(
        "archive: a page that was cut is followed by the next one of the server",
        "last = None if rsm is None or self.cut else rsm.last",
        "last = None if rsm is None else rsm.last",
        ("xep/test_mam.py::test_an_archive_that_sends_far_more_than_the_page_is_cut_short_and_nothing_is_skipped",),
    ),
    Mutant(
        "archive: only complete ends a series",
        "return (answer.fin.complete and not answer.cut) or not answer.results or edge is None or edge == before",
        "return answer.fin.complete and not answer.cut",
        ("xep/test_mam.py::test_an_archive_whose_pages_lead_nowhere_has_ended",),
    ),
    Mutant(
        "archive: the next page is asked for when the application is done",
        "trio.open_memory_channel[ArchivePage](1)",
        "trio.open_memory_channel[ArchivePage](0)",
        ("xep/test_mam.py::test_the_next_page_is_asked_for_at_once_and_two_pages_wait_at_most",),
    ),
]
