"""Stanzas that come from no link."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import IQ, JID, Client, IQType, Message, MessageType, Presence, StanzaStream
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import inject

JULIET = JID.parse("juliet@example.test")


def result(id: str) -> IQ:
    return IQ(type=IQType.RESULT, from_=JULIET, id=id)


async def test_replies_reach_their_waiters_though_the_stream_never_ran(autojump_clock):
    stream = StanzaStream("romeo@example.test")
    with stream.expect_iq_response(JULIET, "1") as one, stream.expect_iq_response(JULIET, "2") as two:
        inject(stream, result("2"), result("1"))
        assert (await one.wait()).id == "1"
        assert (await two.wait()).id == "2"


def test_stanzas_are_processed_in_order_and_at_once() -> None:
    stream = StanzaStream()
    seen: list[object] = []
    stream.on_message_received.connect(seen.append)
    stream.on_presence_received.connect(seen.append)
    inject(stream, Message(body="1"), Presence(), "<message><body>2</body></message><presence/>")
    assert [getattr(stanza, "body", None) for stanza in seen] == ["1", None, "2", None]
    assert [type(stanza) for stanza in seen] == [Message, Presence, Message, Presence]


def test_a_malformed_stanza_is_treated_as_on_a_link() -> None:
    stream = StanzaStream()
    inject(stream, "<message from='@'/><iq/>")
    with pytest.raises(ValueError, match="not a stanza"):
        inject(stream, "<r xmlns='urn:xmpp:sm:3'/>")
    with pytest.raises(ValueError, match="not XML"):
        inject(stream, "<message>")


def test_filters_come_first_and_their_errors_come_out() -> None:
    stream = StanzaStream()
    seen: list[object] = []
    stream.on_message_received.connect(seen.append)
    with stream.app_inbound_message_filter.context_register(lambda stanza: None):
        inject(stream, Message())
    with (
        stream.app_inbound_message_filter.context_register(lambda stanza: 1 / 0),
        pytest.raises(ZeroDivisionError),
    ):
        inject(stream, Message())
    assert not seen


async def test_async_handlers_run_in_the_block_of_the_stream(autojump_clock):
    handled = trio.Event()

    async def handler(iq: IQ) -> None:
        await trio.sleep(1)
        handled.set()

    async with StanzaStream() as stream:
        with stream.iq_handler(IQType.GET, Ping, handler):
            inject(stream, IQ(type=IQType.GET, from_=JULIET, id="1", payload=Ping()))
            await handled.wait()


def test_a_client_subscribes_as_usual() -> None:
    stream = StanzaStream()
    seen: list[Message] = []
    with Client(stream).messages.handler(MessageType.CHAT, None, seen.append):
        inject(stream, Message(type=MessageType.CHAT, from_=JULIET), Message(type=MessageType.NORMAL, from_=JULIET))
    assert len(seen) == 1
