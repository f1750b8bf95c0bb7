"""The error element of a stanza (RFC 6120 §8.3.2) as an exception, and back."""

from __future__ import annotations

from .. import xml
from ..errors import (
    ErrorType,
    StanzaCondition,
    XMPPAuthError,
    XMPPCancelError,
    XMPPContinueError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from ..jid import JID
from . import ns

__all__ = ["parse_error", "serialise_error"]

_CONDITIONS = {f"{{{ns.STANZA_ERRORS}}}{member.value}": member for member in StanzaCondition}
# Whose content is the URI of where to go instead (RFC 6120 §8.3.3.5, §8.3.3.14).
_ADDRESSED = (StanzaCondition.GONE, StanzaCondition.REDIRECT)
_CLASSES: dict[ErrorType | None, type[XMPPError]] = {
    cls.TYPE: cls for cls in (XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError)
}


@xml.element(ns.STANZA_ERRORS, "text")
class _Text:
    text: str = xml.text()


@xml.element(ns.CLIENT, "error")
class _Error:
    """The condition is one of the others: there are too many for a class each, and who knows which will be added."""

    type: ErrorType | None = xml.attr(default=None, codec=xml.lenient(ErrorType))
    by: JID | None = xml.attr(default=None, codec=xml.lenient(JID))
    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()


def parse_error(element: xml.Element) -> XMPPError:
    """The exception that an ``<error/>`` stands for. Never raises: what it does not know is *undefined-condition*.

    The children may come in any order (RFC 6120 §8.3.2).
    """
    said = xml.parse(_Error, element)
    condition = address = application = None
    for other in said.others:
        if condition is None and (known := _CONDITIONS.get(str(other.tag))) is not None:
            condition = known
            if condition in _ADDRESSED:
                address = (other.text or "").strip() or None
        elif application is None and not str(other.tag).startswith(f"{{{ns.STANZA_ERRORS}}}"):
            application = other
    text = next(filter(None, [text.text for text in said.texts]), None)
    cls = _CLASSES.get(said.type, XMPPCancelError)
    return cls(condition or StanzaCondition.UNDEFINED_CONDITION, text, application, address=address, by=said.by)


def serialise_error(error: XMPPError) -> str:
    """The ``<error/>`` element for an exception, to be written where ``jabber:client`` is the default namespace."""
    kind: ErrorType = error.TYPE
    name, address = error.condition.value, error.address
    inner = f"<{name} xmlns='{ns.STANZA_ERRORS}'" + ("/>" if not address else f">{xml.escape(address)}</{name}>")
    if error.text:
        inner += f"<text xmlns='{ns.STANZA_ERRORS}'>{xml.escape(error.text)}</text>"
    if error.application is not None:
        inner += xml.serialise(error.application, ns.CLIENT)
    by = f" by='{xml.escape_attr(str(error.by))}'" if error.by is not None else ""
    return f"<error type='{kind.value}'{by}>{inner}</error>"
