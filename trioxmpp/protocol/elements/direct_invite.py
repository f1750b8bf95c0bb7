"""XEP-0249: Direct MUC Invitations."""

from __future__ import annotations

from typing import Final

from ... import xml
from ...jid import JID

__all__ = ["DirectInvite"]

NS: Final = "jabber:x:conference"


@xml.element(NS, "x")
class DirectInvite:
    """An invitation to the room `jid`, which the sender of the message claims to know (§2)."""

    jid: JID = xml.attr()
    reason: str | None = xml.attr(default=None)
    password: str | None = xml.attr(default=None, repr=False)
    continue_: bool | None = xml.attr(default=None, codec=xml.lenient(bool))
    thread: str | None = xml.attr(default=None)
