"""Push notifications: enabled in each session, if the account can (XEP-0357)."""

from __future__ import annotations

from typing import Any

import pytest

import trioxmpp
from tests.dialogs import renewed, resumed
from trioxmpp import StanzaCondition, XMPPError, xml
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
