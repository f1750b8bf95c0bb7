"""The ledger of the killed bot closes its database: from Python 3.13 on an open one is a warning in another test."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.chaos.bot import Ledger
from tests.chaos.killing import late_blocks
from trioxmpp import Message


def test_the_database_is_closed_at_the_end_of_the_block(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.enter(Message(id="1", body="Hi"))
        ledger.enter(Message(id="1", body="Hi"))
        assert (ledger.got, ledger.repeated) == (["Hi"], 1)
    with pytest.raises(sqlite3.ProgrammingError):
        _ = ledger.got


def test_it_is_closed_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(LookupError), Ledger(tmp_path / "ledger.db") as ledger:
        raise LookupError
    with pytest.raises(sqlite3.ProgrammingError):
        _ = ledger.written


def test_blocks_that_came_late_are_counted() -> None:
    for got, late in (
        ([], 0),
        ([1, 2, 3], 0),
        ([1, 2, 5, 6, 3, 4, 7], 1),
        ([1, 2, 5, 6, 3, 4, 9, 7, 8], 2),
        ([3, 2, 1], 2),
    ):
        assert late_blocks([str(number) for number in got]) == late, got
