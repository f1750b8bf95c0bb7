"""How services see inbound stanzas: stages in a fixed order, and claims of a bare JID."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import JID, IQType, Message, MessageType, Presence, Trouble, XMPPCancelError
from trioxmpp.client import Stage
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.elements.receipts import Received
from trioxmpp.testing import inject

ROOM = JID.parse("hall@rooms.example.test")


def chat(body: str = "Hi", sender: str = "juliet@example.test/balcony", **more) -> Message:
    return Message(from_=sender, type=MessageType.CHAT, body=body, **more)


async def test_stages_come_in_their_order_before_filters_and_handlers(autojump_clock, road):
    seen: list[str] = []

    def at(name: str):
        def see(message: Message) -> Message:
            seen.append(name)
            return message

        return see

    async with road.connect() as client:
        with (
            client.stream.app_inbound_message_filter.context_register(at("application")),
            client.at_stage(Stage.TIMELINE, message=at("timeline")),
            client.at_stage(Stage.ARCHIVE, message=at("archive")),
            client.at_stage(Stage.DECRYPT, message=at("decrypt")),
            client.messages.handler(None, None, lambda message: seen.append("handler")),
        ):
            inject(client.stream, chat())
    assert seen == ["archive", "decrypt", "timeline", "application", "handler"]


async def test_an_error_of_a_stage_drops_that_stanza_and_nothing_else(autojump_clock, road, caplog):
    def fails(message: Message) -> Message:
        if message.body == "bad":
            raise KeyError("a bug, or an attack")
        return message

    async with road.connect() as client, client.messages.subscribe() as inbox:
        with client.at_stage(Stage.NOTICE, message=fails):
            inject(client.stream, chat("good"), chat("bad"), chat("better"))
        assert [inbox.receive_nowait().body for _ in range(2)] == ["good", "better"]
        await client.send(chat("out", sender=str(client.jid), to=ROOM))
    assert "the stage NOTICE failed" in caplog.text


async def test_the_failures_of_a_service_are_events_once_for_each_kind_however_many_stanzas_cause_them(
    autojump_clock, road, caplog
):
    def at_a_message(message: Message) -> Message:
        raise {"key": KeyError, "value": ValueError}[str(message.body)]("a bug, or an attack")

    def at_a_presence(presence: Presence) -> Presence:
        raise KeyError("another")

    def of_a_room(message: Message) -> None:
        raise KeyError("a third")

    async with road.connect() as client, client.events() as events:
        with (
            client.at_stage(Stage.NOTICE, message=at_a_message, presence=at_a_presence),
            client.claim(ROOM, of_a_room, print),
        ):
            for _ in range(1000):
                inject(client.stream, chat("key"), chat("value"), "<presence from='juliet@example.test/balcony'/>")
        with client.claim(ROOM, of_a_room, print):
            inject(client.stream, *[chat(sender=f"{ROOM}/nick")] * 3)
        told = [await anext(events) for _ in range(4)]
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()
    names = ["at_a_message", "at_a_message", "at_a_presence", "of_a_room"]
    kinds = [KeyError, ValueError, KeyError, KeyError]
    assert all(isinstance(event, Trouble) for event in told)
    assert [event.service.rpartition(".")[2] for event in told] == names
    assert [type(event.exception) for event in told] == kinds
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert 4 <= len(lines) <= 4 + 3 * 9 + 1
    assert "number 512 of such" in lines[-4]


async def test_an_async_function_is_no_stage(autojump_clock, road):
    async def sees(message: Message) -> Message:
        return message

    async with road.connect() as client:
        with pytest.raises(TypeError, match="plain function"), client.at_stage(Stage.NOTICE, message=sees):
            pytest.fail("registered")


async def test_a_claim_takes_all_messages_and_presences_of_a_bare_address(autojump_clock, road):
    claimed: list[object] = []
    async with road.connect() as client, client.messages.subscribe() as inbox:
        with client.claim(ROOM, claimed.append, claimed.append):
            assert client.claimed(JID.parse(f"{ROOM}/nick"))
            with pytest.raises(ValueError, match="claimed already"), client.claim(ROOM, print, print):
                pytest.fail("claimed twice")
            inject(client.stream, chat(sender=f"{ROOM}/nick"), f"<presence from='{ROOM}/nick'/>", chat("other"))
        inject(client.stream, chat("after", sender=f"{ROOM}/nick"))
        assert [inbox.receive_nowait().body for _ in range(2)] == ["other", "after"]
    assert [type(stanza).__name__ for stanza in claimed] == ["Message", "Presence"]


async def test_a_subscription_for_a_payload_gets_the_stanzas_that_have_it(autojump_clock, road):
    received = "<received xmlns='urn:xmpp:receipts' id='1'/>"
    with_receipt = f"<message from='juliet@example.test' type='chat' id='a'>{received}</message>"
    called: list[str | None] = []
    async with (
        road.connect() as client,
        client.messages.subscribe(payload=Received) as receipts,
        client.messages.subscribe(MessageType.CHAT, MessageType.NORMAL) as every,
    ):
        with (
            client.messages.handler(None, None, lambda message: called.append(f"any {message.id}")),
            client.messages.handler(None, None, lambda message: called.append(f"r {message.id}"), payload=Received),
        ):
            inject(client.stream, chat(id="b"), with_receipt)
        assert [receipts.receive_nowait().id] == ["a"]
        with pytest.raises(trio.WouldBlock):
            receipts.receive_nowait()
        assert [every.receive_nowait().id for _ in range(2)] == ["b", "a"]
    assert called == ["any b", "r a"]


async def test_messages_wait_for_the_first_subscription(autojump_clock, road):
    """F25, F49: what arrives before anything is subscribed is not lost; nor is its loss silent."""
    async with road.connect("juliet") as juliet, road.connect() as client:
        for number in range(3):
            await juliet.send(Message(to=client.jid, body=str(number)))
        await trio.sleep(1)
        async with client.messages.subscribe() as inbox:
            assert [(await anext(inbox)).body for _ in range(3)] == ["0", "1", "2"]


async def test_messages_that_nothing_wants_are_lost_with_a_warning(autojump_clock, road, caplog):
    async with road.connect("juliet") as juliet, road.connect() as client:
        await juliet.send(Message(to=client.jid, body="unheard"))
        await trio.sleep(100)
        assert "nothing has subscribed to 1 stanzas" in caplog.text
        async with client.messages.subscribe() as inbox:
            with pytest.raises(trio.WouldBlock):
                inbox.receive_nowait()


async def test_a_handler_of_an_async_kind_is_refused(autojump_clock, road):
    class Callable:
        async def __call__(self, message: Message) -> None: ...

    async with road.connect() as client:
        with pytest.raises(TypeError, match="plain function"):
            client.messages.register_callback(None, None, Callable())
        with pytest.raises(XMPPCancelError):
            await client.request(Ping(), to="nobody@nowhere.test")
        assert IQType.GET.is_request
