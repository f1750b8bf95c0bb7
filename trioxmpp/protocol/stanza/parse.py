"""From an element of the stream to a stanza."""

from __future__ import annotations

from ... import xml
from ...errors import ElementError, ErroneousStanza, JIDError
from ...jid import JID
from .. import ns
from ..streamevents import Skipped
from .iq import IQ
from .message import Message
from .presence import Presence
from .types import IQType

__all__ = ["parse_skipped", "parse_stanza"]

_ERROR = IQType.ERROR
_TYPES = {member.value: member for member in IQType}
_IQ = f"{{{ns.CLIENT}}}{IQ.NAME}"
_STANZAS: dict[str, type[Message] | type[Presence] | type[IQ]] = {
    f"{{{ns.CLIENT}}}{cls.NAME}": cls for cls in (Message, Presence, IQ)
}


def parse_stanza(element: xml.Element) -> Message | Presence | IQ | None:
    """Return the stanza that `element` is, or None if its tag is not one of the three.

    Raises ErroneousStanza for a stanza that cannot be understood. Its `partial` is an IQ whose sender and id could be
    read, so that it can be answered, or that it fails the request that it answers; in all other cases it is None. A
    stanza whose ``from`` is malformed has *no known sender*, which is not the same as coming from our own server, so
    nothing may act on it.
    """
    cls = _STANZAS.get(element.tag)  # type: ignore[arg-type]
    if cls is None:
        return None
    try:
        stanza = cls._from_element(element)
    except (JIDError, ElementError) as exc:
        get = element.get
        partial = _partial(get("type"), get("id"), get("from"), get("to")) if cls is IQ else None
        raise ErroneousStanza(f"malformed {cls.NAME}: {exc}", partial) from exc
    if type(stanza) is IQ:
        _check_iq(stanza)
    return stanza


def parse_skipped(skipped: Skipped) -> ErroneousStanza:
    """Return the problem that a stanza which was passed over is, as `parse_stanza` raises it."""
    partial = _partial(skipped.type, skipped.id, skipped.from_, skipped.to) if skipped.tag == _IQ else None
    return ErroneousStanza(f"a stanza was not taken: {skipped.reason}", partial)


def _partial(type_: str | None, id: str | None, from_: str | None, to: str | None) -> IQ | None:
    """Return what can be known of an IQ that was not understood; None unless its sender and id are sound.

    An IQ without a type, or of an unknown one, is answered as if it were a request (RFC 6120 §8.2.3). From a request a
    malformed recipient is left out, because the request has reached us all the same; a reply to a malformed recipient
    is a reply to nothing that we asked.
    """
    kind = _TYPES.get(type_ or "", IQType.GET)
    sender, is_sender_sound = _address(from_)
    recipient, is_recipient_sound = _address(to)
    if not id or not is_sender_sound or not (is_recipient_sound or kind.is_request):
        return None
    return IQ(type=kind, id=id, from_=sender, to=recipient)


def _address(text: str | None) -> tuple[JID | None, bool]:
    """Return an address, and whether it is sound; an absent one is."""
    try:
        return None if text is None else JID.parse_inbound(text), True
    except JIDError:
        return None, False


def _check_iq(iq: IQ) -> None:
    """Raise ErroneousStanza, with the IQ as `partial`, if its children do not fit its type (RFC 6120 §8.2.3)."""
    if iq.type is _ERROR:
        if iq.error is None:
            raise ErroneousStanza("an IQ of type error has an error", iq)
    elif len(iq.payloads) > 1:
        raise ErroneousStanza("an IQ has at most one payload", iq)
