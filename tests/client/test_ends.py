"""How the block of `connect` ends: always as one bare exception, in bounded time, with nothing left behind."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    IQ,
    AuthenticationFailure,
    Destroyed,
    Event,
    IQType,
    Message,
    MessageType,
    ReconnectPolicy,
    SessionLost,
    SMPolicy,
    StanzaState,
    StreamCondition,
    StreamError,
    Suspended,
)
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.framing import stream_error
from trioxmpp.testing import ScriptedServer

JULIET = "juliet@example.test/balcony"


def message(body: str = "Hi") -> Message:
    return Message(to=JULIET, type=MessageType.CHAT, body=body)


def end_by_conflict(road) -> None:
    road.session().link.end(StreamError(StreamCondition.CONFLICT, "replaced", by_us=True))


def end_by_loss(road) -> None:
    road.server.forget("romeo@example.test/orchard")


def end_by_password(road) -> None:
    road.server.add_account("romeo", "another")
    road.session().link.reset()


DEATHS = [
    pytest.param(end_by_conflict, StreamError, "conflict", id="conflict"),
    pytest.param(end_by_loss, SessionLost, "item-not-found", id="session lost"),
    pytest.param(end_by_password, AuthenticationFailure, "password", id="password changed"),
]
ONE_SESSION = {"reconnect": ReconnectPolicy(renew=False)}


# --- the body raises


@pytest.mark.parametrize(
    "exception", [ValueError("mine"), KeyError("k"), ConnectionError("not of XMPP"), SystemExit(3)]
)
async def test_an_error_of_the_body_leaves_as_the_same_object(autojump_clock, road, exception):
    with pytest.raises(type(exception)) as caught:
        async with road.connect():
            raise exception
    assert caught.value is exception
    assert exception.__context__ is None
    assert not getattr(exception, "__notes__", None)


async def test_its_cause_and_its_context_are_kept(autojump_clock, road):
    first, second, third = KeyError("first"), ValueError("second"), RuntimeError("third")
    with pytest.raises(RuntimeError, match="third") as caught:
        async with road.connect():
            try:
                try:
                    raise first
                except KeyError:
                    raise second  # noqa: B904 - the context is what this is about
            except ValueError as exc:
                raise third from exc
    assert caught.value is third
    assert third.__cause__ is second
    assert second.__context__ is first
    assert second.__cause__ is None


@pytest.mark.parametrize("exception", [StopAsyncIteration, StopIteration])
async def test_the_end_of_an_iteration_is_an_exception_like_any_other(autojump_clock, road, exception):
    raised = exception("over")
    with pytest.raises(exception) as caught:
        async with road.connect():
            raise raised
    assert caught.value is raised


async def test_a_group_of_the_users_own_nursery_is_left_as_it_is(autojump_clock, road):
    async def fail(exception: Exception) -> None:
        raise exception

    inner = None
    with pytest.raises(ExceptionGroup) as caught:
        async with road.connect():
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fail, ValueError("one"))
                    nursery.start_soon(fail, KeyError("other"))
            except BaseExceptionGroup as group:
                inner = group
                raise
    assert caught.value is inner
    assert {type(each) for each in inner.exceptions} == {ValueError, KeyError}


async def test_an_error_of_a_service_leaves_as_the_same_object(autojump_clock, road):
    raised = ValueError("a service that cannot begin")

    @asynccontextmanager
    async def service(client):
        raise raised
        yield

    with pytest.raises(ValueError, match="cannot begin") as caught:
        async with road.connect(services=[service]):
            pytest.fail("the body ran without its service")
    assert caught.value is raised
    await gone(road)


async def test_two_clients_in_one_statement_end_as_one(autojump_clock, road):
    raised = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with road.connect("juliet"), road.connect():
            raise raised
    assert caught.value is raised


async def test_many_clients_on_a_stack_end_as_one(autojump_clock, road):
    async with AsyncExitStack() as stack:
        for name in ("romeo", "juliet"):
            await stack.enter_async_context(road.connect(name))
    await gone(road)


# --- the stream dies


@pytest.mark.parametrize(("end", "exception", "words"), DEATHS)
async def test_a_dead_stream_cancels_the_body_and_leaves_as_one_exception(autojump_clock, road, end, exception, words):
    with pytest.raises(exception, match=words) as caught:
        async with road.connect(**ONE_SESSION):
            end(road)
            await trio.sleep(600)
            pytest.fail("the body went on")
    assert not isinstance(caught.value.__context__, trio.Cancelled)
    await gone(road)


@pytest.mark.parametrize(("end", "exception", "words"), DEATHS)
async def test_whatever_tasks_of_the_body_wait_for_they_see_nothing_but_cancelled(
    autojump_clock, road, end, exception, words
):
    """If they were told one by one, the user's own nursery would make it a group."""
    seen: list[BaseException] = []

    async def wait(function, *args) -> None:
        try:
            await function(*args)
            pytest.fail(f"{function} returned")
        except BaseException as exc:
            seen.append(exc)
            raise

    async def consume(subscription) -> None:
        async with subscription as inbox:
            async for _ in inbox:
                pass

    async def events(client) -> None:
        async with client.events() as inbox:
            async for _ in inbox:
                pass
        pytest.fail("the events ended before the body did")

    with pytest.raises(exception, match=words):
        async with (
            road.connect(**ONE_SESSION) as client,
            road.connect("juliet", endpoint=road.server.endpoint),
            trio.open_nursery() as nursery,
        ):
            to_juliet = IQ(type=IQType.GET, to="juliet@example.test/orchard", payload=Ping())
            # Messages that Romeo sends from here on get nowhere, and no answer comes back.
            road.session("juliet").link.black_hole()
            road.session().link.black_hole("in")
            nursery.start_soon(wait, client.send, to_juliet)
            nursery.start_soon(wait, client.send, message())
            nursery.start_soon(wait, client.drain)
            nursery.start_soon(wait, consume, client.messages.subscribe())
            nursery.start_soon(wait, events, client)
            await trio.testing.wait_all_tasks_blocked()
            end(road)
            await trio.sleep(600)
    assert [type(exc) for exc in seen] == [trio.Cancelled] * 5


@pytest.mark.parametrize(("end", "exception", "words"), DEATHS)
async def test_a_task_that_holds_the_client_outside_the_body_is_told(autojump_clock, road, end, exception, words):
    told: list[Exception] = []

    async def tell(function, *args) -> None:
        try:
            await function(*args)
        except Exception as exc:
            told.append(exc)

    async with trio.open_nursery() as nursery:
        with pytest.raises(exception, match=words):
            async with road.connect(**ONE_SESSION) as client:
                road.session().link.black_hole("in")
                nursery.start_soon(tell, client.request, Ping())
                nursery.start_soon(tell, client.request, Ping())
                await trio.testing.wait_all_tasks_blocked()
                end(road)
                await trio.sleep_forever()
        await trio.testing.wait_all_tasks_blocked()
    assert len(told) == 2
    for exc in told:
        assert isinstance(exc, ConnectionError)
    for function in (client.send, client.enqueue):
        with pytest.raises(ConnectionError, match=words):
            await function(message())


@pytest.mark.parametrize(("end", "exception", "words"), DEATHS)
async def test_the_last_event_is_that_the_session_is_destroyed_and_why(autojump_clock, road, end, exception, words):
    events: list[Event] = []
    with pytest.raises(exception, match=words):
        async with road.connect(**ONE_SESSION) as client:
            client.on_event.connect(events.append)
            road.session().link.black_hole("in")
            token = client.enqueue(message())
            await trio.testing.wait_all_tasks_blocked()
            end(road)
            await trio.sleep_forever()
    assert [type(event) for event in events] == [Suspended, Destroyed]
    assert words in str(events[1].reason)
    assert events[1].undelivered == client.stream.undelivered == (token,)
    assert token.state is StanzaState.SENT_WITHOUT_SM


async def test_a_body_that_was_at_its_end_already_does_not_hide_that_the_stream_had_died(autojump_clock, road):
    with pytest.raises(StreamError, match="conflict"):
        async with road.connect():
            end_by_conflict(road)
            with trio.CancelScope(shield=True):
                await trio.sleep(10)


async def test_an_error_of_a_dead_stream_leaves_the_body_with_a_note_that_it_is_dead(autojump_clock, road):
    raised = ValueError("in the middle of clearing up")
    with pytest.raises(ValueError, match="clearing up") as caught:
        async with road.connect():
            end_by_conflict(road)
            try:
                await trio.sleep_forever()
            finally:
                raise raised
    assert caught.value is raised
    (note,) = raised.__notes__
    assert "the XMPP session had already ended" in note
    assert "conflict" in note


async def test_two_clients_that_die_at_once_end_as_one(autojump_clock, road):
    with pytest.raises(StreamError, match="conflict"):
        async with road.connect(), road.connect("juliet"):
            for name in ("romeo", "juliet"):
                road.session(name).link.end(StreamError(StreamCondition.CONFLICT, by_us=True))
            await trio.sleep_forever()


# --- a scope outside is cancelled


async def test_cancellation_leaves_as_cancelled(autojump_clock, road):
    seen: list[BaseException] = []
    with trio.move_on_after(10) as scope:
        try:
            async with road.connect():
                await trio.sleep_forever()
        except BaseException as exc:
            seen.append(exc)
            raise
    assert scope.cancelled_caught
    assert [type(exc) for exc in seen] == [trio.Cancelled]
    await gone(road)


async def test_a_body_that_is_cancelled_while_the_stream_dies_is_cancelled(autojump_clock, road):
    with trio.CancelScope() as scope:
        async with road.connect():
            end_by_conflict(road)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_scope_inside_the_body_cancels_only_what_is_in_it(autojump_clock, road):
    async with road.connect() as client:
        with trio.move_on_after(1) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught
        await client.send(message())


# --- Ctrl+C


async def test_an_interrupt_in_the_body_leaves_bare(autojump_clock, road):
    with pytest.raises(KeyboardInterrupt):
        async with road.connect():
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
    await gone(road)


@pytest.mark.parametrize("where", ["reader", "writer", "handler"])
async def test_an_interrupt_in_a_task_of_ours_leaves_bare(autojump_clock, road, where):
    def strike(*args: object) -> None:
        signal.raise_signal(signal.SIGINT)

    async def handler(iq: IQ) -> None:
        strike()

    with pytest.raises(KeyboardInterrupt):
        async with road.connect() as client:
            if where == "writer":
                client.enqueue(message(), on_state_change=strike)
            elif where == "reader":
                client.on_message.connect(strike)
                client.enqueue(Message(to=client.jid, type=MessageType.CHAT, body="Hi"))
            else:
                client.on_iq(IQType.GET, Ping)(handler)
                client.enqueue(IQ(type=IQType.GET, to=client.jid, payload=Ping()))
            await trio.sleep_forever()
    await gone(road)


# --- how long it takes


@pytest.mark.parametrize("harm", ["black_hole", "stall", None])
@pytest.mark.parametrize("how", ["error", "cancellation", "interrupt"])
async def test_a_body_that_leaves_in_a_hurry_is_out_in_two_seconds(autojump_clock, road, harm, how):
    async def endpoint() -> trio.abc.Stream:
        return await road.server.endpoint(capacity=2000)

    began = None
    with trio.CancelScope() as scope, pytest.raises((ValueError, KeyboardInterrupt, trio.Cancelled)):
        async with road.connect(endpoint=endpoint) as client:
            if harm is not None:
                getattr(road.session().link, harm)()
            for _ in range(100):
                client.enqueue(message("x" * 1000))
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            if how == "error":
                raise ValueError
            if how == "interrupt":
                raise KeyboardInterrupt
            scope.cancel()
            await trio.sleep_forever()
    assert trio.current_time() - began <= 2.0
    if harm is None:
        assert trio.current_time() == began  # a server that answers is not kept waiting, and delays no client
    await gone(road, parked=harm is not None)


@pytest.mark.parametrize("sm", [SMPolicy(), None])
@pytest.mark.parametrize("how", ["error", "cancellation", "interrupt"])
async def test_an_enqueued_stanza_is_written_though_the_block_is_left_in_a_hurry(autojump_clock, road, how, sm):
    """F24: the two seconds are used for what is queued, before the footer."""

    async def endpoint() -> trio.abc.Stream:
        return await road.server.endpoint(capacity=2000)

    with trio.CancelScope() as scope, pytest.raises((ValueError, KeyboardInterrupt, trio.Cancelled)):
        async with road.connect(endpoint=endpoint, sm=sm) as client:
            tokens = [client.enqueue(message(f"{number} ".ljust(1000, "x"))) for number in range(200)]
            if how == "error":
                raise ValueError
            if how == "interrupt":
                raise KeyboardInterrupt
            scope.cancel()
            await trio.sleep_forever()
    arrived = [accepted.stanza for accepted in road.server.log if accepted.stanza.tag.endswith("}message")]
    assert [each[0].text.partition(" ")[0] for each in arrived] == [str(number) for number in range(200)]
    assert {token.state for token in tokens} <= {StanzaState.ACKED, StanzaState.SENT_WITHOUT_SM}
    await gone(road)


@pytest.mark.parametrize("when", ["logging in", "later"])
async def test_the_last_words_of_the_server_are_in_the_error(autojump_clock, when):
    server = ScriptedServer()
    words = StreamError(StreamCondition.INTERNAL_SERVER_ERROR, "the disk is full; back at noon", by_us=True)

    async def serves() -> None:
        peer = await server.accept()
        if when == "later":
            await peer.negotiates()
        else:
            await peer.expects_header()
            await peer.says_header(f"<mechanisms xmlns='{ns.SASL}'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>")
            await peer.hears()
        await peer.says_raw(stream_error(words) + b"</stream:stream>")
        peer.close()

    options = {"endpoint": server.endpoint, "allow_plaintext": True, "reconnect": None}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serves)
        with pytest.raises(ConnectionError, match="back at noon"):
            async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options):
                await trio.sleep_forever()


async def test_leaving_waits_until_everything_is_acknowledged(autojump_clock, road):
    async with road.connect() as client:
        tokens = [client.enqueue(message(str(number))) for number in range(500)]
    assert {token.state for token in tokens} == {StanzaState.ACKED}
    assert len(road.server.log) == 500
    assert client.stream.undelivered == ()
    await gone(road)


async def test_leaving_without_stream_management_waits_until_everything_is_sent(autojump_clock, road):
    async with road.connect(sm=None) as client:
        tokens = [client.enqueue(message(str(number))) for number in range(500)]
    assert {token.state for token in tokens} == {StanzaState.SENT_WITHOUT_SM}
    assert len(road.server.log) == 500
    await gone(road)


@pytest.mark.parametrize("close_timeout", [15.0, 3.0])
async def test_leaving_while_the_link_is_broken_waits_for_another_one(autojump_clock, road, close_timeout):
    reconnect = ReconnectPolicy(maximum=1.0)
    async with road.connect(close_timeout=close_timeout, reconnect=reconnect) as client:
        road.blocked = True
        road.session().link.reset()
        token = client.enqueue(message())
        autojump_began = trio.current_time()

        async def unblock() -> None:
            await trio.sleep(1.5)
            road.blocked = False

        background = road.server._nursery  # anything that outlives the block
        background.start_soon(unblock)
    assert token.state is StanzaState.ACKED
    assert trio.current_time() - autojump_began <= close_timeout


@pytest.mark.parametrize("close_timeout", [15.0, 3.0])
@pytest.mark.parametrize("how", ["no link", "black hole"])
async def test_leaving_ends_at_its_timeout_and_what_was_not_delivered_is_told(autojump_clock, road, close_timeout, how):
    async with road.connect(close_timeout=close_timeout) as client:
        road.blocked = True
        if how == "no link":
            road.session().link.reset()
        else:
            road.session().link.black_hole()
        await trio.testing.wait_all_tasks_blocked()
        tokens = [client.enqueue(message(str(number))) for number in range(3)]
        began = trio.current_time()
    assert close_timeout <= trio.current_time() - began <= close_timeout + 2
    assert client.stream.undelivered == tuple(tokens)
    expected = StanzaState.DISCONNECTED if how == "no link" else StanzaState.SENT_WITHOUT_SM
    assert {token.state for token in tokens} == {expected}
    await gone(road, parked=how == "black hole")


async def test_a_server_that_does_not_close_its_side_is_waited_for_no_longer_than_that(autojump_clock, road):
    async with road.connect(close_timeout=5.0):
        road.session().link.black_hole()
        began = trio.current_time()
    assert trio.current_time() - began <= 5 + 2


async def test_the_body_can_be_left_by_return_and_break(autojump_clock, road):
    async def visit() -> str:
        async with road.connect():
            return "returned"

    assert await visit() == "returned"
    for _ in range(2):
        async with road.connect():
            break
    await gone(road)


async def gone(road, *, parked: bool = False) -> None:
    """Check that nothing of a client is left on the server, but what hibernates where no farewell came through."""
    await trio.testing.wait_all_tasks_blocked()
    if not parked:
        assert not road.server.links
        assert not any(session.link for session in road.server.sessions.values())


async def test_options_that_make_no_sense_are_refused_before_anything_happens(autojump_clock, road):
    for arguments in (("romeo@example.test@nonsense/@", "secret"), ("", "secret")):
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            async with trioxmpp.connect(*arguments, **road.options()):
                pytest.fail("connected")
    assert not road.attempts
