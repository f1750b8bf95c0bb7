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
from . import ns

__all__ = ["parse_error", "serialise_error"]

_TEXT = f"{{{ns.STANZA_ERRORS}}}text"
_CONDITIONS = {f"{{{ns.STANZA_ERRORS}}}{member.value}": member for member in StanzaCondition}
_CLASSES: dict[str, type[XMPPError]] = {
    cls.TYPE.value: cls for cls in (XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError)
}


def parse_error(element: xml.Element) -> XMPPError:
    """The exception that an ``<error/>`` stands for. Never raises: what it does not know is *undefined-condition*.

    The children may come in any order (RFC 6120 §8.3.2). The URI of ``<gone/>`` and ``<redirect/>`` is the text, if
    there is no other.
    """
    condition, text, uri, application = None, None, None, None
    for child in element:
        if condition is None and (known := _CONDITIONS.get(str(child.tag))) is not None:
            condition = known
            uri = (child.text or "").strip() or None
        elif child.tag == _TEXT:
            text = text or child.text
        elif application is None and not str(child.tag).startswith(f"{{{ns.STANZA_ERRORS}}}"):
            application = child
    cls = _CLASSES.get(element.get("type", ""), XMPPCancelError)
    return cls(condition or StanzaCondition.UNDEFINED_CONDITION, text or uri, application)


def serialise_error(error: XMPPError) -> str:
    """The ``<error/>`` element for an exception, to be written where ``jabber:client`` is the default namespace."""
    kind: ErrorType = error.TYPE
    inner = f"<{error.condition.value} xmlns='{ns.STANZA_ERRORS}'/>"
    if error.text:
        inner += f"<text xmlns='{ns.STANZA_ERRORS}'>{xml.escape(error.text)}</text>"
    if error.application is not None:
        inner += xml.serialise(error.application, ns.CLIENT)
    return f"<error type='{kind.value}'>{inner}</error>"
