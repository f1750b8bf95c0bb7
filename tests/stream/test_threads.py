"""Calls that are forbidden to other threads (F31), and the places of handlers, log lines and async functions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests.dialogs import message, written
from trioxmpp import IQType, Liveness, Message, MessageType, StanzaStream
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream import AppFilter, Signal, StanzaToken
from trioxmpp.stream.inbound.stages import Claims, Stage, Stages
from trioxmpp.testing import open_peer_pair

REQUEST = "<iq type='get' id='1' from='juliet@example.test/balcony'><ping xmlns='urn:xmpp:ping'/></iq>"


async def test_another_thread_is_refused_before_anything_changes(autojump_clock, scene):
    peer = await scene.starts()
    stream, client = scene.stream, scene.client
    waiting = client.enqueue(message("waits"))
    async with stream.iq_requests(IQType.SET, Ping) as requests:
        await peer.says(REQUEST.replace("get", "set"))
        request = await anext(requests)
        failures = []
        calls: list[Callable[[], object]] = [
            lambda: client.enqueue(message("from a thread")),
            lambda: request.reply(),
            waiting.abort,
            stream.stop,
            stream.stop_sm,
            stream.check_link,
            lambda: setattr(stream, "soft_timeout", 1),
            lambda: setattr(stream, "round_trip_time", 1),
            lambda: stream.register_iq_request_handler(IQType.GET, Ping, lambda iq: None),
            lambda: stream.unregister_iq_request_handler(IQType.SET, Ping),
            lambda: stream.expect_iq_response(None, "id"),
        ]

        def call_all() -> None:
            for number, call in enumerate(calls):
                try:
                    call()
                except RuntimeError as exc:
                    if "trio.from_thread.run_sync" not in str(exc):
                        failures.append(f"{number}: {exc}")
                else:
                    failures.append(f"{number}: not refused")

        await trio.to_thread.run_sync(call_all)
        assert failures == []
        assert (stream.soft_timeout, stream.running) == (None, True)
        request.reply()
    await peer.expects(written("waits"))
    await peer.expects("<iq type='result' id='1' to='juliet@example.test/balcony'/>")
    token = await trio.to_thread.run_sync(trio.from_thread.run_sync, client.enqueue, message("the right way"))
    await peer.expects(written("the right way"))
    await token


async def test_without_a_nursery_an_async_handler_is_refused_with_a_reason(autojump_clock, nursery, caplog):
    """F77: it would have to run in a nursery that was not given to the stream."""
    async with open_peer_pair() as (xmlstream, peer):
        stream = StanzaStream("romeo@example.test", liveness=Liveness(None, None))

        async def slow(iq):
            await trio.sleep(60)

        stream.register_iq_request_handler(IQType.GET, Ping, slow)
        await nursery.start(stream.run, xmlstream)
        await peer.says(REQUEST)
        assert (await peer.hears()).get("type") == "error"
        assert "nursery" in caplog.text
        stream.stop()


async def test_a_handler_runs_in_the_block_of_the_stream_or_in_a_nursery_that_was_given(autojump_clock, nursery):
    async def slow(iq):
        await trio.sleep(60)

    for given in (True, False):
        async with open_peer_pair() as (xmlstream, peer), trio.open_nursery() as own:
            stream = StanzaStream(
                "romeo@example.test", liveness=Liveness(None, None), nursery=nursery if given else None
            )
            stream.register_iq_request_handler(IQType.GET, Ping, slow)

            async def scene(stream=stream, peer=peer, own=own, xmlstream=xmlstream):
                await own.start(stream.run, xmlstream)
                await peer.says(REQUEST)
                assert (await peer.hears()).get("type") == "result"
                stream.stop()

            if given:
                await scene()
            else:
                async with stream:
                    await scene()


async def test_all_that_a_stream_logs_goes_to_its_own_logger(autojump_clock, nursery, caplog):
    """F75: so that one can tell apart the clients of a fleet."""
    caplog.set_level(logging.DEBUG)
    async with open_peer_pair() as (xmlstream, peer):
        stream = StanzaStream(
            "romeo@example.test", logger=logging.getLogger("fleet.romeo"), liveness=Liveness(None, None)
        )
        stream.on_message_received.connect(lambda stanza: 1 / 0)
        stream.messages.register_callback(None, None, lambda stanza: 1 / 0)
        stream.core.router.message_stages.at(Stage.EVENT, lambda stanza: stanza).__enter__()
        stream.register_iq_request_handler(IQType.GET, Ping, lambda iq: 1 / 0)
        caplog.clear()
        await nursery.start(stream.run, xmlstream)
        deep = "<a xmlns='urn:x'>" * 300 + "</a>" * 300
        for text in (
            "<message from='juliet@example.test'/>",
            REQUEST,
            REQUEST.replace("ping", "pong"),
            "<iq type='result' id='unasked' from='juliet@example.test'/>",
            "<a xmlns='urn:xmpp:sm:3' h='0'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
            "<enabled xmlns='urn:xmpp:sm:3'/>",
            f"<message from='juliet@example.test'>{deep}</message>",
            "<message from='@'/>",
        ):
            await peer.says_raw(text.encode())
        async with stream.messages.subscribe(capacity=1, overflow="drop_newest"):
            await peer.says("<message/><message/>")
            await trio.testing.wait_all_tasks_blocked()
        stream.stop()
    names = {record.name for record in caplog.records if record.name.startswith(("trioxmpp", "fleet"))}
    names.discard("trioxmpp.xml")  # the trace of what is on the wire is for all
    assert names == {"fleet.romeo.StanzaStream"}
    assert len(caplog.records) > 10


class Async:
    """An object that is called like a function, and gives a coroutine."""

    async def __call__(self, *args: object) -> None:
        pass


async def _function(*args: object) -> None:
    pass


def test_whatever_is_async_is_refused_where_nothing_awaits_it() -> None:
    """F80"""
    stream = StanzaStream()
    jid = message().to
    assert jid is not None
    failures = []
    for function in (
        Async(),
        Async().__call__,
        _function,
        functools.partial(_function, 1),
        functools.partial(Async(), 1),
    ):
        places: dict[str, Callable[[], object]] = {
            "filter": lambda function=function: AppFilter().register(function),
            "listener": lambda function=function: Signal().connect(function),
            "callback": lambda function=function: stream.messages.register_callback(MessageType.CHAT, None, function),
            "stage": lambda function=function: Stages().at(Stage.EVENT, function).__enter__(),
            "claim": lambda function=function: Claims().claim(jid, function, print).__enter__(),
            "token": lambda function=function: StanzaToken(Message(), on_state_change=function),
        }
        for name, register in places.items():
            try:
                register()
            except TypeError:
                continue
            failures.append(f"{name}: {function}")
    assert failures == []


@pytest.mark.parametrize("how", ["error", "cancelled"])
async def test_queued_stanzas_are_written_though_an_error_leaves_the_block(autojump_clock, nursery, how):
    """F24: the two seconds that are promised are used."""
    async with open_peer_pair(capacity=1000) as (xmlstream, peer):
        stream = StanzaStream("romeo@example.test", liveness=Liveness(None, None))
        got: list[str] = []

        async def server() -> None:
            while (event := await peer.next_event()) is not None and getattr(event, "tag", None):
                got.append(event[0].text)
            await peer.says_footer()

        nursery.start_soon(server)
        with trio.CancelScope() as scope:
            try:
                async with stream:
                    await nursery.start(stream.run, xmlstream)
                    for number in range(200):
                        stream.core.session.enqueue(message(str(number)))
                    if how == "error":
                        raise LookupError("of the application")
                    scope.cancel()
                    await trio.sleep_forever()
            except LookupError:
                pass
        assert got == [str(number) for number in range(200)]
