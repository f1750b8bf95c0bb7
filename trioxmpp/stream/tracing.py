"""The stanzas on the wire, for a person who looks for a fault: every stanza and nonza, each way, without secrets.

The logger ``trioxmpp.xml`` gets it at DEBUG, and so does a function that is given as `trace`. While nothing listens,
nothing is made.

Secrets cannot get in by forgetting one of them. In the namespaces that carry them, no text is shown at all, and no
attribute that is not known to be harmless: exchanges of SASL and SASL2, tokens of FAST, and the forms of registration
and of the old login (XEP-0077, XEP-0078), whatever is in these elements. Bytes that cannot be parsed are shown by their
number.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

from .. import xml
from ..errors import ElementError
from ..protocol import ns
from ..protocol.framing import FOOTER
from ..protocol.streamevents import Event, Skipped, StreamFooter, StreamHeader

__all__ = ["Direction", "Trace", "Tracer", "redacted", "xml_logger"]

#: ``"in"`` is from the server, ``"out"`` to the server.
Direction: TypeAlias = Literal["in", "out"]

#: Called with the direction, and the text of one stanza, nonza, header or footer. An exception of it is logged.
Trace: TypeAlias = Callable[[Direction, str], object]

_HIDDEN: Final = "[hidden]"

#: The namespaces of which no text is shown, within elements of which nothing is shown either.
_SECRET: Final = frozenset(
    {
        ns.SASL,
        ns.SASL2,
        ns.FAST,
        ns.SASL_UPGRADE,
        "urn:xmpp:scram-upgrade:0",
        "jabber:iq:auth",
        "jabber:iq:register",
        "jabber:component:accept",
        "urn:xmpp:http:upload:0",
    }
)
#: Elements of these namespaces whose text is no secret, and attributes that are harmless.
_HARMLESS: Final = frozenset(
    {f"{{{ns.SASL}}}mechanism", f"{{{ns.SASL2}}}mechanism", f"{{{ns.FAST}}}mechanism", f"{{{ns.SASL}}}text"}
)
_HARMLESS_ATTRIBUTES: Final = frozenset({"mechanism", "type", "expiry", "count", "tls-0rtt", "invalidate"})

#: Gets all of it, at DEBUG.
xml_logger: logging.Logger = logging.getLogger("trioxmpp.xml")


def redacted(element: xml.Element) -> str:
    """Return the XML of an element, without what may be a secret. The element stays as it is."""
    if not any(_namespace(each) in _SECRET for each in element.iter()):
        return xml.serialise(element)
    shown = copy.deepcopy(element)
    _hide(shown, within=False)
    return xml.serialise(shown)


def _hide(element: xml.Element, *, within: bool) -> None:
    within = within or _namespace(element) in _SECRET
    if within:
        if element.text and element.text.strip() and element.tag not in _HARMLESS:
            element.text = _HIDDEN
        attributes = element.items()
        element.attrib.clear()
        for name, value in attributes:
            with contextlib.suppress(ValueError):  # lxml sets none whose namespace has a "}": it is left out
                element.set(name, value if name in _HARMLESS_ATTRIBUTES else _HIDDEN)
    for child in element:
        _hide(child, within=within)
        if within and child.tail and child.tail.strip():
            child.tail = _HIDDEN


def _namespace(element: xml.Element) -> str:
    return str(element.tag).rpartition("}")[0][1:]


class Tracer:
    """Tells of what one XML stream sends and receives."""

    def __init__(self, trace: Trace | None = None) -> None:
        self._trace = trace

    def sent(self, pieces: Iterable[bytes]) -> None:
        """Tell of elements, a header, a footer or white space, as they are about to be written."""
        for piece in pieces:
            self._tell("out", _text_of(piece))

    def received(self, events: Iterable[Event]) -> None:
        """Tell of what has arrived."""
        for event in events:
            if isinstance(event, StreamHeader):
                text = f"<stream:stream> {event!r}"
            elif isinstance(event, StreamFooter):
                text = FOOTER.decode()
            elif isinstance(event, Skipped):
                text = f"[an element of {event.octets} octets that was passed over: {event.reason:.200}]"
            else:
                text = redacted(event)
            self._tell("in", text)

    def _tell(self, direction: Direction, text: str) -> None:
        xml_logger.debug("%s %s", "<-" if direction == "in" else "->", text)
        if self._trace is not None:
            try:
                self._trace(direction, text)
            except Exception:
                xml_logger.exception("the function that traces the stream failed")


def _text_of(piece: bytes) -> str:
    if piece == FOOTER or not piece.strip():
        return piece.decode() if piece.strip() else "[white space]"
    if piece.startswith((b"<?xml", b"<open", b"<stream:stream")):
        return piece.decode(errors="replace")
    try:
        return redacted(xml.fromstring(f"<x xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'>{piece.decode()}</x>")[0])
    except (ElementError, ValueError, IndexError):
        return f"[{len(piece)} octets that cannot be shown]"
