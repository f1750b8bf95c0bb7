"""Many accounts in one process: each dies alone, and comes back by itself."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    Cause,
    Client,
    ConnectError,
    Established,
    Message,
    MessageType,
    Presence,
    Resumed,
    StreamCondition,
    StreamError,
    Suspended,
)
from trioxmpp.fleet import (
    Account,
    Died,
    Finished,
    Fleet,
    Happened,
    MemberState,
    Received,
    RestartPolicy,
    open_fleet,
)
from trioxmpp.testing import Faults, Server, open_server

NAMES = [f"user{number:03}" for number in range(100)]
PLAIN = {"allow_plaintext": True}


@pytest.fixture
async def server(autojump_clock) -> AsyncIterator[Server]:
    async with open_server(accounts=dict.fromkeys([*NAMES, "juliet"], "secret")) as server:
        yield server


@asynccontextmanager
async def appears(client: Client) -> AsyncIterator[None]:
    """A service that sends the presence of each session."""

    async def appear(client: Client) -> None:
        await client.send(Presence())

    async with client.maintain(appear):
        yield


def account(name: str, password: str = "secret", **changes: Any) -> Account:
    return Account(f"{name}@example.test/fleet", password, **changes)


def fleet_of(server: Server, *names: str, **options: Any) -> Any:
    options = {"endpoint": server.endpoint, "services": [appears], "rng": random.Random(7), **PLAIN, **options}
    return open_fleet([account(name) for name in names], **options)


def juliet(server: Server) -> Any:
    return trioxmpp.connect("juliet@example.test/balcony", "secret", endpoint=server.endpoint, **PLAIN)


async def down() -> trio.abc.Stream:
    await trio.lowlevel.checkpoint()
    raise ConnectionRefusedError("no server is here")


async def silent() -> trio.abc.Stream:
    return trio.testing.memory_stream_pair()[0]


async def test_of_a_hundred_accounts_twenty_die_by_five_causes_and_eighty_stay(autojump_clock, server):
    async def run(client: Client) -> None:
        if client.jid.local in NAMES[16:20]:
            raise LookupError(f"a bug of {client.jid.local}")
        await trio.sleep_forever()

    accounts = [account(name, "guess") for name in NAMES[:4]]
    accounts += [account(name, options={"endpoint": down}) for name in NAMES[4:8]]
    accounts += [account(name, options={"endpoint": silent, "connect_timeout": 30.0}) for name in NAMES[8:12]]
    accounts += [account(name) for name in NAMES[12:]]
    options = {"endpoint": server.endpoint, "services": [appears], **PLAIN}
    async with (
        open_fleet(accounts, run=run, restart=RestartPolicy(attempts=3), **options) as fleet,
        fleet.subscribe(MessageType.CHAT, events=False) as inbox,
    ):
        await fleet.wait_started()
        for name in NAMES[12:16]:  # another client takes the resource
            async with trioxmpp.connect(f"{name}@example.test/fleet", "secret", endpoint=server.endpoint, **PLAIN):
                await server.until(lambda: True)
        await trio.sleep(300)
        health = fleet.health()
        assert health.counts == {MemberState.DOWN: 20, MemberState.ONLINE: 80}
        assert not health.ok
        causes = [Cause.of(member.error) for member in health.troubled() if member.error is not None]
        assert causes == [
            *[Cause.AUTH] * 4,
            *[Cause.TCP] * 4,
            *[Cause.SILENCE] * 4,
            *[Cause.CONFLICT] * 4,
            *[Cause.MISTAKE] * 4,
        ]
        starts = [member.starts for member in health.members]
        assert starts == [*[1] * 4, *[3] * 8, *[1] * 4, *[3] * 4, *[1] * 80]
        lines = str(health).splitlines()
        assert lines[0] == "80 of 100 accounts are online"
        assert len(lines) == 21
        assert "user000@example.test/fleet has lost its client for good: " in lines[1]
        # The others work as if nothing had happened.
        async with juliet(server) as sender:
            for name in NAMES[20:]:
                await sender.send(Message(to=f"{name}@example.test", type=MessageType.CHAT, body=name))
        got = [await inbox.receive() for _ in range(80)]
        assert {(item.member.jid.local, item.message.body) for item in got} == {(name, name) for name in NAMES[20:]}
    assert fleet.health().counts == {MemberState.FINISHED: 100}
    assert not server.sessions


async def test_messages_and_events_of_all_come_in_one_inbox_with_the_account_beside(autojump_clock, server):
    async with juliet(server) as sender, fleet_of(server, "user000", "user001") as fleet, fleet.subscribe() as inbox:
        await fleet.wait_started()
        events = [await inbox.receive() for _ in range(2)]
        assert all(isinstance(each, Happened) and isinstance(each.event, Established) for each in events)
        assert {each.member.jid.local for each in events} == {"user000", "user001"}
        await sender.send(Message(to="user001@example.test", type=MessageType.CHAT, body="Hi"))
        match await inbox.receive():
            case Received(member=member, client=client, message=message):
                assert member is fleet["user001@example.test/fleet"]
                assert member.client is client
                async with sender.messages.subscribe() as answers:
                    await client.send(message.reply("Hello"))
                    assert (await answers.receive()).body == "Hello"
            case other:
                raise AssertionError(other)
        server.sessions["user000@example.test/fleet"].link.reset()
        told = [await inbox.receive() for _ in range(2)]
        assert [(each.member.jid.local, type(each.event)) for each in told] == [
            ("user000", Suspended),
            ("user000", Resumed),
        ]


async def test_while_a_link_is_broken_the_account_is_suspended_with_its_error(autojump_clock, server):
    async with fleet_of(server, "user000") as fleet:
        member = fleet["user000@example.test/fleet"]
        await member.wait_online()
        assert fleet.health().ok
        await server.crash()
        await trio.sleep(30)
        (health,) = fleet.health().members
        assert (health.state, health.starts) == (MemberState.SUSPENDED, 1)
        assert "down" in str(health.error)
        assert 25 < health.seconds <= 30
        await server.restart()
        await member.wait_online()
        assert (member.error, member.starts) == (None, 1)


async def test_starts_are_spread(autojump_clock, server):
    connecting = most = 0
    times: list[float] = []

    async def endpoint() -> trio.abc.Stream:
        nonlocal connecting, most
        connecting += 1
        most = max(most, connecting)
        times.append(trio.current_time())
        await trio.sleep(1)
        connecting -= 1
        return await server.endpoint()

    async with fleet_of(server, *NAMES, at_once=5, jitter=1.0, endpoint=endpoint) as fleet:
        await fleet.wait_started()
        assert fleet.health().online == 100
    assert most == 5
    assert len(set(times)) == 100, "no two at the same moment"
    assert times[-1] - times[0] >= 100 / 5 - 1


async def test_accounts_at_a_silent_server_do_not_keep_others_waiting(autojump_clock, server):
    lost = [account(name, options={"endpoint": silent, "connect_timeout": 1000.0}) for name in NAMES[:20]]
    options = {"endpoint": server.endpoint, **PLAIN}
    began = trio.current_time()
    async with open_fleet([*lost, *map(account, NAMES[20:])], at_once=10, patience=20.0, **options) as fleet:
        for name in NAMES[20:]:
            await fleet[f"{name}@example.test/fleet"].wait_online()
        assert trio.current_time() - began < 2 * 20 + 80 / 10 + 2
        counts = fleet.health().counts
        assert counts[MemberState.ONLINE] == 80
        assert counts[MemberState.CONNECTING] > 10, "which have passed their turns on"


async def test_a_server_that_is_down_is_tried_with_growing_delays_until_it_is_there(autojump_clock, server):
    await server.crash()
    policy = RestartPolicy(initial=2.0, maximum=60.0)
    async with fleet_of(server, "user000", restart=policy) as fleet, fleet.subscribe() as inbox:
        delays = []
        for _ in range(8):
            match (await inbox.receive()).event:
                case Died(error=ConnectError(), delay=float(delay)):
                    delays.append(delay)
                case other:
                    raise AssertionError(other)
        assert all(2 <= delay <= 60 for delay in delays)
        assert max(delays) > 6
        member = fleet["user000@example.test/fleet"]
        assert member.state is MemberState.RESTARTING
        assert 0 < member.health().retry_in <= 60
        await server.restart()
        began = trio.current_time()
        await member.wait_online()
        assert trio.current_time() - began <= 62
        assert member.health().retry_in is None


async def test_an_account_that_is_down_is_begun_again_when_it_is_told_to(autojump_clock, server):
    async with fleet_of(server) as fleet:
        member = fleet.add(account("user000", "guess"))
        with pytest.raises(AuthenticationFailure):
            await member.wait_online()
        assert member.state is MemberState.DOWN
        server.add_account("user000", "guess")
        fleet.retry(member.jid)
        client = await member.wait_online()
        assert client.linked
        assert member.starts == 2
        fleet.retry(member.jid)  # which is online: nothing happens
        await trio.sleep(100)
        assert (member.state, member.starts) == (MemberState.ONLINE, 2)


async def test_after_it_has_lasted_the_count_of_ends_begins_anew(autojump_clock, server):
    async def run(client: Client) -> None:
        await trio.sleep(100)
        raise LookupError("a bug")

    policy = RestartPolicy(initial=1.0, maximum=2.0, stable=60.0, attempts=2)
    async with fleet_of(server, "user000", run=run, restart=policy) as fleet:
        await trio.sleep(1000)
        member = fleet["user000@example.test/fleet"]
        assert member.starts > 5
        assert not member.state.is_final


async def test_a_function_that_returns_logs_its_account_out_and_one_that_waits_stays(autojump_clock, server):
    async def run(client: Client) -> None:
        if client.jid.local == "user001":
            await trio.sleep_forever()
        client.enqueue(Message(to="juliet@example.test/balcony", type=MessageType.CHAT, body="bye"))

    async with (
        juliet(server) as hearer,
        hearer.messages.subscribe() as heard,
        fleet_of(server, "user000", "user001", run=run) as fleet,
        fleet.subscribe() as inbox,
    ):
        while not isinstance((await inbox.receive()).event, Finished):
            pass
        await fleet.wait_started()
        assert (await heard.receive()).body == "bye", "everything is sent first"
        assert fleet.health().counts == {MemberState.FINISHED: 1, MemberState.ONLINE: 1}
        assert fleet.health().ok


async def test_accounts_come_and_go_while_it_runs(autojump_clock, server):
    async with fleet_of(server, "user000") as fleet:
        added = fleet.add(account("user001"))
        with pytest.raises(ValueError, match="already"):
            fleet.add(account("user001"))
        await added.wait_online()
        assert [member.jid.local for member in fleet] == ["user000", "user001"]
        await fleet.remove("user001@example.test/fleet")
        assert len(fleet) == 1
        assert "user001@example.test/fleet" not in server.sessions
        with pytest.raises(ConnectionError, match="has left"):
            await added.wait_online()
        with pytest.raises(KeyError):
            await fleet.remove("user001@example.test/fleet")
        for state, options in (("connecting", {"endpoint": silent}), ("restarting", {"endpoint": down})):
            member = fleet.add(account(state, options=options))
            await trio.sleep(2)
            assert member.state.name.lower() == state
            began = trio.current_time()
            await fleet.remove(member.jid)
            assert trio.current_time() == began
        again = fleet.add(account("user001"))
        await again.wait_online()


async def test_an_inbox_ends_with_the_fleet_and_takes_what_has_waited(autojump_clock, server):
    got: list[Any] = []

    async def consume(fleet: Fleet, task_status: trio.TaskStatus[None]) -> None:
        async with fleet.subscribe(capacity=100) as inbox:
            task_status.started()
            async for item in inbox:
                got.append(item.event)

    async with trio.open_nursery() as nursery, fleet_of(server, "user000") as fleet:
        await nursery.start(consume, fleet)
        await fleet.wait_started()
    assert [type(event) for event in got] == [Established, Finished]


async def test_a_flood_for_one_account_does_not_hold_up_another(autojump_clock, server):
    async with juliet(server) as sender, fleet_of(server, "user000", "user001") as fleet:
        await fleet.wait_started()
        async with fleet.subscribe(MessageType.CHAT, events=False) as inbox:
            for number in range(300):
                sender.enqueue(Message(to="user000@example.test", type=MessageType.CHAT, body=str(number)))
            await sender.send(Message(to="user001@example.test", type=MessageType.CHAT, body="Hi"))
            await sender.drain()
            await trio.testing.wait_all_tasks_blocked()
            first = [await inbox.receive() for _ in range(4)]
            assert "user001" in {item.member.jid.local for item in first}
            rest = [await inbox.receive() for _ in range(297)]
        flood = [item.message.body for item in first + rest if item.member.jid.local == "user000"]
        assert flood == [str(number) for number in range(300)]


async def test_an_exception_of_the_body_comes_out_as_it_is_and_all_accounts_are_gone(autojump_clock, server):
    error = LookupError("of the body")
    with pytest.raises(LookupError) as caught:
        async with fleet_of(server, *NAMES[:5]) as fleet, fleet.subscribe():
            await fleet.wait_started()
            raise error
    assert caught.value is error
    await server.until(lambda: not server.links)


async def test_cancelling_ends_it_in_two_seconds(autojump_clock, server):
    async def stalled() -> trio.abc.Stream:
        return await server.endpoint()

    with trio.CancelScope() as scope:
        async with fleet_of(server, *NAMES[:5], endpoint=stalled) as fleet:
            await fleet.wait_started()
            for link in server.links:
                link.stall()
            began = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() - began <= 2.0


async def test_another_resource_of_the_same_account_is_another_member(autojump_clock, server):
    accounts = [Account(f"user000@example.test/{name}", "secret") for name in ("a", "b")]
    async with open_fleet(accounts, endpoint=server.endpoint, **PLAIN) as fleet:
        await fleet.wait_started()
        assert fleet.health().online == 2


async def test_a_stream_error_of_the_server_ends_only_its_account(autojump_clock, server):
    async with fleet_of(server, "user000", "user001") as fleet:
        await fleet.wait_started()
        link = server.sessions["user000@example.test/fleet"].link
        link.end(StreamError(StreamCondition.CONFLICT, by_us=True))
        await trio.sleep(10)
        assert fleet.health().counts == {MemberState.DOWN: 1, MemberState.ONLINE: 1}


async def test_a_login_that_fails_for_a_while_is_tried_again(autojump_clock, server):
    server.faults = Faults(refuse_login="temporary-auth-failure")
    async with fleet_of(server, "user000") as fleet:
        await trio.sleep(60)
        assert fleet["user000@example.test/fleet"].state in (MemberState.RESTARTING, MemberState.CONNECTING)
        server.faults = Faults()
        await fleet["user000@example.test/fleet"].wait_online()


@pytest.mark.parametrize("options", [{"store": object()}, {"at_once": 0}, {"jitter": -1}, {"patience": 0}])
async def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(ValueError, match=r"store|at_once"):
        async with open_fleet([account("user000")], **options):
            pass


async def test_an_option_that_does_not_exist_is_refused_at_once(autojump_clock, server):
    with pytest.raises(TypeError, match="endpiont"):
        async with open_fleet([account("user000")], endpiont=server.endpoint):
            pass
    async with fleet_of(server, "user000") as fleet:
        with pytest.raises(TypeError, match="stroe"):
            fleet.add(account("user001", options={"stroe": None}))
        assert len(fleet) == 1


async def test_an_address_that_is_there_twice_is_refused(autojump_clock, server):
    with pytest.raises(ValueError, match="in the fleet already"):
        async with fleet_of(server, "user000", "user000"):
            pass


def test_a_password_is_not_shown():
    assert "secret" not in repr(account("user000"))


def test_a_policy_without_a_delay_is_refused():
    with pytest.raises(ValueError, match="stormed"):
        RestartPolicy(initial=0)


def test_the_default_policy_never_restarts_after_a_refused_login_or_a_conflict():
    policy = RestartPolicy()
    refused = AuthenticationFailure("refused", "not-authorized")
    assert policy.delay(refused, 1, 0.0) is None
    assert policy.delay(StreamError(StreamCondition.CONFLICT), 1, 0.0) is None
    assert policy.delay(ConnectError("down"), 1000, 0.0) is not None
    eager = RestartPolicy(never=frozenset(), attempts=2)
    assert eager.delay(refused, 1, 0.0) is not None
    assert eager.delay(refused, 2, 5.0) is None
