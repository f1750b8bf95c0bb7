"""XEP-0012: Last Activity."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Get

__all__ = ["LastActivity", "LastActivityQuery"]

NS: Final = "jabber:iq:last"


@xml.element(NS, "query")
class LastActivity:
    """The seconds since the last activity: idle (§3), logged out (§4), or the uptime of a server (§5)."""

    seconds: int | None = xml.attr(default=None, codec=xml.lenient(int))
    status: str | None = xml.text(default=None)


@xml.element(NS, "query")
class LastActivityQuery(Get[LastActivity]):
    """Asks for the last activity of an account, a resource or a server."""
