"""Stanzas inside elements, such as a forwarded message (XEP-0297): values of fields of declared classes.

``message: Message = xml.child()`` reads and writes a message in the namespace of clients. The message is a copy, and
does not keep the stanza that it came in. No server has checked its `from_`, which the sender of the outer stanza chose.
"""

from __future__ import annotations

from ... import xml
from ...errors import ElementError, ErroneousStanza
from .. import ns
from .iq import IQ
from .message import Message
from .parse import parse_stanza
from .presence import Presence

__all__: list[str] = []


def _read(element: xml.Element) -> Message | Presence | IQ:
    try:
        stanza = parse_stanza(element)
    except ErroneousStanza as exc:
        raise ElementError(str(exc), str(element.tag).rpartition("}")[2]) from exc
    assert stanza is not None  # since its tag was checked
    return stanza


def _write(stanza: Message | Presence | IQ, default: str) -> str:
    text, start = stanza.serialise(), f"<{stanza.NAME}"
    return text if default == ns.CLIENT else f"{start} xmlns='{ns.CLIENT}'{text.removeprefix(start)}"


for _cls in (Message, Presence, IQ):
    xml.handwritten(_cls, ns.CLIENT, _cls.NAME, read=_read, write=_write)  # type: ignore[arg-type]
