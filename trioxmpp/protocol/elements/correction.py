"""XEP-0308: Last Message Correction."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Replace"]

NS: Final = "urn:xmpp:message-correct:0"


@xml.element(NS, "replace")
class Replace:
    """The message replaces the one that its sender gave this id (§3). A second correction names the first message."""

    id: str = xml.attr()
