"""Resource binding (RFC 6120 §7), and the session that RFC 3921 §3 wanted after it."""

from __future__ import annotations

from .. import xml
from ..jid import JID
from . import ns
from .stanza import Set

__all__ = ["Bind", "Bound", "LegacySession"]


@xml.element(ns.BIND, "bind")
class Bound:
    """The full JID that is ours from now on: what the server says, not what we asked for."""

    jid: JID = xml.child_text()


@xml.element(ns.BIND, "bind")
class Bind(Set[Bound]):
    """Please bind this resource, or one that the server makes up."""

    resource: str | None = xml.child_text(default=None)


@xml.element(ns.SESSION, "session")
class LegacySession(Set[None]):
    """Please establish a session: a formality that some old servers insist on."""
