"""`send(..., on_reply=...)`: called by the reader, in order, and nothing that it does can harm the stream."""

from __future__ import annotations

import gc

import pytest
import trio

from trioxmpp import IQ, IQType, Message, StanzaCondition, XMPPCancelError, xml
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping

ASKED = "<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
PAYLOAD = "<rose xmlns='https://example.test/rose'/>"
RESULT = f"<iq type='result' id='$1' from='juliet@example.test'>{PAYLOAD}</iq>"
EMPTY = "<iq type='result' id='$1' from='juliet@example.test'/>"
REFUSAL = (
    "<iq type='error' id='$1' from='juliet@example.test'><error type='cancel'>"
    f"<forbidden xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
)
AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"


@xml.element("https://example.test/rose", "ask")
class Ask:
    """A payload whose answer is given as it is."""


def ping() -> IQ:
    return IQ(type=IQType.GET, to="juliet@example.test", payload=Ping())


def ask() -> IQ:
    return IQ(type=IQType.GET, to="juliet@example.test", payload=Ask())


async def test_it_is_called_once_with_the_reply_and_before_what_came_after_it(autojump_clock, scene, sends):
    called = []
    scene.stream.on_message_received.connect(called.append)
    peer = await scene.starts()
    sending = sends(ping(), on_reply=called.append)
    await peer.expects(ASKED)
    await peer.says(AY_ME)
    await peer.expects_nothing(1)
    assert len(called) == 1  # not before the reply
    await peer.says(EMPTY + AY_ME + EMPTY)
    await sending.outcome()
    await peer.expects_nothing(1)
    first, reply, second = called
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (reply.type, reply.id) == (IQType.RESULT, peer.met["1"])


async def test_if_it_returns_none_an_error_is_raised(autojump_clock, scene, sends):
    peer = await scene.starts()
    sending = sends(ping(), on_reply=lambda reply: None)
    await peer.expects(ASKED)
    await peer.says(REFUSAL)
    with pytest.raises(XMPPCancelError) as raised:
        await sending.outcome()
    assert raised.value.condition is StanzaCondition.FORBIDDEN


async def test_if_it_returns_none_the_payload_is_returned(autojump_clock, scene, sends):
    peer = await scene.starts()
    sending = sends(ask(), on_reply=lambda reply: None)
    await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ask xmlns='https://example.test/rose'/></iq>")
    await peer.says(RESULT)
    assert (await sending.outcome()).tag == "{https://example.test/rose}rose"


@pytest.mark.parametrize("reply", [EMPTY, REFUSAL], ids=["result", "error"])
async def test_the_awaitable_that_it_returns_is_awaited_by_the_caller_and_is_the_outcome(
    autojump_clock, scene, background, reply
):
    tasks = []

    async def digest(stanza):
        tasks.append(trio.lowlevel.current_task())
        await trio.sleep(100)
        return stanza.type

    async def send():
        tasks.append(trio.lowlevel.current_task())
        return await scene.client.send(ping(), on_reply=digest, timeout=5)  # which is about the reply alone

    peer = await scene.starts()
    begun = trio.current_time()
    sending = background(send)
    await peer.expects(ASKED)
    await peer.says(reply)
    assert await sending.outcome() is (IQType.RESULT if reply is EMPTY else IQType.ERROR)
    assert trio.current_time() - begun == 100
    assert tasks[0] is tasks[1]


@pytest.mark.parametrize("reply", [EMPTY, REFUSAL], ids=["result", "error"])
async def test_an_error_of_its_awaitable_is_raised(autojump_clock, scene, sends, reply):
    error = LookupError("x")

    async def breaks(stanza):
        await trio.lowlevel.checkpoint()
        raise error

    peer = await scene.starts()
    sending = sends(ping(), on_reply=breaks)
    await peer.expects(ASKED)
    await peer.says(reply)
    with pytest.raises(LookupError) as raised:
        await sending.outcome()
    assert raised.value is error


@pytest.mark.parametrize("reply", [EMPTY, REFUSAL], ids=["result", "error"])
@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_an_error_of_it_is_raised_and_the_stream_goes_on(autojump_clock, scene, sends, reply, sm):
    error = LookupError("x")

    def breaks(stanza):
        raise error

    peer = await scene.starts(sm=sm)
    sending = sends(ping(), on_reply=breaks)
    await peer.expects(ASKED)
    await peer.says(reply)
    with pytest.raises(LookupError) as raised:
        await sending.outcome()
    assert raised.value is error
    async with scene.client.messages.subscribe(None) as inbox:
        await peer.says(AY_ME)
        await anext(inbox)
    assert scene.stream.running


async def test_it_may_stop_the_stream(autojump_clock, scene, sends):
    peer = await scene.starts()
    sending = sends(ping(), on_reply=lambda reply: scene.stream.stop())
    await peer.expects(ASKED)
    await peer.says(EMPTY)
    assert await scene.outcome() is None
    assert await sending.outcome() is None  # the reply was there


async def test_it_may_enqueue(autojump_clock, scene, sends):
    peer = await scene.starts()
    sending = sends(ping(), on_reply=lambda reply: scene.client.enqueue(Message(to="nurse@example.test")) and None)
    await peer.expects(ASKED)
    await peer.says(EMPTY)
    await peer.expects("<message to='nurse@example.test' type='normal'/>")
    await sending.outcome()


async def test_it_may_return_the_token_of_another_stanza(autojump_clock, scene, sends):
    peer = await scene.starts(sm="sm-1")
    sending = sends(ping(), on_reply=lambda reply: scene.client.enqueue(Message(to="nurse@example.test")))
    await peer.expects(ASKED)
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    await peer.says(EMPTY)
    await peer.expects("<message to='nurse@example.test' type='normal'/>")
    assert not sending.ended.is_set()
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    assert await sending.outcome() is None


async def test_it_is_not_called_if_there_is_no_reply(autojump_clock, scene, sends):
    called = []
    peer = await scene.starts()
    timed_out, cancelled, lost = (sends(ping(), on_reply=called.append, timeout=limit) for limit in (5, None, None))
    ids = []
    for _ in range(3):
        await peer.expects(ASKED)
        ids.append(peer.met["1"])
    with pytest.raises(TimeoutError):
        await timed_out.outcome()
    cancelled.scope.cancel()
    await cancelled.ended.wait()
    for id in ids:
        if scene.stream.running:
            await peer.says(f"<iq type='result' id='{id}' from='tybalt@example.test'/>")  # not whom we asked
    scene.stream.stop()
    with pytest.raises(ConnectionError):
        await lost.outcome()
    assert not called


async def test_nothing_is_left_of_its_awaitable_if_no_task_awaits_it_any_more(autojump_clock, scene, sends):
    """The caller is cancelled in the same moment in which the reply arrives; an error would be a RuntimeWarning."""
    begun = []

    async def digest(stanza):
        begun.append(stanza)
        await trio.lowlevel.checkpoint()

    def on_reply(stanza):
        sending.scope.cancel()
        return digest(stanza)

    peer = await scene.starts()
    for timeout in (None, 60):
        sending = sends(ping(), on_reply=on_reply, timeout=timeout)
        await peer.expects(ASKED)
        await peer.says(EMPTY)
        await sending.ended.wait()
    gc.collect()
    assert not begun
