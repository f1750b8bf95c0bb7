"""XEP-0377: Blocking Command Reports: tell our server why an address is blocked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..client import Client
from ..jid import JID
from ..protocol.elements.blocking import Block, Item
from ..protocol.elements.reporting import ABUSE, SPAM, Report
from ..protocol.elements.stanza_ids import StanzaId

__all__ = ["ABUSE", "SPAM", "can_report", "report"]

FEATURE: Final = "urn:xmpp:reporting:1"
#: Messages that one report names.
MAX_MESSAGES = 100


async def can_report(client: Client) -> bool:
    """Return whether our server takes reports (§2). Raises, and may be cancelled, as `Disco.has`."""
    return await client.disco.has(JID(None, client.jid.domain, None), FEATURE)


async def report(
    client: Client,
    jid: JID | str,
    reason: str = SPAM,
    *,
    messages: Iterable[StanzaId] = (),
    text: str | None = None,
) -> bool:
    """Block an address, and report it (§3); return whether the server takes reports. It is blocked in any case.

    `reason` is `SPAM`, `ABUSE`, or the URI of another one. `messages` are the ids that our archive gave to the messages
    in question, `MAX_MESSAGES` at most; `text` is for people. Raises ``XMPPError`` if the server cannot block, and what
    `Client.send` raises. If cancelled, it may be blocked all the same.
    """
    takes_reports = await can_report(client)
    about = Report(reason=reason, stanza_ids=tuple(messages)[:MAX_MESSAGES], text=text) if takes_reports else None
    address = JID.parse(jid) if isinstance(jid, str) else jid
    await client.request(Block(items=(Item(jid=address, report=about),)))
    return takes_reports
