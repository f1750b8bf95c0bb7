"""Slots and subscriptions of messages and presences: who gets which stanza."""

import gc
import itertools
import sys
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import JID, Message, MessageType, Presence, PresenceType, StanzaStream
from trioxmpp.stream.inbound.dispatch import candidate_slots, matching_interests

CHAT, NORMAL = MessageType.CHAT, MessageType.NORMAL
JULIET, BALCONY, BARE_OURS = "juliet@example.test", "juliet@example.test/balcony", "romeo@example.test"


class Theatre:
    """A dispatcher, and what each of its slots was called with."""

    def __init__(self, kind="messages", local_jid=BARE_OURS):
        self.dispatcher = getattr(StanzaStream(local_jid), kind)
        self.called = []

    def register(self, *slot, wildcard_resource=True):
        name = (*slot, wildcard_resource)
        self.dispatcher.register_callback(
            *slot, lambda stanza: self.called.append(name), wildcard_resource=wildcard_resource
        )
        return name

    def unregister(self, type_, from_, wildcard_resource):
        self.dispatcher.unregister_callback(type_, from_, wildcard_resource=wildcard_resource)

    def plays(self, stanza):
        self.called.clear()
        self.dispatcher.dispatch(stanza)
        return list(self.called)


def message(from_=BALCONY, type_=CHAT):
    return Message(from_=from_, type=type_)


# --- slots


def test_the_most_specific_slot_gets_a_stanza_of_a_full_address():
    """S099. Slots that do not fit are there, too, and get nothing."""
    theatre = Theatre()
    order = [
        theatre.register(CHAT, BALCONY),
        theatre.register(CHAT, JULIET),
        theatre.register(None, BALCONY),
        theatre.register(None, JULIET),
        theatre.register(CHAT, None),
        theatre.register(None, None),
    ]
    theatre.register(CHAT, JULIET, wildcard_resource=False)
    theatre.register(None, JULIET, wildcard_resource=False)
    theatre.register(NORMAL, BALCONY)
    theatre.register(NORMAL, JULIET)
    theatre.register(NORMAL, None)
    theatre.register(CHAT, "juliet@example.test/other")
    theatre.register(CHAT, "example.test")
    for slot in order:
        assert theatre.plays(message()) == [slot]
        theatre.unregister(*slot)
    assert theatre.plays(message()) == []


def test_the_most_specific_slot_gets_a_stanza_of_a_bare_address():
    """S100, C05: a slot for all resources fits a bare sender, after the one for the bare address alone."""
    theatre = Theatre()
    order = [
        theatre.register(CHAT, JULIET, wildcard_resource=False),
        theatre.register(CHAT, JULIET),
        theatre.register(None, JULIET, wildcard_resource=False),
        theatre.register(None, JULIET),
        theatre.register(CHAT, None),
        theatre.register(None, None),
    ]
    theatre.register(CHAT, BALCONY)
    theatre.register(None, BALCONY)
    theatre.register(NORMAL, JULIET)
    for slot in order:
        assert theatre.plays(message(JULIET)) == [slot]
        theatre.unregister(*slot)
    assert theatre.plays(message(JULIET)) == []


def test_a_match_of_the_sender_beats_a_match_of_the_type():
    theatre = Theatre()
    theatre.register(CHAT, None)
    by_sender = theatre.register(None, JULIET)
    assert theatre.plays(message()) == [by_sender]


def test_a_bare_address_may_have_a_slot_with_resources_and_one_without():
    theatre = Theatre()
    everything, bare_only = theatre.register(CHAT, JULIET), theatre.register(CHAT, JULIET, wildcard_resource=False)
    assert theatre.plays(message(BALCONY)) == [everything]
    assert theatre.plays(message(JULIET)) == [bare_only]
    theatre.unregister(*everything)
    assert theatre.plays(message(BALCONY)) == []


@pytest.mark.parametrize("from_", [BALCONY, None])
def test_wildcard_resource_means_nothing_but_for_bare_addresses(from_):
    theatre = Theatre()
    theatre.register(CHAT, from_, wildcard_resource=True)
    with pytest.raises(ValueError, match="only one listener"):
        theatre.register(CHAT, from_, wildcard_resource=False)
    theatre.unregister(CHAT, from_, False)


@pytest.mark.parametrize(("type_", "from_"), [*itertools.product([CHAT, None], [BALCONY, JULIET, None])])
def test_a_slot_has_one_callback(type_, from_):
    theatre = Theatre()
    theatre.register(type_, from_)
    with pytest.raises(ValueError, match="only one listener"):
        theatre.register(type_, from_)
    with (
        pytest.raises(ValueError, match="only one listener"),
        theatre.dispatcher.handler(type_, from_, print),
    ):
        pass


def test_an_address_may_be_given_as_text_or_as_a_jid():
    theatre = Theatre()
    theatre.register(CHAT, "JULIET@example.test")
    with pytest.raises(ValueError, match="only one listener"):
        theatre.register(CHAT, JID.parse(JULIET))
    theatre.unregister(CHAT, JID.parse(JULIET), True)


def test_a_slot_is_freed_by_its_exact_name():
    """S107: wildcards are for receiving."""
    theatre = Theatre()
    one, any_ = theatre.register(CHAT, BALCONY), theatre.register(None, None)
    theatre.unregister(*any_)
    assert theatre.plays(message()) == [one]
    for slot in [any_, (CHAT, JULIET, True), (None, BALCONY, True), (NORMAL, BALCONY, True)]:
        with pytest.raises(KeyError):
            theatre.unregister(*slot)
    theatre.unregister(*one)
    with pytest.raises(KeyError):
        theatre.unregister(*one)


@pytest.mark.parametrize("type_", ["chat", "nonsense", PresenceType.AVAILABLE, 3])
def test_a_type_is_a_member_of_the_enum(type_):
    messages = Theatre().dispatcher
    with pytest.raises(TypeError, match="MessageType"):
        messages.register_callback(type_, None, print)
    with pytest.raises(TypeError, match="MessageType"):
        messages.unregister_callback(type_, None)
    with pytest.raises(TypeError, match="MessageType"):
        messages.subscribe(type_)


@pytest.mark.parametrize("type_", ["subscribe", MessageType.CHAT, None])
def test_a_slot_for_presences_is_for_one_type(type_):
    """S112: there is no slot for presences of any type, so no handler gets a subscription request by accident."""
    presences = Theatre("presences").dispatcher
    with pytest.raises(TypeError, match="PresenceType"):
        presences.register_callback(type_, None, print)
    with pytest.raises(TypeError, match="PresenceType"):
        presences.unregister_callback(type_, None)


def test_presences_fall_back_by_sender_only():
    theatre = Theatre("presences")
    order = [
        theatre.register(PresenceType.AVAILABLE, BALCONY),
        theatre.register(PresenceType.AVAILABLE, JULIET),
        theatre.register(PresenceType.AVAILABLE, None),
    ]
    assert theatre.plays(Presence(from_=BALCONY, type=PresenceType.SUBSCRIBE)) == []
    for slot in order:
        assert theatre.plays(Presence(from_=BALCONY)) == [slot]
        theatre.unregister(*slot)


async def coroutine(stanza):
    pass


@pytest.mark.parametrize("kind", ["messages", "presences"])
def test_a_callback_is_a_plain_function(kind):
    dispatcher = Theatre(kind).dispatcher
    type_ = CHAT if kind == "messages" else PresenceType.AVAILABLE
    with pytest.raises(TypeError, match="plain function"):
        dispatcher.register_callback(type_, None, coroutine)
    with pytest.raises(TypeError, match="plain function"), dispatcher.handler(type_, None, coroutine):
        pass


def test_a_block_has_its_slot_while_it_runs_and_swallows_nothing():
    theatre, had = Theatre(), []

    def fail():
        with theatre.dispatcher.handler(CHAT, JULIET, had.append):
            theatre.dispatcher.dispatch(message())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    theatre.dispatcher.dispatch(message())
    assert len(had) == 1


def test_a_block_that_lost_its_slot_says_so():
    dispatcher = Theatre().dispatcher
    with pytest.raises(KeyError), dispatcher.handler(CHAT, JULIET, print):
        dispatcher.unregister_callback(CHAT, JULIET)


def test_a_callback_that_fails_is_called_again(caplog):
    """X05: aioxmpp disconnects it without a word, and one bad stanza silences the dispatcher."""
    theatre, called = Theatre(), []

    def fail(stanza):
        called.append(stanza)
        raise ZeroDivisionError

    theatre.dispatcher.register_callback(CHAT, None, fail)
    theatre.plays(message())
    theatre.plays(message())
    assert len(called) == 2
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2


def test_a_callback_that_returns_something_is_called_again():
    theatre, called = Theatre(), []

    def agree(stanza):
        called.append(stanza)
        return True

    theatre.dispatcher.register_callback(CHAT, None, agree)
    theatre.plays(message())
    theatre.plays(message())
    assert len(called) == 2


def test_a_callback_may_give_its_slot_away():
    theatre = Theatre()

    def once(stanza):
        theatre.dispatcher.unregister_callback(CHAT, None)
        theatre.called.append("once")
        theatre.register(CHAT, None)

    theatre.dispatcher.register_callback(CHAT, None, once)
    assert theatre.plays(message()) == ["once"]
    assert theatre.plays(message()) == [(CHAT, None, True)]


# --- whose is what has no sender


@pytest.mark.parametrize("slot", [(CHAT, BARE_OURS), (None, BARE_OURS), (CHAT, None)])
def test_a_stanza_without_a_sender_is_from_our_account(slot):
    theatre = Theatre()
    name = theatre.register(*slot)
    assert theatre.plays(message(None)) == [name]


def test_without_an_address_of_ours_a_stanza_without_a_sender_is_of_an_unknown_one():
    theatre = Theatre(local_jid=None)
    theatre.register(CHAT, JULIET)
    anyone = theatre.register(CHAT, None)
    assert theatre.plays(message(None)) == [anyone]


def test_a_stanza_without_a_sender_is_not_from_our_full_address():
    theatre = Theatre()
    theatre.register(CHAT, f"{BARE_OURS}/orchard")
    assert theatre.plays(message(None)) == []


# --- subscriptions


@pytest.mark.parametrize(
    ("type_", "from_", "sender", "kind", "expected"),
    [
        (None, None, BALCONY, CHAT, True),
        (None, None, None, CHAT, True),
        (CHAT, None, BALCONY, CHAT, True),
        (NORMAL, None, BALCONY, CHAT, False),
        (CHAT, JULIET, BALCONY, CHAT, True),
        (CHAT, JULIET, JULIET, CHAT, True),
        (CHAT, BALCONY, JULIET, CHAT, False),
        (CHAT, BALCONY, BALCONY, CHAT, True),
        (None, BALCONY, "juliet@example.test/other", CHAT, False),
        (None, "example.test", BALCONY, CHAT, False),
        (None, BARE_OURS, None, CHAT, True),
        (None, f"{BARE_OURS}/orchard", None, CHAT, False),
    ],
)
async def test_a_subscription_gets_what_it_is_for(type_, from_, sender, kind, expected):
    messages = Theatre().dispatcher
    async with messages.subscribe(type_, from_=from_) as inbox:
        messages.dispatch(message(sender, kind))
        assert len(inbox) == expected


async def test_every_subscription_gets_a_stanza_besides_the_one_callback():
    theatre = Theatre()
    theatre.register(None, None)
    best = theatre.register(CHAT, BALCONY)
    subscribe = theatre.dispatcher.subscribe
    async with (
        subscribe() as a,
        subscribe(CHAT) as b,
        subscribe(CHAT, from_=JULIET) as c,
        subscribe(CHAT, from_=JULIET) as d,
    ):
        stanza = message()
        assert theatre.plays(stanza) == [best]
        for inbox in (a, b, c, d):
            assert await anext(inbox) is stanza


async def test_a_subscription_for_presences_may_be_for_any_type():
    presences = Theatre("presences").dispatcher
    async with presences.subscribe() as every, presences.subscribe(PresenceType.SUBSCRIBE) as requests:
        for type_ in PresenceType:
            presences.dispatch(Presence(from_=JULIET, type=type_))
        assert (len(every), len(requests)) == (len(PresenceType), 1)


def calls(function, *args):
    """How many functions are called in the course of it: a measure of work that no clock can spoil."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # what it calls back is not our work
    sys.setprofile(profile)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


async def test_the_cost_of_a_stanza_does_not_depend_on_the_subscriptions_to_others():
    def friend(number):
        return f"friend{number}@example.test"

    messages, costs = Theatre().dispatcher, []
    async with AsyncExitStack() as subscriptions:
        for number in range(10_000):
            if number in (10, 100, 1000):
                costs.append(calls(messages.dispatch, message(friend(0))))
            await subscriptions.enter_async_context(messages.subscribe(CHAT, from_=friend(number)))
            messages.register_callback(None, friend(number), id)
        costs.append(calls(messages.dispatch, message(friend(0))))
        assert max(costs) < 1.5 * min(costs)


# --- the order as such

senders = st.sampled_from([None, *map(JID.parse, (JULIET, BALCONY, "example.test", "example.test/x", BARE_OURS))])


@given(senders, st.sampled_from(MessageType))
def test_no_slot_is_looked_at_twice_and_each_fits(sender, type_):
    slots = list(candidate_slots(type_, sender))
    assert len(set(slots)) == len(slots)
    for slot_type, from_, wildcard in slots:
        assert slot_type in (None, type_)
        assert from_ in (None, sender) or (wildcard and from_ == sender.bare)
    ranks = [(from_ is None, slot_type is None) for slot_type, from_, _ in slots]
    assert ranks == sorted(ranks)
    assert {(slot_type, from_) for slot_type, from_, _ in slots} == set(matching_interests(type_, sender))
