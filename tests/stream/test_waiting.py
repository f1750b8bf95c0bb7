"""Stanzas that came before anybody could say that he wants them."""

from __future__ import annotations

from trioxmpp.stream.inbox import DEFAULT_CAPACITY
from trioxmpp.stream.waiting import Waiting


def test_what_waits_is_offered_in_order_until_somebody_wants_it() -> None:
    waiting: Waiting[int] = Waiting()
    for n in range(6):
        waiting.add(n, None)
    wanted = []

    def want_even(n: int) -> bool:
        if n % 2 == 0:
            wanted.append(n)
        return n % 2 == 0

    waiting.hand_out(want_even)
    waiting.hand_out(want_even)
    assert wanted == [0, 2, 4]
    waiting.hand_out(lambda n: wanted.append(n) or True)
    assert wanted == [0, 2, 4, 1, 3, 5]


def test_what_arrives_while_it_is_handed_out_comes_behind() -> None:
    waiting: Waiting[int] = Waiting()
    waiting.add(0, None)
    got = []

    def want(n: int) -> bool:
        got.append(n)
        return n == 1

    waiting.hand_out(want)
    waiting.add(1, None)
    waiting.hand_out(want)
    waiting.hand_out(want)
    assert got == [0, 0, 1, 0]


def test_nobody_makes_them_wait_without_end(caplog) -> None:
    waiting: Waiting[int] = Waiting()
    for n in range(DEFAULT_CAPACITY + 5):
        waiting.add(n, None)
    got = []
    waiting.hand_out(lambda n: got.append(n) or True)
    assert got == list(range(DEFAULT_CAPACITY))
    assert "nobody wants" in caplog.text


def test_what_was_let_go_is_gone() -> None:
    waiting: Waiting[int] = Waiting()
    waiting.add(0, None)
    waiting.let_go()
    waiting.hand_out(lambda n: 1 / 0)
