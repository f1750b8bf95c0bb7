"""The answer of the server to the question for the roster, read in slices: it may have many thousands of items."""

from __future__ import annotations

import logging
from typing import NamedTuple

import trio

from ... import xml
from ...client import Slices
from ...errors import ElementError, ErroneousStanza
from ...jid import JID
from ...protocol.elements import roster
from ...protocol.stanza import IQ
from .contact import Contact, SubscriptionState

__all__ = ["RosterAnswer", "read_roster"]

_logger = logging.getLogger(__name__)


class RosterAnswer(NamedTuple):
    """All contacts, and the version of the list; None if the server gives none."""

    version: str | None
    contacts: dict[JID, Contact]


async def read_roster(reply: IQ) -> RosterAnswer | None:
    """Return what the reply says; None if the version that we have is current (RFC 6121 §2.6.3).

    Malformed items are passed over. Raises the `XMPPError` of an error, and `ErroneousStanza` for another answer than
    a roster. Cancelling drops the answer.
    """
    if reply.error is not None:
        raise reply.error
    query = reply.payload
    if query is None:
        await trio.lowlevel.checkpoint()
        return None
    if query.tag != xml.tag_of(roster.Roster):
        raise ErroneousStanza(f"the result is not a roster: {str(query.tag)[:200]}", reply)
    contacts: dict[JID, Contact] = {}
    groups: dict[frozenset[str], frozenset[str]] = {}
    malformed = 0
    async for elements in Slices(query.iterchildren(xml.tag_of(roster.Item))):
        for element in elements:
            try:
                item = xml.parse(roster.Item, element)
            except ElementError as exc:
                malformed += 1
                _logger.log(
                    logging.DEBUG if malformed > 1 else logging.WARNING, "passed over a malformed contact: %.200s", exc
                )
                continue
            if item.subscription is not SubscriptionState.REMOVE:
                contacts[item.jid] = Contact.of(item, groups)
    return RosterAnswer(query.get("ver"), contacts)
