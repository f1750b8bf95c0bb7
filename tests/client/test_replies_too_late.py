"""Replies to requests of ours for which no task waits: ignored (RFC 6120 §8.2.3).

A reply for which a task has waited is called late, in a WARNING: the caller may have given up too soon. One that was
never awaited gets a line at DEBUG.
"""

from __future__ import annotations

import logging

import pytest
import trio

import trioxmpp
from trioxmpp import IQ, Get, IQType, MemoryStore, XMPPError, XMPPModifyError, xml
from trioxmpp.errors import StanzaCondition
from trioxmpp.protocol.elements.adhoc import Action, Actions, Command, CommandRequest, Status
from trioxmpp.protocol.elements.disco import Info, InfoQuery
from trioxmpp.testing import Faults
from trioxmpp.xep.adhoc import run_command
from trioxmpp.xep.carbons import open_carbons

UNEXPECTED, LATE, IGNORED = "unexpected reply", "late reply", "no task waits for this reply"


@pytest.fixture(autouse=True)
def every_line(caplog):
    caplog.set_level(logging.DEBUG, logger="trioxmpp")


@xml.element("https://example.test/night", "question")
class Question(Get[None]):
    """A request that the other client answers when the test wants it."""


async def test_leaving_a_command_after_a_refused_step(autojump_clock, road, caplog):
    def answer(iq: IQ) -> Command | None:
        request = iq.payload
        if request.action is Action.EXECUTE:
            return Command(
                node=request.node, sessionid="1", status=Status.EXECUTING, actions=Actions(next=True, execute="next")
            )
        if request.action is Action.CANCEL:
            return Command(node=request.node, sessionid="1", status=Status.CANCELED)
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST)

    road.server.answer(CommandRequest, answer)
    async with road.connect() as client:
        with pytest.raises(XMPPError, match="bad-request"):
            async with run_command(client, "coffee", on=client.jid.bare) as command:
                await command.next()
        await trio.sleep(1)
    assert caplog.text.count(IGNORED) == 1
    assert UNEXPECTED not in caplog.text


async def test_leaving_carbons_on_a_slow_link(autojump_clock, road, caplog):
    road.server.faults = Faults(delay=3.0)
    async with road.connect() as client:
        async with open_carbons(client):
            pass
        await trio.sleep(20)
    assert caplog.text.count(IGNORED) == 1
    assert UNEXPECTED not in caplog.text


async def test_a_question_of_a_service_that_is_out_of_time(autojump_clock, road, caplog):
    async def answer(_: IQ) -> Info:
        await trio.sleep(100)
        return Info()

    road.server.answer(InfoQuery, answer)
    async with road.connect() as client:
        with pytest.raises(TimeoutError):
            await client.disco.info("example.test")
        await trio.sleep(100)
    assert caplog.text.count(LATE) == 1
    assert UNEXPECTED not in caplog.text


async def test_a_request_that_is_enqueued_without_a_task_that_waits(autojump_clock, road, caplog):
    async with road.connect() as client:
        await client.enqueue(IQ(type=IQType.GET, to="example.test", payload=InfoQuery()))
        await trio.sleep(1)
    assert caplog.text.count(IGNORED) == 1
    assert UNEXPECTED not in caplog.text


async def test_a_request_of_a_process_that_is_gone(autojump_clock, road, caplog):
    store = MemoryStore()
    async with road.connect("juliet") as juliet, juliet.iq_requests(IQType.GET, Question) as requests:
        async with trio.open_nursery() as nursery, road.connect(store=store) as client:

            @nursery.start_soon
            async def ask() -> None:
                with pytest.raises(ConnectionError):
                    await client.request(Question(), to=juliet.jid)

            request = await anext(requests)
            await client.suspend()
        async with road.connect(store=store) as client:
            request.reply()
            await trio.sleep(1)
            assert client.restored.resumed
    assert caplog.text.count(IGNORED) == 1
    assert UNEXPECTED not in caplog.text


@pytest.mark.parametrize("gives_up", ["the timeout", "cancelling"])
async def test_only_the_peer_itself_answers_a_request_that_was_given_up(autojump_clock, road, caplog, gives_up):
    """Its reply is ignored once. All others are unexpected."""
    question = IQ(type=IQType.GET, to="juliet@example.test/orchard", payload=Question())
    async with (
        road.connect("juliet") as juliet,
        trioxmpp.connect("juliet@example.test/tomb", "secret", **road.options()) as stranger,
        road.connect() as romeo,
        juliet.iq_requests(IQType.GET, Question) as requests,
    ):
        if gives_up == "cancelling":
            with trio.move_on_after(5):
                await romeo.send(question)
        else:
            with pytest.raises(TimeoutError):
                await romeo.send(question, timeout=5)
        request = await anext(requests)
        forged = IQ(type=IQType.RESULT, to=romeo.jid, id=request.iq.id)
        await stranger.send(forged)
        await trio.sleep(1)
        assert (caplog.text.count(UNEXPECTED), caplog.text.count(LATE)) == (1, 0)
        request.reply()
        await trio.sleep(1)
        assert (caplog.text.count(UNEXPECTED), caplog.text.count(LATE)) == (1, 1)
        await juliet.send(forged)
        await trio.sleep(1)
        assert (caplog.text.count(UNEXPECTED), caplog.text.count(LATE)) == (2, 1)
