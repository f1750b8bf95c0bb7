"""Every public coroutine is a checkpoint, and may be cancelled at each of its steps without harm."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.dialogs import message
from trioxmpp import IQ, Client, IQType, StanzaState, StanzaStream, StanzaToken, XmlStream
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream import Inbox, ReplyWaiter, Request, Signal, Subscription
from trioxmpp.stream.inbound.inbox import Batches
from trioxmpp.stream.outbound.token import StateChanges
from trioxmpp.testing import cancelled_after
from trioxmpp.transport.tcp import StreamTransport

CLASSES = (
    StanzaStream,
    XmlStream,
    Client,
    StanzaToken,
    StateChanges,
    Inbox,
    Batches,
    Subscription,
    ReplyWaiter,
    Request,
    Signal,
)

#: Those that need a scene of their own have a test in test_cancelled_anywhere.py.
ELSEWHERE = {
    "StanzaStream.run": "test_run",
    "StanzaStream.resume": "test_resume",
    "StanzaStream.start_sm": "test_start_sm",
    "StanzaStream.wait_stop": "test_wait_stop",
    "StanzaStream.aclose": "test_aclose",
    "StanzaStream.__aenter__": "test_the_block_of_a_stream",
    "StanzaStream.__aexit__": "test_the_block_of_a_stream",
    "Client.send": "test_send",
    "Client.request": "test_send",
    "Client.drain": "test_drain_and_wait_established",
    "Client.wait_established": "test_drain_and_wait_established",
    "Client.wait_linked": "test_drain_and_wait_established",
    "Client.post": "tests/client",
    "Client.suspend": "tests/client",
    "Client.use_credentials": "tests/client",
    "Client.end_by": "tests/client",
    "Client.forget_token": "tests/client",
    "XmlStream.start_tls": "test_cancelling_a_handshake_leaves_a_stream_that_can_only_be_closed",
}


def public_coroutines() -> set[str]:
    return {
        f"{cls.__name__}.{name}"
        for cls in CLASSES
        for name, function in inspect.getmembers(cls, inspect.iscoroutinefunction)
        if not name.startswith("_") or name.startswith("__")
    }


# Each case gets a scene, on whose stream a peer plays, and returns what to call, and what must hold after each
# cancellation. It is called anew for each step.


async def case_token_wait(scene, peer):
    token = scene.client.enqueue(message())
    return token.wait, lambda: token.state is not StanzaState.ABORTED


async def case_await_token(scene, peer):
    token = scene.client.enqueue(message())

    async def awaits():
        await token

    return awaits, lambda: token.state is not StanzaState.FAILED


async def case_changes(scene, peer):
    changes = scene.client.enqueue(message()).changes()
    assert await anext(changes) is StanzaState.ACTIVE
    return changes.__anext__, lambda: True


async def case_inbox(scene, peer):
    inbox: Inbox[int] = Inbox()
    scene.nursery.start_soon(put_soon, inbox)
    return inbox.__anext__, lambda: len(inbox) <= 1


async def case_inbox_receive(scene, peer):
    inbox: Inbox[int] = Inbox()
    scene.nursery.start_soon(put_soon, inbox)
    return inbox.receive, lambda: len(inbox) <= 1


async def case_inbox_wait(scene, peer):
    inbox: Inbox[int] = Inbox()
    scene.nursery.start_soon(put_soon, inbox)
    return inbox.wait, lambda: True


async def case_inbox_aclose(scene, peer):
    inbox: Inbox[int] = Inbox()
    return inbox.aclose, lambda: True


async def case_inbox_block(scene, peer):
    inbox: Inbox[int] = Inbox()

    async def enters():
        async with inbox:
            pass

    return enters, lambda: True


async def case_batches(scene, peer):
    inbox: Inbox[int] = Inbox()
    scene.nursery.start_soon(put_soon, inbox)
    return inbox.batches().__anext__, lambda: len(inbox) <= 1


async def put_soon(inbox):
    await trio.lowlevel.checkpoint()
    inbox.put(1)


async def case_subscription_enter(scene, peer):
    subscription = scene.client.messages.subscribe()

    async def enters():
        async with subscription:
            pass

    return enters, lambda: not scene.client.messages._subscriptions


async def case_reply_wait(scene, peer):
    waiter = scene.stream.expect_iq_response("juliet@example.test", "id-1")
    scene.client.enqueue(IQ(type=IQType.GET, to="juliet@example.test", id="id-1", payload=Ping()))

    async def waits():
        with waiter:
            await waiter.wait()

    return waits, lambda: len(scene.stream.core.session.replies) == 0


async def case_reply_wait_settled(scene, peer):
    waiter = scene.stream.expect_iq_response("juliet@example.test", "id-1")
    scene.client.enqueue(IQ(type=IQType.GET, to="juliet@example.test", id="id-1", payload=Ping()))

    async def waits():
        with waiter:
            await waiter.wait_settled()

    return waits, lambda: len(scene.stream.core.session.replies) == 0


CASES = {
    "StanzaToken.wait": case_token_wait,
    "StanzaToken.__await__": case_await_token,
    "StateChanges.__anext__": case_changes,
    "Inbox.__anext__": case_inbox,
    "Inbox.receive": case_inbox_receive,
    "Inbox.wait": case_inbox_wait,
    "Inbox.aclose": case_inbox_aclose,
    "Inbox.__aenter__": case_inbox_block,
    "Inbox.__aexit__": case_inbox_block,
    "Batches.__anext__": case_batches,
    "Subscription.__aenter__": case_subscription_enter,
    "Subscription.__aexit__": case_subscription_enter,
    "ReplyWaiter.wait": case_reply_wait,
    "ReplyWaiter.wait_settled": case_reply_wait_settled,
}


async def plays(peer):
    """A server that answers what it is asked."""
    while (event := await peer.next_event()) is not None:
        if getattr(event, "tag", None) == f"{{{ns.CLIENT}}}iq":
            await peer.says(f"<iq type='result' id='{event.get('id')}' from='juliet@example.test'/>")


@pytest.mark.parametrize("name", CASES)
async def test_cancelled_at_each_step(autojump_clock, scene, name):
    for steps in itertools.count(1):
        scene = scene.another()
        peer = await scene.starts()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(plays, peer)
                call, holds = await CASES[name](scene, peer)
                was_cancelled = await cancelled_after(steps, call)
                await trio.testing.wait_all_tasks_blocked()
                assert holds()
                await scene.client.send(message("still works"))
                await scene.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
                assert len(scene.stream.core.session.replies) == 0
                scope.cancel()
        scene.stream.stop()
        await scene.stream.wait_stop()
        if not was_cancelled:
            break
    assert steps > 1


async def flush(stream):
    """Write the rest of what has no room."""
    assert stream.send_nowait(b"<presence/>")
    assert stream.unsent
    await stream.flush()


XML_STREAM = {
    "XmlStream.open": lambda stream: stream.open(),
    "XmlStream.open_without_features": lambda stream: stream.open_without_features(),
    "XmlStream.send": lambda stream: stream.send(b"<presence/>"),
    "XmlStream.flush": flush,
    "XmlStream.receive_features": lambda stream: stream.receive_features(f"{{{ns.CLIENT}}}presence"),
    "XmlStream.receive": lambda stream: stream.receive(),
    "XmlStream.receive_element": lambda stream: stream.receive_element(),
    "XmlStream.say_goodbye": lambda stream: stream.say_goodbye(),
    "XmlStream.close_gracefully": lambda stream: stream.close_gracefully(),
    "XmlStream.aclose": lambda stream: stream.aclose(),
}


@pytest.mark.parametrize("name", XML_STREAM)
async def test_an_xml_stream_is_whole_or_closed_after_a_cancellation(autojump_clock, scene, name):
    for steps in itertools.count(1):
        # Narrow, where it is about what was written.
        xmlstream, peer = await scene.link(capacity=math.inf if "receive" in name else 5)
        heard = bytearray()
        async with trio.open_nursery() as nursery:

            async def listens(peer=peer, heard=heard):
                while data := await peer.raw.receive_some():
                    heard.extend(data)

            nursery.start_soon(listens)
            if "receive" in name:
                await peer.says("<presence/>")
            was_cancelled = await cancelled_after(steps, XML_STREAM[name], xmlstream)
            await trio.testing.wait_all_tasks_blocked()
            if b"<presence" in heard and not heard.endswith(b">"):
                with pytest.raises(ConnectionError):  # nothing can follow half an element
                    await xmlstream.send(b"<presence/>")
            await xmlstream.aclose()
            nursery.cancel_scope.cancel()
        if not was_cancelled or steps > 50:  # `open` never gets its answer
            break
    assert steps > 1 or name.endswith("aclose")


async def test_cancelling_a_handshake_leaves_a_stream_that_can_only_be_closed(autojump_clock, scene):
    for steps in range(1, 8):
        xmlstream, _ = await scene.link()
        assert isinstance(xmlstream.transport, StreamTransport)
        with trio.move_on_after(1):  # no peer answers
            await cancelled_after(steps, xmlstream.start_tls, ssl.create_default_context())
        with pytest.raises(ConnectionError):
            await xmlstream.send(b"<presence/>")
        await xmlstream.aclose()


def test_no_public_coroutine_is_forgotten():
    assert public_coroutines() == {*CASES, *XML_STREAM, *ELSEWHERE} - {"StanzaToken.__await__"}
    here = Path(__file__)
    tests = {
        node.name
        for path in (here, here.with_name("test_cancelled_anywhere.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    }
    assert set(ELSEWHERE.values()) - {"tests/client"} <= tests


@pytest.mark.parametrize("closed", [False, True])
async def test_each_is_a_checkpoint(autojump_clock, scene, closed):
    """Even where there is nothing to wait for."""
    peer = await scene.starts()
    token = scene.client.enqueue(message())
    await token
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.put(2)
    xmlstream, end = await scene.link()
    await end.says("<presence/>")
    waiter = scene.stream.expect_iq_response(None, "id-1")
    await peer.says("<iq type='result' id='id-1'/>")
    await trio.testing.wait_all_tasks_blocked()
    if closed:
        await scene.stream.aclose()
    calls = [
        token.wait,
        token._sent,
        token.changes().__anext__,
        inbox.__anext__,
        inbox.batches().__anext__,
        waiter.wait,
        waiter.wait_settled,
        scene.client.drain,
        scene.stream.wait_stop,
        scene.stream.aclose,
        xmlstream.receive,
        lambda: xmlstream.send(b"<presence/>"),
        xmlstream.say_goodbye,
        xmlstream.say_goodbye,
        xmlstream.close_gracefully,
        xmlstream.aclose,
    ]
    for call in calls:
        with trio.testing.assert_checkpoints():
            await call()
    async with scene.client.messages.subscribe() as _:
        pass
