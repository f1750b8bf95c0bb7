"""The policy for a link that is gone: causes, decisions, and their traces in a client."""

from __future__ import annotations

import itertools
import random
import socket

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    ConnectError,
    Credentials,
    Destroyed,
    Established,
    Liveness,
    ReconnectPolicy,
    Resumed,
    StanzaCondition,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
    StreamTimeout,
    Suspended,
    TLSFailure,
    XMPPCancelError,
)
from trioxmpp.client.cause import redirection
from trioxmpp.client.policy import AskCredentials, BackoffState, Cause, GiveUp, Wait
from trioxmpp.errors import Attempt, Stage
from trioxmpp.testing import Faults


def because(exc: Exception, cause: BaseException) -> Exception:
    exc.__cause__ = cause
    return exc


def attempts(*causes: BaseException) -> ConnectError:
    return ConnectError(
        "nobody let us in",
        [Attempt(f"xmpp://host{n}:5222", None, Stage.CONNECTING, exc) for n, exc in enumerate(causes)],
    )


def stream_error(condition: str, text: str | None = None) -> StreamError:
    return StreamError(StreamCondition(condition), text)


# --- causes

NO_ADDRESS = socket.gaierror(-2, "cannot find the address")
REFUSED = ConnectionRefusedError(111, "refused")
RESOURCE_TAKEN = because(StreamNegotiationFailure("no"), XMPPCancelError(StanzaCondition.CONFLICT))


@pytest.mark.parametrize(
    ("exc", "cause"),
    [
        (ConnectError("there is no XMPP server to look for"), Cause.DNS),
        (attempts(NO_ADDRESS), Cause.DNS),
        (attempts(REFUSED), Cause.TCP),
        (ConnectionResetError("reset"), Cause.TCP),
        (ConnectionAbortedError("the server closed the stream"), Cause.TCP),
        (attempts(TimeoutError("no answer in time")), Cause.SILENCE),
        (because(ConnectError("not within 60 seconds"), TimeoutError()), Cause.SILENCE),
        (StreamTimeout("nothing was heard"), Cause.SILENCE),
        (stream_error("connection-timeout"), Cause.SILENCE),
        (TLSFailure("expired"), Cause.TLS),
        (AuthenticationFailure("wrong", "not-authorized"), Cause.AUTH),
        (AuthenticationFailure("the server does not know the password either"), Cause.AUTH),
        (AuthenticationFailure("later", "temporary-auth-failure"), Cause.AUTH_LATER),
        (stream_error("conflict"), Cause.CONFLICT),
        (RESOURCE_TAKEN, Cause.CONFLICT),
        (stream_error("policy-violation"), Cause.POLICY),
        (StreamNegotiationFailure("no bind"), Cause.POLICY),
        (stream_error("system-shutdown"), Cause.SHUTDOWN),
        (stream_error("see-other-host", "b.example"), Cause.SEE_OTHER_HOST),
        (stream_error("not-well-formed"), Cause.STREAM_ERROR),
        (KeyError("a filter has raised"), Cause.MISTAKE),
        (attempts(NO_ADDRESS, REFUSED, TimeoutError()), Cause.SILENCE),
        (attempts(stream_error("policy-violation"), REFUSED, NO_ADDRESS), Cause.POLICY),
    ],
    ids=str,
)
def test_the_cause_of(exc, cause):
    assert Cause.of(exc) is cause
    assert Suspended(exc).kind is cause


# --- decisions


@pytest.mark.parametrize("cause", [Cause.AUTH, Cause.CONFLICT, Cause.MISTAKE])
def test_a_cause_without_a_remedy_is_given_up(cause):
    assert ReconnectPolicy().decide(cause, BackoffState(), random.Random(0)) == GiveUp(cause.value)


@pytest.mark.parametrize("cause", [cause for cause in Cause if not cause.is_hopeless])
def test_everything_else_is_tried_again(cause):
    assert isinstance(ReconnectPolicy().decide(cause, BackoffState(), random.Random(0)), Wait)


def test_the_same_draws_give_the_same_decisions():
    def decisions(seed: int) -> list[object]:
        rng, outage, policy, made = random.Random(seed), BackoffState(), ReconnectPolicy(), []
        for cause in (Cause.TCP, Cause.SILENCE, Cause.POLICY, Cause.STREAM_ERROR, Cause.SHUTDOWN) * 3:
            outage = outage.failed(cause)
            made.append(policy.decide(cause, outage, rng))
            outage = outage.decided(made[-1])
        return made

    assert decisions(1) == decisions(1)
    assert decisions(1) != decisions(2)


def test_each_delay_is_drawn_from_around_the_one_before():
    policy, rng = ReconnectPolicy(initial=2.0, maximum=50.0), random.Random(7)
    for before in (0.0, 2.0, 5.0, 16.0, 50.0):
        waits = [policy.decide(Cause.TCP, BackoffState(delay=before), rng).seconds for _ in range(500)]
        most = min(50.0, 3 * max(before, 2.0))
        assert min(waits) >= 2.0
        assert 0.8 * most < max(waits) <= most


def test_a_server_that_ends_every_stream_is_left_alone():
    policy, rng = ReconnectPolicy(breaker=3, cool_down=600.0), random.Random(1)
    outage, waits = BackoffState(), []
    for _ in range(6):
        outage = outage.failed(Cause.POLICY)
        decision = policy.decide(Cause.POLICY, outage, rng)
        waits.append(decision.seconds)
        outage = outage.decided(decision)
    assert all(wait <= 60 for wait in waits[:2])
    assert all(600 <= wait <= 1200 for wait in waits[2:])


def test_only_streams_in_a_row_open_the_circuit():
    outage = BackoffState()
    for cause in (Cause.POLICY, Cause.STREAM_ERROR, Cause.TCP, Cause.POLICY):
        outage = outage.failed(cause).decided(Wait(1.0))
    assert outage.refused == 1
    assert outage.number == 5


def test_a_server_that_sends_us_round_in_circles_is_followed_so_often_and_no_more():
    policy, outage, waits = ReconnectPolicy(redirects=3), BackoffState(), []
    for _ in range(5):
        outage = outage.failed(Cause.SEE_OTHER_HOST)
        decision = policy.decide(Cause.SEE_OTHER_HOST, outage, random.Random(3))
        waits.append(decision.seconds)
        outage = outage.decided(decision)
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert min(waits[3:]) >= 1.0


def test_a_person_is_asked_so_often_and_no_more():
    policy, outage = ReconnectPolicy(ask_again=2), BackoffState()
    made = []
    for _ in range(3):
        outage = outage.failed(Cause.AUTH)
        made.append(policy.decide(Cause.AUTH, outage, random.Random(0)))
        outage = outage.decided(made[-1])
    assert made == [AskCredentials(), AskCredentials(), GiveUp(Cause.AUTH.value)]


# --- where the server sends us


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("b.example", "xmpp://b.example:5222"),
        ("b.example:9222", "xmpp://b.example:9222"),
        ("192.0.2.7:5222", "xmpp://192.0.2.7:5222"),
        ("[2001:db8::7]:5222", "xmpp://[2001:db8::7]:5222"),
        ("2001:db8::7", None),  # ambiguous: RFC 6120 §4.9.3.19 wants brackets
        ("", None),
        ("b.example:0", None),
        ("b.example/path", None),
        ("mallory@b.example", None),
        ("wss://b.example/xmpp", None),
        ("b example", None),
    ],
)
def test_the_place_that_the_server_names(text, place):
    found = redirection(stream_error("see-other-host", text))
    assert found == redirection(attempts(REFUSED, stream_error("see-other-host", text)))
    assert (found and str(found)) == place


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("wss://b.example/xmpp?a=b", "wss://b.example:443/xmpp?a=b"),
        ("ws://b.example/xmpp", None),
        ("xmpp://b.example", None),
        ("xmpps://b.example", None),
        ("https://b.example/http-bind", None),
        ("b.example", None),
        ("wss://mallory@b.example/", None),
        ("", None),
    ],
)
def test_a_websocket_leads_to_no_less_than_another_one_under_tls(uri, place):
    found = redirection(StreamError(StreamCondition.SEE_OTHER_HOST, uri, uri=uri))
    assert (found and str(found)) == place


def test_nothing_else_sends_us_anywhere():
    assert redirection(stream_error("policy-violation", "b.example")) is None
    assert redirection(StreamError(StreamCondition.SEE_OTHER_HOST, "b.example", by_us=True)) is None
    assert redirection(attempts(REFUSED)) is None


# --- what a client shows, and what it may be told


async def test_a_suspension_tells_why_and_when_it_is_tried_again(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy(maximum=10)) as client, client.events() as events:
        assert client.suspended is None
        road.blocked = True
        road.session().link.reset()
        event = await anext(events)
        assert event.kind is Cause.TCP
        assert event.attempt == 1
        assert 1.0 <= event.delay <= 3.0
        assert event.retry_at == pytest.approx(trio.current_time() + event.delay)
        road.attempts.clear()
        await trio.sleep(event.delay + 0.5)
        assert road.attempts == [pytest.approx(event.retry_at)]
        await trio.sleep(100)
        later = client.suspended
        assert later.attempt == len(road.attempts) + 1
        assert later.kind is Cause.TCP
        assert later.retry_at - later.delay == pytest.approx(road.attempts[-1])
        road.blocked = False
        assert isinstance(await anext(events), Resumed)
        assert client.suspended is None


async def test_a_suspension_that_is_the_end_has_no_next_attempt(autojump_clock, road):
    told = []
    with pytest.raises(StreamError):
        async with road.connect() as client:
            client.on_event.connect(told.append)
            road.session().link.end(StreamError(StreamCondition.CONFLICT, by_us=True))
            await trio.sleep_forever()
    assert isinstance(told[0], Suspended)
    assert told[0].kind is Cause.CONFLICT
    assert told[0].delay is told[0].retry_at is None


async def test_a_person_who_does_not_want_to_wait_need_not(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy(initial=1000, maximum=1000)) as client, client.events() as events:
        road.session().link.reset()
        assert isinstance(await anext(events), Suspended)
        await trio.sleep(1)
        now = trio.current_time()
        client.reconnect_now()
        assert isinstance(await anext(events), Resumed)
        assert trio.current_time() == now
        client.reconnect_now()  # there is a link: nothing to hurry
        await trio.sleep(10)
        assert client.suspended is None


async def test_an_attempt_over_a_network_that_is_gone_is_begun_anew(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy(initial=1000, maximum=1000)) as client, client.events() as events:
        road.server.plan(Faults(silent=True))
        road.session().link.reset()
        assert isinstance(await anext(events), Suspended)
        client.reconnect_now()
        await trio.sleep(5)  # no server answers
        now = trio.current_time()
        client.reconnect_now()  # an attempt that is under way is left alone
        await trio.sleep(1)
        assert client.suspended is not None
        client.network_changed()
        assert isinstance(await anext(events), Resumed)
        assert trio.current_time() == now + 1


async def test_a_link_that_did_not_survive_the_change_of_network_is_found_out_soon(autojump_clock, road):
    async with road.connect() as client, client.events() as events:
        await trio.sleep(1)
        road.session().link.stall()
        now = trio.current_time()
        client.network_changed(patience=3.0)
        event = await anext(events)
        assert event.kind is Cause.SILENCE
        assert trio.current_time() == now + 3.0
        assert isinstance(await anext(events), Resumed)


async def test_a_link_that_survived_the_change_of_network_is_kept(autojump_clock, road):
    async with road.connect(liveness=Liveness(None, None)) as client:
        for _ in range(3):
            await trio.sleep(10)
            client.network_changed(patience=3.0)
        await trio.sleep(100)
        assert len(road.attempts) == 1
        assert client.suspended is None


async def test_a_link_is_asked_at_once_though_it_was_asked_before(autojump_clock, road):
    """The answer to the question of before may be on its way over the network that is gone."""
    async with road.connect(liveness=Liveness(10.0, 1000.0)) as client, client.events() as events:
        road.session().link.stall()
        await trio.sleep(100)
        now = trio.current_time()
        client.stream.check_link(2.0)
        assert isinstance(await anext(events), Suspended)
        assert trio.current_time() == now + 2.0


async def test_a_prompt_is_asked_again_when_the_password_has_changed(autojump_clock, road):
    answers = iter(["secret", "typo", "another"])
    asked = []

    def prompt() -> Credentials:
        asked.append(next(answers))
        return Credentials("romeo", asked[-1])

    async with (
        trioxmpp.connect(
            "romeo@example.test/orchard", credentials=prompt, **road.options(reconnect=ReconnectPolicy(ask_again=2))
        ) as client,
        client.events() as events,
    ):
        road.server.add_account("romeo", "another")
        road.session().link.reset()
        assert isinstance(await anext(events), Suspended)
        with trio.fail_after(5):
            assert isinstance(await anext(events), Resumed)
    assert asked == ["secret", "typo", "another"]


async def test_the_circuit_opens_for_a_server_that_throws_us_out(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy(breaker=3, cool_down=1000.0)):
        road.attempts.clear()
        for _ in range(5):
            await road.server.until(lambda: road.server.links)
            await trio.sleep(0.1)
            road.session().link.end(StreamError(StreamCondition.POLICY_VIOLATION, "go away", by_us=True))
            await road.server.until(lambda: not road.server.links)
        await road.server.until(lambda: road.server.links)
        gaps = [later - earlier for earlier, later in itertools.pairwise(road.attempts)]
        assert max(gaps[:1]) < 60
        assert min(gaps[1:]) >= 1000


async def test_a_session_that_was_lost_is_not_mistaken_for_one_that_was_resumed(autojump_clock, road):
    road.server.policy.hibernation = 10
    async with road.connect(reconnect=ReconnectPolicy(initial=20, maximum=20)) as client, client.events() as events:
        road.session().link.reset()
        assert [type(await anext(events)) for _ in range(3)] == [Suspended, Destroyed, Established]
        assert client.suspended is None
