"""XEP-0357: Push Notifications: have our server wake an app server while this client is away.

The app server knows which device a node stands for; a secret, in the options, proves to it that our server may notify.
Log out with `disable_push` before `Client.forget_token`: a device that has logged out must not be woken any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from ..client import Client, Session, Step
from ..errors import StanzaCondition, XMPPCancelError
from ..jid import JID
from ..protocol.elements.forms import FORM_TYPE, DataForm, Field, FieldType, FormType
from ..protocol.elements.push import Disable, Enable
from .forms import Form, FormField, integer, jid, text

__all__ = ["Summary", "disable_push", "enable_push", "has_push", "open_push"]

FEATURE: Final = "urn:xmpp:push:0"
OPTIONS: Final = "http://jabber.org/protocol/pubsub#publish-options"


class Summary(Form, form_type="urn:xmpp:push:summary"):
    """The summary in a notification for the app server (§7.1); each field may be left out."""

    messages: FormField[int | None] = integer("message-count")
    last_sender: FormField[JID | None] = jid("last-message-sender")
    last_body: FormField[str | None] = text("last-message-body")
    subscriptions: FormField[int | None] = integer("pending-subscription-count")


async def has_push(client: Client) -> bool:
    """Return whether our account has push notifications (§4). Raises, and may be cancelled, as `Disco.has`."""
    return await client.disco.has(client.jid.bare, FEATURE)


async def enable_push(
    client: Client, service: JID | str, node: str, *, options: Mapping[str, str] | None = None
) -> None:
    """Have the app server `service` notified at `node` (§5). `options` are for it: ``{"secret": "..."}``.

    The account is asked first whether it can: `XMPPCancelError` *feature-not-implemented* if not. Raises ``XMPPError``
    if the server refuses, and what `Client.send` raises. If cancelled, it may be enabled all the same.
    """
    if not await has_push(client):
        raise XMPPCancelError(StanzaCondition.FEATURE_NOT_IMPLEMENTED, "the account has no push notifications")
    await client.request(Enable(jid=_jid(service), node=node, form=_form(options)))


async def disable_push(client: Client, service: JID | str, node: str | None = None) -> None:
    """Have the app server notified no more: at one node, or without `node` at all of them (§6).

    Raises ``XMPPError`` if the server refuses, and what `Client.send` raises. If cancelled, it may happen all the same.
    """
    await client.request(Disable(jid=_jid(service), node=node))


@asynccontextmanager
async def open_push(
    client: Client, service: JID | str, node: str, *, options: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """A block during which each session enables push notifications at `node`.

    They stay enabled behind the block, since they are for the time in which the client is away; see `disable_push`.
    Entering raises as `enable_push`, and may be cancelled as that. A later failure is a `Trouble` event, and is tried
    again.
    """

    async def enable(session: Session) -> None:
        await enable_push(client, service, node, options=options)

    async with client.each_session(Step.SYNC, enable):
        yield


def _form(options: Mapping[str, str] | None) -> DataForm | None:
    if not options:
        return None
    head = Field(var=FORM_TYPE, type=FieldType.HIDDEN, values=(OPTIONS,))
    return DataForm(
        type=FormType.SUBMIT, fields=(head, *(Field(var=var, values=(value,)) for var, value in options.items()))
    )


def _jid(service: JID | str) -> JID:
    return JID.parse(service) if isinstance(service, str) else service
