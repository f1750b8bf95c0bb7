"""The count of what was handled, while some of it is not finished: as a value, step by step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.protocol.sm import StreamManagement
from trioxmpp.stream.inbound.handled import LIMIT, HandledCounter, Receipt
from trioxmpp.stream.outbound.channels import ControlChannel, Doorbell


class Stream:
    """A server that keeps what is not acknowledged, and an application that finishes when it likes."""

    def __init__(self) -> None:
        self.sm: StreamManagement[object] = StreamManagement()
        self.control = ControlChannel(Doorbell())
        self.holding = HandledCounter()
        self.sent = 0
        self.in_hand: dict[int, Receipt] = {}
        self.handed_out: list[int] = []

    def arrive(self, number: int, *, held: bool) -> None:
        if not self.holding.arrived(self.sm):
            return
        self.handed_out.append(number)
        if held:
            hold = self.holding.receipt()
            assert hold is not None
            self.in_hand[number] = hold
        self.holding.processed()

    def resume(self) -> range:
        """The numbers of what the server sends again."""
        self.holding.resuming()
        return range(self.sm.handled, self.sent)


STEPS = st.lists(
    st.tuples(st.sampled_from(["held", "free", "finish", "abandon", "resume", "cut"]), st.integers(0, 30)), max_size=60
)


@given(STEPS)
def test_nothing_is_lost_and_nothing_that_is_in_hand_comes_twice(steps) -> None:
    stream = Stream()
    held: dict[int, bool] = {}
    pending: list[int] = []  # what the server has yet to send again
    for step, choice in steps:
        if step in ("held", "free"):
            for number in pending:
                assert number not in stream.in_hand or not stream.in_hand[number].abandoned
                stream.arrive(number, held=held[number])
            pending = []
            held[stream.sent] = step == "held"
            stream.sent += 1
            stream.arrive(stream.sent - 1, held=step == "held")
        elif step in ("finish", "abandon") and stream.in_hand:
            number = sorted(stream.in_hand)[choice % len(stream.in_hand)]
            getattr(stream.in_hand.pop(number), step)()
        elif step in ("resume", "cut"):
            pending = list(stream.resume())
            if step == "cut":
                for number in pending[: choice % (len(pending) + 1)]:
                    stream.arrive(number, held=held[number])
                pending = list(stream.resume())
        in_hand = sorted(stream.in_hand)
        assert all(number >= stream.sm.handled for number in in_hand), "counted, though somebody has it in hand"
    for number in pending:
        stream.arrive(number, held=held[number])
    for number in list(stream.resume()):
        stream.arrive(number, held=held[number])
    for number in sorted(stream.in_hand):
        stream.in_hand.pop(number).finish()
    assert stream.sm.handled == stream.sent
    assert set(stream.handed_out) == set(range(stream.sent))


def test_the_server_keeps_what_there_is_no_room_for() -> None:
    stream = Stream()
    for number in range(LIMIT):
        stream.arrive(number, held=number == 0)
    with pytest.raises(ConnectionError, match="has not finished"):
        stream.arrive(LIMIT, held=False)
    stream.in_hand[0].finish()
    assert stream.sm.handled == LIMIT
    stream.arrive(LIMIT, held=False)
    assert stream.sm.handled == LIMIT + 1


def test_the_count_wraps_around() -> None:
    stream = Stream()
    stream.sm.handled = 0
    stream.arrive(0, held=True)
    stream.sm.handled = 2**32 - 1
    stream.in_hand[0].finish()
    assert stream.sm.handled == 0


def test_outside_of_the_step_that_processes_a_stanza_nothing_can_be_held() -> None:
    stream = Stream()
    assert stream.holding.receipt() is None
    stream.arrive(0, held=False)
    assert stream.holding.receipt() is None


def test_a_receipt_of_a_session_that_is_over_counts_nowhere() -> None:
    stream = Stream()
    stream.arrive(0, held=True)
    stream.holding.end()
    stream.in_hand[0].finish()
    assert stream.sm.handled == 0
