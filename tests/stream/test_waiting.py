"""Stanzas that came before a task could subscribe to them."""

from __future__ import annotations

from trioxmpp.stream.inbound.dispatch import UnclaimedStanzas
from trioxmpp.stream.inbound.inbox import DEFAULT_CAPACITY


def test_messages_that_wait_are_offered_in_order_until_a_consumer_wants_them() -> None:
    waiting: UnclaimedStanzas[int] = UnclaimedStanzas()
    for n in range(6):
        waiting.add(n, None)
    wanted = []

    def want_even(n: int, receipt=None) -> bool:
        if n % 2 == 0:
            wanted.append(n)
        return n % 2 == 0

    waiting.redispatch(want_even)
    waiting.redispatch(want_even)
    assert wanted == [0, 2, 4]
    waiting.redispatch(lambda n, receipt: wanted.append(n) or True)
    assert wanted == [0, 2, 4, 1, 3, 5]


def test_a_message_that_arrives_while_others_are_handed_out_comes_behind() -> None:
    waiting: UnclaimedStanzas[int] = UnclaimedStanzas()
    waiting.add(0, None)
    got = []

    def want(n: int, receipt=None) -> bool:
        got.append(n)
        return n == 1

    waiting.redispatch(want)
    waiting.add(1, None)
    waiting.redispatch(want)
    waiting.redispatch(want)
    assert got == [0, 0, 1, 0]


def test_they_never_wait_without_end(caplog) -> None:
    waiting: UnclaimedStanzas[int] = UnclaimedStanzas()
    for n in range(DEFAULT_CAPACITY + 5):
        waiting.add(n, None)
    got = []
    waiting.redispatch(lambda n, receipt: got.append(n) or True)
    assert got == list(range(DEFAULT_CAPACITY))
    assert "nothing is subscribed" in caplog.text


def test_a_released_message_is_gone() -> None:
    waiting: UnclaimedStanzas[int] = UnclaimedStanzas()
    waiting.add(0, None)
    waiting.drop()
    waiting.redispatch(lambda n, receipt: 1 / 0)
