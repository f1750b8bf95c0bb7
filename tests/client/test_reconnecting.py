"""When a client tries again, how soon, and when it does not."""

from __future__ import annotations

import itertools
import random

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    ConnectError,
    Destroyed,
    Established,
    Message,
    ReconnectPolicy,
    Resumed,
    SessionLost,
    StanzaState,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
    Suspended,
)
from trioxmpp.protocol import ns
from trioxmpp.testing import Faults, ScriptedServer

TO = "juliet@example.test/orchard"


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


# --- how soon


def test_delays_grow_by_chance_and_within_bounds():
    policy = ReconnectPolicy(initial=2.0, maximum=50.0)
    for seed in range(200):
        before = policy.initial
        for delay in itertools.islice(policy.delays(random.Random(seed)), 30):
            assert policy.initial <= delay <= min(policy.maximum, before * 3)
            before = delay


def test_no_two_clients_come_back_at_the_same_moment():
    """Not even at the first attempt: they all lost their server in the same moment."""
    first = {next(ReconnectPolicy().delays(random.Random(seed))) for seed in range(100)}
    assert len(first) == 100
    assert max(first) - min(first) > 1.5


def test_delays_reach_the_maximum():
    policy = ReconnectPolicy(initial=1.0, maximum=20.0)
    assert 20.0 in itertools.islice(policy.delays(random.Random(0)), 50)


@pytest.mark.parametrize("options", [{"initial": 0}, {"initial": -1.0}, {"initial": 2.0, "maximum": 1.0}])
def test_a_policy_without_delays_is_refused(options):
    with pytest.raises(ValueError, match="delay"):
        ReconnectPolicy(**options)


async def test_attempts_of_an_outage_keep_their_distance(autojump_clock, road):
    async with road.connect():
        road.attempts.clear()
        road.blocked = True
        road.session().link.reset()
        await trio.sleep(3600)
        assert 3600 / 60 <= len(road.attempts) <= 200
        assert all(1.0 <= gap <= 60.001 for gap in gaps(road.attempts))


@pytest.mark.parametrize("sm", [True, False])
async def test_a_server_that_ends_each_stream_at_once_is_not_stormed(autojump_clock, road, sm):
    """No delay at all between a stream error and the next attempt would be 100,000 attempts a second."""
    road.server.policy.sm = sm
    async with road.connect():
        road.attempts.clear()
        end = trio.current_time() + 3600

        async def throw_out(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            while trio.current_time() < end:
                await road.server.until(lambda: road.server.links)
                await trio.sleep(0.1)
                for link in list(road.server.links):
                    link.end(StreamError(StreamCondition.POLICY_VIOLATION, "go away", by_us=True))
                await road.server.until(lambda: not road.server.links)

        async with trio.open_nursery() as nursery:
            await nursery.start(throw_out)
            await trio.sleep(3600)
            nursery.cancel_scope.cancel()
        assert len(road.attempts) <= 200
        assert min(gaps(road.attempts)) >= 1.0


async def test_a_server_that_accepts_and_is_silent_is_not_stormed(autojump_clock, road):
    """Time spent on an attempt that led nowhere is not time on a link: the delays go on growing."""
    async with road.connect(connect_timeout=45.0):
        road.attempts.clear()
        road.server.faults = Faults(silent=True)
        road.session().link.reset()
        await trio.sleep(7200)
        assert max(gaps(road.attempts)) > 45 + 30


async def test_delays_start_over_once_a_link_has_lasted(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy(initial=1.0, maximum=1000.0)) as client:
        road.blocked = True
        road.session().link.reset()
        await trio.sleep(3000)
        road.blocked = False
        await trio.sleep(1100)
        assert client.stream.running
        road.attempts.clear()
        broken = trio.current_time()
        road.session().link.reset()
        await trio.sleep(60)
        assert road.attempts[0] - broken <= 3.0


# --- when it does not try again


async def test_a_password_that_was_changed_meanwhile_is_fatal(autojump_clock, road):
    with pytest.raises(AuthenticationFailure, match="check the address and the password") as caught:
        async with road.connect():
            road.attempts.clear()
            road.server.add_account("romeo", "another")
            road.session().link.reset()
            await trio.sleep_forever()
    assert caught.value.condition == "not-authorized"
    assert len(road.attempts) == 1


async def test_a_password_that_is_wrong_is_tried_once(autojump_clock, road):
    with pytest.raises(AuthenticationFailure):
        async with trioxmpp.connect("romeo@example.test", "wrong", **road.options()):
            pytest.fail("let in")
    assert len(road.attempts) == 1


async def test_a_server_that_cannot_check_the_password_just_now_is_asked_again(autojump_clock, road):
    async with road.connect() as client, client.events() as events:
        for _ in range(3):
            road.server.plan(Faults(refuse_login="temporary-auth-failure"))
        road.session().link.reset()
        assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
        assert len(road.attempts) == 5


async def test_a_server_that_cannot_check_the_password_at_first_is_an_error(autojump_clock, road):
    road.server.plan(Faults(refuse_login="temporary-auth-failure"))
    with pytest.raises(AuthenticationFailure, match="try again later"):
        async with road.connect():
            pytest.fail("let in")


@pytest.mark.parametrize("sm", [True, False])
async def test_a_client_that_took_our_resource_is_not_thrown_out_in_turn(autojump_clock, road, sm):
    road.server.policy.sm = sm
    with pytest.raises(StreamError) as caught:
        async with road.connect(), road.connect(endpoint=road.server.endpoint):
            await trio.sleep(600)
            pytest.fail("both are there")
    assert caught.value.condition is StreamCondition.CONFLICT
    assert len(road.attempts) == 1


async def test_a_refusal_to_bind_is_tried_again(autojump_clock):
    """A server that has no room for another session while our old one is dying has some a little later."""
    server = ScriptedServer()

    async def serve() -> None:
        peer = await server.accept()
        await peer.negotiates(sm=None)
        peer.reset()
        peer = await server.accept()
        await peer.authenticates()
        await peer.expects(f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind></iq>")
        await peer.says(
            "<iq type='error' id='$1'><error type='wait'>"
            f"<resource-constraint xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
        )
        peer = await server.accept()
        await peer.negotiates(sm=None)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server) as client, client.events() as events:
            assert [type(await anext(events)) for _ in range(3)] == [Suspended, Destroyed, Established]
        nursery.cancel_scope.cancel()


async def test_a_resource_that_is_taken_when_we_come_back_is_left_alone(autojump_clock):
    server = ScriptedServer()

    async def serve() -> None:
        peer = await server.accept()
        await peer.negotiates(sm=None)
        peer.reset()
        peer = await server.accept()
        await peer.authenticates()
        await peer.expects(f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind></iq>")
        await peer.says(
            f"<iq type='error' id='$1'><error type='cancel'><conflict xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(StreamNegotiationFailure, match="conflict"):
            async with scripted(server):
                await trio.sleep(600)
        nursery.cancel_scope.cancel()


def scripted(server: ScriptedServer, **options):
    return trioxmpp.connect(
        "romeo@example.test/orchard", "secret", endpoint=server.endpoint, allow_plaintext=True, **options
    )


# --- when it need not


async def test_without_reconnecting_the_first_break_ends_the_block(autojump_clock, road):
    with pytest.raises(ConnectionResetError):
        async with road.connect(reconnect=None):
            road.session().link.reset()
            await trio.sleep_forever()
    assert len(road.attempts) == 1


async def test_without_renewal_a_lost_session_ends_the_block(autojump_clock, road):
    road.server.policy.hibernation = 60
    token = None
    with pytest.raises(SessionLost, match="item-not-found") as caught:
        async with road.connect(reconnect=ReconnectPolicy(renew=False)) as client:
            road.blocked = True
            road.session().link.reset()
            await trio.testing.wait_all_tasks_blocked()
            token = client.enqueue(Message(to=TO, body="lost"))
            await trio.sleep(100)
            road.blocked = False
            await trio.sleep_forever()
    assert caught.value.undelivered == (token,)
    assert token.state is StanzaState.DISCONNECTED


async def test_without_renewal_a_session_that_can_be_resumed_goes_on(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy(renew=False)) as client, client.events() as events:
        road.session().link.reset()
        assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]


async def test_without_renewal_and_without_stream_management_the_first_break_is_the_end(autojump_clock, road):
    with pytest.raises(SessionLost, match="broken"):
        async with road.connect(sm=None, reconnect=ReconnectPolicy(renew=False)):
            road.session().link.reset()
            await trio.sleep_forever()
    assert len(road.attempts) == 1


async def test_without_renewal_a_server_that_takes_stream_management_away_is_the_end(autojump_clock, road):
    with pytest.raises(SessionLost, match="stream management"):
        async with road.connect(reconnect=ReconnectPolicy(renew=False)):
            road.server.policy.sm = False
            road.session().link.reset()
            await trio.sleep_forever()


async def test_the_first_connection_is_not_repaired_but_fails(autojump_clock, road):
    """Wherever it breaks: the one who connects is there to decide."""
    async with road.connect():
        whole = road.session().link.bytes_in
    road.attempts.clear()
    for cut in (1, whole // 5, whole // 2, whole - 100, whole):
        road.server.plan(Faults(cut_in=cut))
        with pytest.raises(ConnectionError):
            async with road.connect():
                pytest.fail(f"connected after {cut} bytes")
    assert len(road.attempts) == 5


async def test_a_server_that_refuses_to_be_reached_at_first_is_an_error(autojump_clock, road):
    road.blocked = True
    with pytest.raises(ConnectError, match="the road is blocked"):
        async with road.connect():
            pytest.fail("connected")


# --- answers that never come


async def test_a_server_that_does_not_answer_a_resumption_is_given_up(autojump_clock):
    server = ScriptedServer()

    async def serve() -> None:
        peer = await server.accept()
        await peer.negotiates()
        peer.reset()
        peer = await server.accept()
        await peer.authenticates()
        await peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        await peer.expects_end()
        peer = await server.accept()
        await peer.authenticates()
        await peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        await peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='0'/>")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server, connect_timeout=10.0) as client, client.events() as events:
            began = trio.current_time()
            assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
            assert 10 < trio.current_time() - began < 30
        nursery.cancel_scope.cancel()


async def test_a_server_that_does_not_answer_whether_it_counts_is_given_up(autojump_clock):
    server = ScriptedServer()

    async def serve() -> None:
        peer = await server.accept()
        await peer.authenticates()
        await peer.expects(f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind></iq>")
        await peer.says(
            f"<iq type='result' id='$1'><bind xmlns='{ns.BIND}'><jid>romeo@example.test/orchard</jid></bind></iq>"
        )
        await peer.expects(f"<enable xmlns='{ns.SM}' resume='true'/>")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        began = trio.current_time()
        with pytest.raises(ConnectError, match="within 10 seconds"):
            async with scripted(server, connect_timeout=10.0):
                pytest.fail("connected")
        assert trio.current_time() - began < 13
        nursery.cancel_scope.cancel()


# --- by order


@pytest.mark.parametrize("sm", [True, False])
async def test_stopping_the_stream_makes_the_client_connect_anew(autojump_clock, road, sm):
    """Say, because the network has changed: the old link is given up without waiting for it to fail."""
    road.server.policy.sm = sm
    async with road.connect() as client, client.events() as events:
        client.stream.stop()
        came_back = [Resumed] if sm else [Destroyed, Established]
        assert [type(await anext(events)) for _ in range(1 + len(came_back))] == [Suspended, *came_back]
        await client.send(Message(to="romeo@example.test", body="still here"))


async def test_closing_the_stream_closes_it_for_good(autojump_clock, road):
    async with road.connect() as client:
        await client.stream.aclose()
        await trio.sleep(600)
        with pytest.raises(trioxmpp.DestructionRequested):
            await client.send(Message(to="romeo@example.test", body="never"))
        with pytest.raises(trioxmpp.DestructionRequested):
            await client.wait_established()
    assert len(road.attempts) == 1
