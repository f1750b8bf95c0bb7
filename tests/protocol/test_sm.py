"""XEP-0198 as a value: examples, wire forms, and both ends of a session against a model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trioxmpp import xml
from trioxmpp.errors import ElementError, StreamCondition
from trioxmpp.protocol import ns, sm
from trioxmpp.protocol.sm import MODULUS, Enabled, HandledCountTooHigh, StreamManagement


def nonza(text: str) -> xml.Element:
    return xml.fromstring(text.replace("/>", " xmlns='urn:xmpp:sm:3'/>", 1))


def managed(*items: str, base: int = 0) -> StreamManagement[str]:
    management: StreamManagement[str] = StreamManagement(base=base)
    for item in items:
        management.sent(item)
    return management


def test_an_ack_settles_the_oldest_first() -> None:
    management = managed("a", "b", "c")
    assert management.acked(2) == ["a", "b"]
    assert list(management.unacked) == ["c"]
    assert management.base == 2


def test_the_same_h_twice_settles_nothing_twice() -> None:
    management = managed("a", "b")
    assert management.acked(1) == ["a"]
    assert management.acked(1) == []


def test_counters_wrap() -> None:
    management = managed("a", "b", "c", base=MODULUS - 2)
    assert management.acked(MODULUS - 1) == ["a"]
    assert management.acked(1) == ["b", "c"]
    inbound: StreamManagement[str] = StreamManagement(handled=MODULUS - 1)
    inbound.received()
    assert inbound.handled == 0


@pytest.mark.parametrize("h", [3, MODULUS - 1])
def test_h_too_high_changes_nothing_and_says_what_was_sent(h: int) -> None:
    management = managed("a", "b")
    with pytest.raises(HandledCountTooHigh) as caught:
        management.acked(h)
    assert caught.value.condition is StreamCondition.UNDEFINED_CONDITION
    assert caught.value.application == f"<handled-count-too-high xmlns='urn:xmpp:sm:3' h='{h}' send-count='2'/>"
    assert (management.base, list(management.unacked)) == (0, ["a", "b"])


def test_in_flight_keeps_the_original_order() -> None:
    """D1: aioxmpp sends what is in flight again in reverse order."""
    management = managed("a", "b", "c", "d", "e")
    management.acked(1)
    assert list(management.in_flight()) == ["b", "c", "d", "e"]


def test_the_words_of_the_request() -> None:
    assert sm.enable(resume=True) == "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
    assert sm.enable(resume=True, max=300) == "<enable xmlns='urn:xmpp:sm:3' resume='true' max='300'/>"
    assert sm.enable(resume=False, max=300) == "<enable xmlns='urn:xmpp:sm:3'/>"
    assert sm.resume("it's", 7) == "<resume xmlns='urn:xmpp:sm:3' h='7' previd='it&apos;s'/>"
    assert sm.ack(5) == "<a xmlns='urn:xmpp:sm:3' h='5'/>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<enabled/>", Enabled()),
        ("<enabled id='x' resume='true' max='300'/>", Enabled("x", True, 300)),
        ("<enabled id='x' resume='1'/>", Enabled("x", True)),
        ("<enabled id='x' resume='0' max='soon'/>", Enabled("x", False)),
        ("<enabled id='x' resume='true' location='[fe80::1]:5222'/>", Enabled("x", True, None, ("fe80::1", 5222))),
        ("<enabled id='x' resume='true' location='[fe80::1]'/>", Enabled("x", True, None, ("fe80::1", None))),
        ("<enabled id='x' resume='true' location='fe80::1'/>", Enabled("x", True, None, ("fe80::1", None))),
        ("<enabled id='x' resume='true' location='host.example:1'/>", Enabled("x", True, None, ("host.example", 1))),
        ("<enabled id='x' resume='true' location='host.example'/>", Enabled("x", True, None, ("host.example", None))),
        ("<enabled id='x' resume='true' location='host:99999'/>", Enabled("x", True)),
        ("<enabled id='x' resume='true' location='host:0'/>", Enabled("x", True)),
        ("<enabled id='' resume='true'/>", Enabled(None, True)),
        ("<enabled id='x' resume='true' location='host:0012345678'/>", Enabled("x", True)),
        ("<enabled id='x' resume='true' location='[nonsense'/>", Enabled("x", True)),
        ("<enabled id='x' resume='true' location='[[::1]:5222'/>", Enabled("x", True)),
        ("<enabled id='x' resume='true' location='::]:1'/>", Enabled("x", True)),
    ],
)
def test_the_grant(text: str, expected: Enabled) -> None:
    assert sm.parse_enabled(nonza(text)) == expected


def test_a_session_without_an_id_cannot_be_resumed() -> None:
    assert not StreamManagement(granted=Enabled(None, True)).resumable
    assert StreamManagement(granted=Enabled("x", True)).resumable


@pytest.mark.parametrize("h", ["", "-1", "1.5", "4294967296", "٣", "9" * 5000, " 1"])
def test_an_ack_that_is_no_count_is_refused(h: str) -> None:
    with pytest.raises(ElementError):
        sm.parse_ack(nonza(f"<a h='{h}'/>"))
    with pytest.raises(ElementError):
        sm.parse_resumed(nonza(f"<resumed previd='x' h='{h}'/>"))
    assert sm.parse_failed(nonza(f"<failed h='{h}'/>")).h is None


def test_acks() -> None:
    assert sm.parse_ack(nonza("<a h='4294967295'/>")) == MODULUS - 1
    assert sm.parse_resumed(nonza("<resumed previd='x' h='3'/>")) == ("x", 3)
    with pytest.raises(ElementError):
        sm.parse_ack(nonza("<a/>"))


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        ("<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>", "item-not-found"),
        (
            "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
            "item-not-found",
        ),
        ("<nonsense/>", "undefined-condition"),
        ("", "undefined-condition"),
    ],
)
def test_a_refusal_is_understood_however_it_is_spelt(inner: str, condition: str) -> None:
    element = xml.fromstring(f"<failed xmlns='urn:xmpp:sm:3' h='4'>{inner}</failed>")
    assert sm.parse_failed(element) == sm.Failed(condition, 4)


class LossyLink(RuleBasedStateMachine):
    """Two ends of a session over a wire that may lose everything that is on it.

    `ours` is the machine under test; the other end is a list. The stanzas of each side are numbered, so order, loss and
    doubling show.
    """

    @initialize(start=st.integers(MODULUS - 6, MODULUS + 3), inbound=st.integers(MODULUS - 6, MODULUS + 3))
    def begin(self, start: int, inbound: int) -> None:
        self.ours: StreamManagement[int] = StreamManagement(base=start % MODULUS, handled=inbound % MODULUS)
        self.first_out, self.first_in = start, inbound
        self.sent = 0
        self.wire: list[int] = []
        self.arrived: list[int] = []
        self.acked: list[int] = []
        self.theirs = 0  # how many stanzas they sent
        self.their_wire: list[int] = []
        self.handled: list[int] = []

    @rule()
    def send(self) -> None:
        self.ours.sent(self.sent)
        self.wire.append(self.sent)
        self.sent += 1

    @rule(count=st.integers(1, 4))
    def arrive(self, count: int) -> None:
        self.arrived += self.wire[:count]
        del self.wire[:count]

    @rule(behind=st.integers(0, 3))
    def ack(self, behind: int) -> None:
        h = max(len(self.acked), len(self.arrived) - behind)
        self.acked += self.ours.acked((self.first_out + h) % MODULUS)

    @rule(excess=st.integers(1, 5))
    def overack(self, excess: int) -> None:
        before = (self.ours.base, list(self.ours.unacked))
        with pytest.raises(HandledCountTooHigh):
            self.ours.acked((self.first_out + self.sent + excess) % MODULUS)
        assert (self.ours.base, list(self.ours.unacked)) == before

    @rule()
    def they_send(self) -> None:
        self.their_wire.append(self.theirs)
        self.theirs += 1

    @precondition(lambda self: self.their_wire)
    @rule()
    def process(self) -> None:
        self.handled.append(self.their_wire.pop(0))
        self.ours.received()

    @rule()
    def lose_and_resume(self) -> None:
        self.wire.clear()
        self.acked += self.ours.acked((self.first_out + len(self.arrived)) % MODULUS)
        self.wire += self.ours.in_flight()
        h = (self.ours.handled - self.first_in) % MODULUS
        self.their_wire = list(range(h, self.theirs))

    @invariant()
    def nothing_lost_nothing_doubled_order_kept(self) -> None:
        if hasattr(self, "ours"):
            assert self.arrived + self.wire == list(range(self.sent))
            assert self.acked + list(self.ours.unacked) == list(range(self.sent))
            assert self.handled + self.their_wire == list(range(self.theirs))


TestLossyLink = LossyLink.TestCase
TestLossyLink.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


ODD_COUNTS = ["", "0", "007", "+1", " 1", "1 ", "1_0", "0x1", "\u0661", "\u00b2", "4294967295", "4294967296"]
ENDS = ["/>", "></a>", ">x</a>", "> </a>", "><b/></a>", " other='1'/>", " xmlns:p='urn:p' p:h='2'/>"]


@given(st.one_of(st.integers(-1, MODULUS + 1).map(str), st.sampled_from(ODD_COUNTS)), st.sampled_from(ENDS))
def test_an_ack_means_the_same_whichever_way_it_is_read(h: str, end: str) -> None:
    """The form that servers write is read without the reader of elements; it decides about all others."""
    element = xml.fromstring(f"<a xmlns='{ns.SM}' h='{h}'{end}")
    try:
        expected: int | None = xml.parse(sm._Ack, element).h
    except ElementError:
        expected = None
    try:
        found: int | None = sm.parse_ack(element)
    except ElementError:
        found = None
    assert found == expected
