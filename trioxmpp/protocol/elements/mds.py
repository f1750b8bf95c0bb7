"""XEP-0490: Message Displayed Synchronization."""

from __future__ import annotations

from typing import Final

from ... import xml
from .stanza_ids import StanzaId

__all__ = ["NS", "Displayed"]

#: The name of the node, and the namespace.
NS: Final = "urn:xmpp:mds:displayed:0"


@xml.element(NS, "displayed")
class Displayed:
    """The last message of a chat that another client of the account displayed (§3)."""

    stanza_id: StanzaId = xml.child()
