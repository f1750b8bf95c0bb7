"""Resource binding (RFC 6120 §7), and the session that RFC 3921 §3 wanted after it.

The full JID that a server binds becomes the address of all that we send, and what is compared with the address of all
that arrives. So it is checked before anything else: `check_bound`, for Bind 2 and resumption in SASL2, too.
"""

from __future__ import annotations

from .. import xml
from ..errors import ElementError, JIDError, StreamNegotiationFailure
from ..jid import JID
from ..text import because, printable
from . import ns
from .stanza import Set

__all__ = ["Bind", "Bound", "LegacySession", "check_bound", "check_domain", "parse_bound"]


@xml.element(ns.BIND, "bind")
class Bound:
    """The full JID that is ours from now on: the server decides it, whatever resource we asked for."""

    jid: JID = xml.child_text()


@xml.element(ns.BIND, "bind")
class _BoundText:
    jid: str = xml.child_text()


@xml.element(ns.BIND, "bind")
class Bind(Set[Bound]):
    """A request to bind this resource, or one that the server makes up."""

    resource: str | None = xml.child_text(default=None)


@xml.element(ns.SESSION, "session")
class LegacySession(Set[None]):
    """A request to establish a session: a formality that some old servers insist on."""


def parse_bound(element: xml.Element | None, domain: str) -> JID:
    """Return the full JID in the answer to `Bind`. Raises StreamNegotiationFailure if there is none for `domain`."""
    try:
        if element is None:
            raise ElementError("missing", "bind")
        text = xml.parse(_BoundText, element).jid
    except ElementError as exc:
        raise StreamNegotiationFailure(because("the server does not tell what it bound", exc)) from exc
    return check_bound(text, domain)


def check_bound(text: str, domain: str) -> JID:
    """Return the full JID at `domain` that a server says it bound. Raises StreamNegotiationFailure for anything else.

    White space at the edges is refused, and not removed: at the end, it may belong to the resource.
    """
    if text != text.strip():
        raise StreamNegotiationFailure(f"the server bound an address with white space around it: {_shown(text)}")
    try:
        jid = JID.parse(text)
    except JIDError as exc:
        raise StreamNegotiationFailure(because("the server does not tell what it bound", exc)) from exc
    check_domain(jid, domain)
    if jid.is_bare:
        raise StreamNegotiationFailure(f"the server bound an address without a resource: {_shown(text)}")
    return jid


def check_domain(jid: JID, domain: str) -> None:
    """Raise StreamNegotiationFailure if `jid`, which the server says is ours, is not at `domain`."""
    if jid.domain != domain:
        raise StreamNegotiationFailure(f"the server gave us an address of another domain: {_shown(str(jid))}")


def _shown(text: str) -> str:
    return f"'{printable(text, 200)}'"
