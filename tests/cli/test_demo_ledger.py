"""The books of the demo: what they call lost, doubled and well done."""

from __future__ import annotations

import json
import sys

import pytest

from trioxmpp import Message, MessageType, StanzaState, StanzaToken
from trioxmpp.cli.demo.ledger import Direction, Ledger, Outage
from trioxmpp.cli.demo.report import report
from trioxmpp.cli.output import Plain


def token(state: StanzaState = StanzaState.ACKED) -> StanzaToken:
    token = StanzaToken(Message(to="juliet@example.test", type=MessageType.CHAT, body="1"))
    if state is StanzaState.ACKED:
        token._set_state(StanzaState.SENT)
    token._set_state(state)
    return token


def direction(sent: int, *arrivals: int) -> Direction:
    return Direction("romeo", "juliet", [token() for _ in range(sent)], list(arrivals))


def survived(name: str = "TCP reset") -> Outage:
    return Outage(name, at=1.0, noticed=1.25, resumed=1.75, cause="the connection is broken")


def ledger(*directions: Direction, outages: list[Outage] | None = None) -> Ledger:
    return Ledger(list(directions), 1, [survived()] if outages is None else outages)


def printed(books: Ledger, capsys: pytest.CaptureFixture[str]) -> str:
    report(books, Plain(sys.stdout))
    return capsys.readouterr().out


def test_all_is_well_when_everything_arrived_once_and_in_order():
    books = ledger(direction(3, 1, 2, 3), direction(2, 1, 2))
    assert books.ok
    assert (books.lost, books.doubled, books.resumptions) == (0, 0, 1)


def test_a_gap_is_a_loss():
    way = direction(4, 1, 3)
    assert way.lost == [2, 4]
    assert not ledger(way).ok


def test_a_message_that_comes_twice_is_doubled_and_does_not_make_up_for_a_loss():
    way = direction(3, 1, 1, 1, 3)
    assert (way.sent, way.received, way.lost, way.doubled) == (3, 4, [2], [1])
    assert not ledger(direction(2, 1, 2, 2)).ok


def test_the_wrong_order_is_not_well():
    way = direction(3, 1, 3, 2)
    assert not way.in_order
    assert not ledger(way).ok


def test_nothing_lost_of_nothing_sent_proves_nothing():
    assert not ledger(direction(0)).ok


def test_a_cut_that_was_not_survived_is_not_well():
    assert not ledger(direction(1, 1), outages=[Outage("black hole", at=1.0, noticed=3.0)]).ok
    assert not ledger(direction(1, 1), outages=[]).ok


def test_a_stanza_whose_fate_is_unknown_is_not_well_even_if_it_arrived():
    way = Direction("romeo", "juliet", [token(), token(StanzaState.SENT_WITHOUT_SM)], [1, 2])
    assert not ledger(way).ok


def test_an_early_end_is_not_well():
    books = ledger(direction(1, 1))
    books.failure = "the session is lost"
    assert not books.ok


def test_times_are_counted_from_the_cut():
    outage = survived()
    assert (outage.time_to_notice, outage.time_to_resume) == (0.25, 0.75)
    never = Outage("black hole", at=1.0)
    assert (never.time_to_notice, never.time_to_resume) == (None, None)


def test_the_summary_for_machines_is_json_and_complete():
    summary = json.loads(json.dumps(ledger(direction(3, 1, 1, 3)).summary()))
    assert summary == {
        "ok": False,
        "failure": None,
        "sent": 3,
        "received": 3,
        "lost": 1,
        "doubled": 1,
        "resumptions": 1,
        "outages": [
            {
                "cut": "TCP reset",
                "cause": "the connection is broken",
                "seconds_to_notice": 0.25,
                "seconds_to_resume": 0.75,
            }
        ],
        "tokens": {"acked": 3},
        "directions": [
            {
                "from": "romeo",
                "to": "juliet",
                "sent": 3,
                "received": 3,
                "lost": [2],
                "doubled": [1],
                "in_order": True,
            }
        ],
    }


def test_the_report_for_people_says_the_same(capsys):
    text = printed(ledger(direction(3, 1, 1, 3), outages=[Outage("black hole", at=1.0)]), capsys)
    assert "3 ACKED" in text
    assert "never" in text
    assert text.splitlines()[-1] == "1 lost, 1 doubled, 0 resumptions after 1 cut"


def test_the_report_says_why_it_ended_early(capsys):
    books = ledger(direction(0), outages=[])
    books.failure = "the session is lost"
    text = printed(books, capsys)
    assert "nothing was sent" in text
    assert text.splitlines()[-1].endswith("; ended early: the session is lost")
