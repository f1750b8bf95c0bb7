"""The blocks during which something is registered: in effect inside, gone outside, and they swallow nothing."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import IQType, MessageType, PresenceType
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping

PING = "<iq type='get' id='1' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
RESULT = "<iq type='result' id='1' to='juliet@example.test'/>"
REFUSED = (
    "<iq type='error' id='1' to='juliet@example.test'><error type='cancel'>"
    f"<service-unavailable xmlns='{ns.STANZA_ERRORS}'/></error></iq>"
)
AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"
PRESENCE = "<presence from='juliet@example.test/balcony'/>"


@pytest.fixture(params=["stream", "client"])
def owner(scene, request):
    return getattr(scene, request.param)


async def test_requests_are_answered_inside_and_refused_outside(autojump_clock, scene, owner):
    async def pong(iq):
        pass

    peer = await scene.starts()
    for _ in range(2):
        with owner.iq_handler(IQType.GET, Ping, pong):
            await peer.says(PING)
            await peer.expects(RESULT)
        await peer.says(PING)
        await peer.expects(REFUSED)


async def test_a_block_passes_on_that_the_handler_wants_to_reply_itself(autojump_clock, scene, owner):
    async def pong(iq, reply):
        reply()
        await trio.sleep_forever()

    peer = await scene.starts()
    with owner.iq_handler(IQType.GET, Ping, pong, with_send_reply=True):
        await peer.says(PING)
        await peer.expects(RESULT)


async def test_an_error_in_the_block_goes_through_and_the_slot_is_free(autojump_clock, scene, owner):
    error = LookupError("of the block")
    with pytest.raises(LookupError) as raised, owner.iq_handler(IQType.GET, Ping, lambda iq: None):
        raise error
    assert raised.value is error
    peer = await scene.starts()
    await peer.says(PING)
    await peer.expects(REFUSED)
    with owner.iq_handler(IQType.GET, Ping, lambda iq: None):
        pass


async def test_a_handler_that_runs_when_the_block_is_left_goes_on(autojump_clock, scene, owner):
    async def pong(iq):
        await trio.sleep(10)

    peer = await scene.starts()
    with owner.iq_handler(IQType.GET, Ping, pong):
        await peer.says(PING)
        await peer.expects_nothing(5)
    await peer.expects(RESULT)


async def test_messages_are_handled_inside_only(autojump_clock, scene, owner):
    seen = []
    peer = await scene.starts()
    await peer.says(AY_ME)
    await peer.expects_nothing(1)
    with owner.messages.handler(MessageType.CHAT, None, seen.append):
        await peer.says(AY_ME)
        await peer.expects_nothing(1)
    await peer.says(AY_ME)
    await peer.expects_nothing(1)
    assert len(seen) == 1
    with pytest.raises(LookupError), owner.messages.handler(MessageType.CHAT, None, seen.append):
        raise LookupError("x")
    with owner.messages.handler(MessageType.CHAT, None, seen.append):
        pass  # the slot is free


async def test_messages_are_collected_inside_only(autojump_clock, scene, owner):
    peer = await scene.starts()
    await peer.says(AY_ME)
    await peer.expects_nothing(1)
    async with owner.messages.subscribe(MessageType.CHAT) as inbox:
        await peer.says(AY_ME)
        await peer.expects_nothing(1)
    await peer.says(AY_ME)
    await peer.expects_nothing(1)
    assert len([message async for message in inbox]) == 1


async def test_presences_are_handled_inside_only(autojump_clock, scene, owner):
    seen = []
    peer = await scene.starts()
    await peer.says(PRESENCE)
    await peer.expects_nothing(1)
    with owner.presences.handler(PresenceType.AVAILABLE, None, seen.append):
        await peer.says(PRESENCE)
        await peer.expects_nothing(1)
    await peer.says(PRESENCE)
    await peer.expects_nothing(1)
    assert len(seen) == 1
    with pytest.raises(LookupError), owner.presences.handler(PresenceType.AVAILABLE, None, seen.append):
        raise LookupError("x")
    with owner.presences.handler(PresenceType.AVAILABLE, None, seen.append):
        pass  # the slot is free


@pytest.mark.parametrize("arguments", [(), (1,)])
async def test_messages_are_filtered_inside_only(autojump_clock, scene, arguments):
    seen = []
    scene.stream.on_message_received.connect(lambda stanza: seen.append(stanza.body))

    def shout(stanza):
        stanza.body = stanza.body.upper()
        return stanza

    peer = await scene.starts()
    with scene.stream.app_inbound_message_filter.context_register(shout, *arguments):
        await peer.says(AY_ME)
        await peer.expects_nothing(1)
    await peer.says(AY_ME)
    await peer.expects_nothing(1)
    assert seen == ["AY ME!", "Ay me!"]


def test_the_old_ways_to_say_it_are_not_there() -> None:
    import trioxmpp.stream

    for name in ("iq_handler", "message_handler", "presence_handler", "stanza_filter"):
        assert not hasattr(trioxmpp.stream, name)
