"""XEP-0054: vcard-temp, and XEP-0292: vCard4 Over XMPP: the cards of accounts.

A server replaces a card as a whole. So `change_vcard` reads it, changes some fields, and writes all of it back, with
what nothing here knows. No answer tells whether an account exists: servers give an empty card for those that do not.
"""

from __future__ import annotations

from typing import Any, Final

from .. import xml
from ..client import Client
from ..errors import ErroneousStanza, StanzaCondition, XMPPError
from ..jid import JID
from ..protocol.elements.vcard import SetVCard, VCard, VCardQuery
from ..protocol.elements.vcard4 import VCard4
from ..record import replace
from .pubsub import CURRENT, Access, Node, Options, fetch_item, publish

__all__ = ["CARDS", "change_vcard", "change_vcard4", "fetch_vcard", "fetch_vcard4", "set_vcard", "set_vcard4"]

#: The node of cards of version 4 (XEP-0292 §3); ``watch(client, CARDS)`` hears of those of contacts.
CARDS: Final = Node("urn:xmpp:vcard4", VCard4, options=Options(access=Access.PRESENCE))

#: Octets of a card that is accepted.
MAX_CARD = 1 << 20

#: How servers say that there is no card (XEP-0054 §3.3).
_NO_CARD: Final = frozenset({StanzaCondition.ITEM_NOT_FOUND, StanzaCondition.SERVICE_UNAVAILABLE})


async def fetch_vcard(
    client: Client, jid: JID | str | None = None, *, limit: int = MAX_CARD, timeout: float | None = None
) -> VCard:
    """Return the card of an account, or of an occupant of a room; None: our own. It is empty if there is none.

    A photo may be the URL of one: nothing is fetched from there. Raises `ErroneousStanza` for a card of more than
    `limit` octets, ``XMPPError`` if the card is refused, and what `Client.send` raises. Cancelling changes nothing.
    """
    try:
        card = await client.request(VCardQuery(), to=jid, timeout=timeout)
    except XMPPError as exc:
        if exc.condition in _NO_CARD:
            return VCard()
        raise
    if card is None:
        return VCard()
    if len(xml.serialise(card)) > limit:
        raise ErroneousStanza(f"the card of {jid or 'our account'} has more than {limit} octets")
    return card


async def set_vcard(client: Client, card: VCard) -> None:
    """Replace our card as a whole; to change some of it, see `change_vcard`.

    Raises ``XMPPError``, and what `Client.send` raises. If cancelled, it may be replaced all the same.
    """
    await client.request(SetVCard(**{name: getattr(card, name) for name in _FIELDS}))


async def change_vcard(client: Client, **changes: Any) -> VCard:
    """Change some fields of our card, and return it; all else survives. `changes` are fields of `VCard`.

    Raises as `fetch_vcard` and `set_vcard`, and TypeError for a field that there is not. May be cancelled as
    `set_vcard`. Two clients that change the
    card at the same time may undo each other's change: a server has no means against that.
    """
    card = replace(await fetch_vcard(client, limit=16 << 20), **changes)
    await set_vcard(client, card)
    return card


async def fetch_vcard4(client: Client, jid: JID | str | None = None) -> VCard4:
    """Return the card of version 4 that an account publishes; None: our own. It is empty if there is none.

    Raises ``XMPPError`` if it is not for us, and what `Client.send` raises. Cancelling changes nothing.
    """
    item = await fetch_item(client, CARDS, owner=jid)
    return VCard4() if item is None or item.payload is None else item.payload


async def set_vcard4(client: Client, card: VCard4, *, access: Access = Access.PRESENCE) -> None:
    """Publish our card of version 4. Raises, and may be cancelled, as `publish`."""
    await publish(client, CARDS, card, id=CURRENT, access=access)


async def change_vcard4(client: Client, *, access: Access = Access.PRESENCE, **changes: Any) -> VCard4:
    """Change some fields of our card of version 4, and return it; all else survives.

    Raises as `fetch_vcard4` and `set_vcard4`. May be cancelled as `set_vcard4`.
    """
    card = replace(await fetch_vcard4(client), **changes)
    await set_vcard4(client, card, access=access)
    return card


_FIELDS: Final = (
    "full_name", "name", "nicknames", "photos", "birthday", "emails", "jids", "titles", "roles", "organizations",
    "urls", "description", "others",
)  # fmt: skip
