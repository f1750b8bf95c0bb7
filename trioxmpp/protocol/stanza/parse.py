"""From an element of the stream to a stanza."""

from __future__ import annotations

from ... import xml
from ...errors import ElementError, ErroneousStanza, JIDError
from .. import ns
from .iq import IQ
from .message import Message
from .presence import Presence
from .types import IQType

__all__ = ["parse_stanza"]

_ERROR = IQType.ERROR
_STANZAS: dict[str, type[Message] | type[Presence] | type[IQ]] = {
    f"{{{ns.CLIENT}}}{cls.NAME}": cls for cls in (Message, Presence, IQ)
}


def parse_stanza(element: xml.Element) -> Message | Presence | IQ | None:
    """The stanza that `element` is, or None if it is none (its tag is not one of the three).

    Raises ErroneousStanza for one that cannot be understood. Its `partial` is None unless sender, type and id could be
    read: a stanza whose ``from`` is malformed has *no known sender*, which is not the same as coming from our own
    server, so nobody may act on it.
    """
    cls = _STANZAS.get(element.tag)  # type: ignore[arg-type]
    if cls is None:
        return None
    try:
        stanza = cls._from_element(element)
    except (JIDError, ElementError) as exc:
        raise ErroneousStanza(f"malformed {cls.NAME}: {exc}") from exc
    if type(stanza) is IQ:
        _check_iq(stanza)
    return stanza


def _check_iq(iq: IQ) -> None:
    """Raise ErroneousStanza, with the IQ as `partial`, if its children do not fit its type (RFC 6120 §8.2.3)."""
    if iq.type is _ERROR:
        if iq.error is None:
            raise ErroneousStanza("an IQ of type error has an error", iq)
    elif len(iq.payloads) > 1:
        raise ErroneousStanza("an IQ has at most one payload", iq)
