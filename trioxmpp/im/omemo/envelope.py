"""XEP-0420: Stanza Content Encryption: what of a message is encrypted, and what has to stay outside.

Servers route by some children of a message, and filter others; those stay outside. All others go into an envelope with
the affixes that XEP-0384 §5.4.1 asks for: padding, the sender, the time, and the recipient. On the way back a child is
believed from one side only: a hint or an archive id *within* the envelope could not be filtered by a server, and a body
*beside* it was written by an attacker.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from ... import xml
from ...errors import ErroneousStanza
from ...jid import JID
from ...protocol import ns
from ...protocol.elements.chat_states import chat_state
from ...protocol.elements.eme import Encryption
from ...protocol.elements.hints import Store
from ...protocol.elements.markers import Displayed
from ...protocol.elements.receipts import Received
from ...protocol.elements.sce import NS as SCE
from ...protocol.elements.sce import Content, Envelope
from ...protocol.stanza import Message, MessageType, parse_stanza
from .errors import BadEnvelope, Malformed

__all__ = ["MARGIN", "check", "fill", "is_courtesy", "is_outside", "lay_open", "pack", "read", "strip"]

#: How far the time of the envelope and that of the stanza may differ.
MARGIN: Final = timedelta(minutes=10)
#: The longest padding (XEP-0420 §4).
PADDING: Final = 200

_OUTSIDE: Final = frozenset({
    "urn:xmpp:hints",
    ns.SID,
    ns.DELAY,
    "jabber:x:delay",
    "http://jabber.org/protocol/address",
    "urn:xmpp:eme:0",
    ns.CARBONS,
    ns.FORWARD,
    "urn:xmpp:mam:2",
    "urn:xmpp:mam:tmp",
    "urn:xmpp:occupant-id:0",
    "urn:xmpp:hats:0",
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/muc#user",
    "http://jabber.org/protocol/pubsub#event",
    "urn:xmpp:fasten:0",
    "urn:xmpp:message-moderate:1",
    "urn:xmpp:omemo:2",
    "eu.siacs.conversations.axolotl",
})  # fmt: skip


def is_outside(tag: str) -> bool:
    """Return whether a child of this tag is for servers, and stands outside of the envelope."""
    return tag[1:].partition("}")[0] in _OUTSIDE


def _is_ours(payload: object) -> bool:
    """Return whether a payload of a message stays, or is believed, outside of the envelope. An envelope never is."""
    tag = str(payload.tag) if isinstance(payload, xml.Element) else xml.tag_of(type(payload))
    return is_outside(tag)


def is_courtesy(message: Message) -> bool:
    """Return whether a message says nothing but that one was received or displayed, or what a person does now."""
    told = message.get(Received) is not None or message.get(Displayed) is not None or chat_state(message) is not None
    return told and message.body is None


# --- on the way out


def pack(message: Message, sender: JID, recipient: JID, now: datetime) -> bytes:
    """Return the envelope with all of `message` that is for its recipient. Raises ValueError as `Message.validate`."""
    sensitive = Message(
        body=message.bodies,
        thread=message.thread,
        parent_thread=message.parent_thread,
        subject=message.subjects,
        payloads=[payload for payload in message.payloads if not _is_ours(payload)],
    )
    sensitive.validate()
    written = sensitive.serialise().replace("<message", f"<message xmlns='{ns.CLIENT}'", 1)
    envelope = Envelope(
        content=Content(elements=tuple(xml.fromstring(written))),
        rpad=_padding(secrets.randbelow(PADDING + 1)),
        stamp=now,
        to=recipient.bare,
        from_=sender.bare,
    )
    return xml.serialise(envelope, "").encode()


def _padding(length: int) -> str:
    """Return random characters."""
    return secrets.token_urlsafe(length)[:length]


def strip(message: Message) -> Message:
    """Return `message` with what servers may read, and without all that `pack` encrypts."""
    outer = Message(to=message.to, type=message.type, from_=message.from_, id=message.id, lang=message.lang)
    outer.payloads = [payload for payload in message.payloads if _is_ours(payload)]
    return outer


def fill(outer: Message, encrypted: object, namespace: str) -> Message:
    """Put the encrypted element into a message, with a name for it and the wish to be archived (XEP-0384 §5.5)."""
    hints = [] if any(_is_hint(payload) for payload in outer.payloads) else [Store()]
    outer.payloads += [encrypted, Encryption(namespace=namespace, name="OMEMO"), *hints]
    return outer


def _is_hint(payload: object) -> bool:
    tag = str(payload.tag) if isinstance(payload, xml.Element) else xml.tag_of(type(payload))
    return tag.startswith("{urn:xmpp:hints}")


# --- on the way in


def read(plaintext: bytes) -> Envelope:
    """Return the envelope that was encrypted. Raises `Malformed`."""
    try:
        return xml.parse(Envelope, xml.fromstring(plaintext.decode()))
    except ValueError as exc:  # UnicodeDecodeError and ElementError are
        raise Malformed(f"the envelope cannot be read: {exc}") from exc


def check(envelope: Envelope, message: Message, sender: JID, account: JID) -> None:
    """Check the affixes against the stanza, whose sender is known to be the account `sender` (XEP-0420 §4).

    A message in a room has to name the room: else a server could make it a private one, and the other way round.
    Raises `BadEnvelope`.
    """
    if envelope.from_ is None or envelope.from_.bare != sender.bare:
        raise BadEnvelope(f"the envelope is from {envelope.from_}, and the stanza from {sender.bare}")
    if message.type is MessageType.GROUPCHAT:
        place = message.from_ if message.from_ is not None and message.from_.bare != account else message.to
        if envelope.to is None or place is None or envelope.to.bare != place.bare:
            raise BadEnvelope(f"the envelope is for {envelope.to}, and the stanza comes from {place}")
        return
    recipient = message.to.bare if message.to is not None else account
    if envelope.to is not None and envelope.to.bare != recipient:
        raise BadEnvelope(f"the envelope is for {envelope.to}, and the stanza for {recipient}")


def lay_open(message: Message, envelope: Envelope) -> Message:
    """Return the message as its author wrote it, with what the servers on its way have put beside it.

    Raises `Malformed` if the content is no content of a message.
    """
    children = [element for element in envelope.content.elements if not is_outside(str(element.tag))]
    written = "".join(xml.serialise(element, ns.CLIENT) for element in children)
    try:
        inner = parse_stanza(xml.fromstring(f"<message xmlns='{ns.CLIENT}'>{written}</message>"))
        assert isinstance(inner, Message)
        payloads = [payload for payload in inner.payloads if not _is_envelope(payload)]
    except (ErroneousStanza, ValueError) as exc:
        raise Malformed(f"the content of the envelope cannot be read: {exc}") from exc
    return Message(
        to=message.to,
        type=message.type,
        from_=message.from_,
        id=message.id,
        lang=message.lang,
        body=inner.bodies,
        subject=inner.subjects,
        thread=inner.thread,
        parent_thread=inner.parent_thread,
        payloads=[*strip(message).payloads, *payloads],
        error=message.error,
    )


def _is_envelope(payload: object) -> bool:
    return isinstance(payload, xml.Element) and str(payload.tag).startswith(f"{{{SCE}}}")
