"""The error element of a stanza (RFC 6120 §8.3.2) as an exception, and back."""

from __future__ import annotations

from .. import xml
from ..errors import (
    ErrorType,
    JIDError,
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

_TEXT = f"{{{ns.STANZA_ERRORS}}}text"
_CONDITIONS = {f"{{{ns.STANZA_ERRORS}}}{member.value}": member for member in StanzaCondition}
#: The text of these is a URI (RFC 6120 §8.3.3.5, §8.3.3.14).
_ADDRESSED = frozenset({StanzaCondition.GONE, StanzaCondition.REDIRECT})
_CLASSES: dict[str, type[XMPPError]] = {
    cls.TYPE.value: cls for cls in (XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError)
}


def parse_error(element: xml.Element) -> XMPPError:
    """The exception that an ``<error/>`` stands for. Never raises: what it does not know is *undefined-condition*.

    The children may come in any order (RFC 6120 §8.3.2).
    """
    condition, text, address, application = None, None, None, None
    for child in element:
        if condition is None and (known := _CONDITIONS.get(str(child.tag))) is not None:
            condition = known
            if condition in _ADDRESSED:
                address = (child.text or "").strip() or None
        elif child.tag == _TEXT:
            text = text or child.text
        elif application is None and not str(child.tag).startswith(f"{{{ns.STANZA_ERRORS}}}"):
            application = child
    cls = _CLASSES.get(element.get("type", ""), XMPPCancelError)
    return cls(
        condition or StanzaCondition.UNDEFINED_CONDITION, text, application, address=address, by=_parse_by(element)
    )


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


def _parse_by(element: xml.Element) -> JID | None:
    by = element.get("by")
    try:
        return None if by is None else JID.parse_inbound(by)
    except JIDError:
        return None
