"""Push notifications: enabled in each session, if the account can (XEP-0357)."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import trioxmpp
from tests.bench import Bench, on_every_bench
from tests.dialogs import renewed, resumed
from trioxmpp import JID, Message, MessageType, StanzaCondition, XMPPError, xml
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.elements.pubsub import PubSubSet
from trioxmpp.protocol.elements.push import Disable, Enable, Notification
from trioxmpp.testing import Server, open_server
from trioxmpp.xep.push import FEATURE, Summary, disable_push, enable_push, has_push, open_push

SERVICE = "push.example.org"


def connect(server: Server) -> Any:
    return trioxmpp.connect("romeo@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True)


def offers(server: Server) -> list[Any]:
    """Let the account have push notifications; return the requests as they come."""
    asked: list[Any] = []
    server.features.account.features.append(FEATURE)
    server.answer(Enable, lambda iq: asked.append(iq.payload), at=("account",))
    server.answer(Disable, lambda iq: asked.append(iq.payload), at=("account",))
    return asked


@pytest.mark.item("D11.push.1")
async def test_they_are_enabled_with_a_secret_in_each_session(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        asked = offers(server)
        assert await has_push(client)
        async with open_push(client, SERVICE, "device", options={"secret": "s3cret"}):
            (enable,) = asked
            assert (str(enable.jid), enable.node) == (SERVICE, "device")
            assert enable.form.form_type == "http://jabber.org/protocol/pubsub#publish-options"
            assert enable.form.field("secret").values == ("s3cret",)
            await resumed(server, client)
            assert len(asked) == 1
            await renewed(server, client)
            assert len(asked) == 2
        assert len(asked) == 2, "they are for the time in which the client is away"
        await disable_push(client, SERVICE, "device")
        assert isinstance(asked[-1], Disable)
        await disable_push(client, SERVICE)
        assert asked[-1].node is None


@pytest.mark.item("D11.push.1")
async def test_an_account_that_cannot_is_not_asked_to(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        assert not await has_push(client)
        with pytest.raises(XMPPError) as caught:
            await enable_push(client, SERVICE, "device")
        assert caught.value.condition is StanzaCondition.FEATURE_NOT_IMPLEMENTED
        with pytest.raises(XMPPError):
            async with open_push(client, SERVICE, "device"):
                pass
        assert not [each for each in server.log if each.stanza.find(f"{{{FEATURE}}}enable") is not None]


def test_the_summary_of_a_notification_is_typed() -> None:
    text = (
        "<notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data'><field var='FORM_TYPE'>"
        "<value>urn:xmpp:push:summary</value></field><field var='message-count'><value>1</value></field>"
        "<field var='last-message-sender'><value>juliet@example.org/balcony</value></field></x></notification>"
    )
    notification = xml.parse(Notification, xml.fromstring(text))
    assert notification.form is not None
    summary = Summary.read(notification.form)
    assert (summary.messages, str(summary.last_sender)) == (1, "juliet@example.org/balcony")
    assert (summary.last_body, summary.subscriptions) == (None, None)


@pytest.mark.item("D11.push.1")
@on_every_bench(accounts=2)
async def test_the_app_server_is_told_of_a_message_that_waits(bench: Bench) -> None:
    """Any client can stand for an app server: it is told what the server publishes, with the secret."""
    sender, app_server = bench.clients
    await bench.needs(FEATURE, bench.jid(0), "mod_cloud_notify" if "prosody" in bench.label else "mod_push")
    away = await bench.add_account()
    told, published = trio.open_memory_channel[Any](10)

    def is_our_server(jid: JID) -> bool:
        return str(jid) == bench.domain

    async def message_waits() -> None:
        await sender.send(Message(to=bench.jid(away), type=MessageType.CHAT, body="Wake up"))

    with app_server.answer(PubSubSet, lambda iq: told.send_nowait(iq.payload), from_=is_our_server):
        async with (
            bench.connect(away) as client,
            open_push(client, app_server.jid, "device", options={"secret": "s3cret"}),
        ):
            pass
        await message_waits()
        pubsub = await published.receive()
        assert pubsub.publish.node == "device"
        assert pubsub.publish_options.form.field("secret").values == ("s3cret",)
        (item,) = pubsub.publish.items
        summary = Summary.read(item.payload.get(Notification).form)
        assert summary.last_body is not None, "servers say that there is a message, and not which"
        assert "Wake up" not in summary.last_body
        assert (summary.last_sender, summary.subscriptions) == (None, None)
        # The account comes back, and has logged out for good the next time.
        async with bench.connect(away) as client:
            await disable_push(client, app_server.jid, "device")
        await message_waits()
        for client in (sender, app_server):
            await client.request(Ping(), to=bench.domain)
        with pytest.raises(trio.WouldBlock):
            published.receive_nowait()
