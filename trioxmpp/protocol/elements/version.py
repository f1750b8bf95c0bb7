"""XEP-0092: Software Version."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Get

__all__ = ["Version", "VersionQuery"]

NS: Final = "jabber:iq:version"


@xml.element(NS, "query")
class Version:
    """The name and version of a program, and of its operating system (§3)."""

    name: str | None = xml.child_text(default=None)
    version: str | None = xml.child_text(default=None)
    os: str | None = xml.child_text(default=None)


@xml.element(NS, "query")
class VersionQuery(Get[Version]):
    """Asks an entity for its version."""
