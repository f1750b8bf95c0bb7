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
from ..xml.markup import language_of
from . import ns

__all__ = ["parse_error", "serialise_error"]

_CONDITIONS = {member.value: member for member in StanzaCondition}
# Conditions whose content is the URI to use instead (RFC 6120 §8.3.3.5, §8.3.3.14).
_ADDRESSED = (StanzaCondition.GONE, StanzaCondition.REDIRECT)
_CLASSES: dict[ErrorType | None, type[XMPPError]] = {
    cls.TYPE: cls for cls in (XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError)
}


@xml.element(ns.STANZA_ERRORS, "text")
class _Text:
    lang: str | None = xml.attr("xml:lang", default=None)
    text: str = xml.text()


@xml.element(ns.CLIENT, "error")
class _Error:
    """The condition is among the others: a class for each of 22 names would say no more."""

    type: ErrorType | None = xml.attr(default=None, codec=xml.lenient(ErrorType))
    by: JID | None = xml.attr(default=None, codec=xml.lenient(JID))
    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()


def parse_error(element: xml.Element) -> XMPPError:
    """Return the exception for an ``<error/>``. Never raises: an unknown condition is *undefined-condition*.

    The children may come in any order (RFC 6120 §8.3.2). The first text is the one in the language of the stanza.
    """
    parsed = xml.parse(_Error, element)
    condition = name = address = application = None
    for other in parsed.others:
        namespace, _, local_name = str(other.tag)[1:].rpartition("}")
        if namespace != ns.STANZA_ERRORS:
            application = other if application is None else application
        elif condition is None:
            condition, name = _CONDITIONS.get(local_name, StanzaCondition.UNDEFINED_CONDITION), local_name
            if condition in _ADDRESSED:
                address = (other.text or "").strip() or None
    cls = _CLASSES.get(parsed.type, XMPPCancelError)
    return cls(
        condition or StanzaCondition.UNDEFINED_CONDITION,
        _texts(parsed.texts, element),
        application,
        address=address,
        by=parsed.by,
        condition_name=name,
    )


def _texts(texts: tuple[_Text, ...], element: xml.Element) -> dict[str, str]:
    """Return the texts that are not empty, the first one of each language, that in the element's own language first."""
    own = language_of(element) if texts else ""
    found: dict[str, str] = {}
    for text in texts:
        if text.text:
            found.setdefault(own if text.lang is None else text.lang, text.text)
    return {own: found.pop(own), **found} if own in found else found


def serialise_error(error: XMPPError) -> str:
    """Return the ``<error/>`` element for an exception, to be written where ``jabber:client`` is the default."""
    kind: ErrorType = error.TYPE
    name, address = error.condition.value, error.address
    inner = f"<{name} xmlns='{ns.STANZA_ERRORS}'" + ("/>" if not address else f">{xml.escape(address)}</{name}>")
    for lang, text in error.texts.items():
        attribute = f" xml:lang='{xml.escape_attr(lang)}'" if lang else ""
        inner += f"<text xmlns='{ns.STANZA_ERRORS}'{attribute}>{xml.escape(text)}</text>"
    if error.application is not None:
        inner += xml.serialise(error.application, ns.CLIENT)
    by = f" by='{xml.escape_attr(str(error.by))}'" if error.by is not None else ""
    return f"<error type='{kind.value}'{by}>{inner}</error>"
