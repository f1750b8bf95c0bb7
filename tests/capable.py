"""Presence with capabilities (XEP-0115), and contacts: what a test of personal nodes needs of a client."""

from __future__ import annotations

import base64
import hashlib

from trioxmpp import Client, Presence, PresenceType
from trioxmpp.protocol.elements.caps import Caps
from trioxmpp.protocol.elements.disco import Info
from trioxmpp.protocol.elements.roster import RosterQuery

__all__ = ["befriend", "present"]

NODE = "https://example.org/tests"


def _hash(info: Info) -> str:
    """Return the verification string of a client without forms (XEP-0115 §5.1)."""
    identities = sorted(f"{each.category}/{each.type}//{each.name or ''}<" for each in info.identities)
    features = sorted(f"{feature}<" for feature in info.features)
    text = "".join(identities + features)
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


async def present(client: Client) -> None:
    """Send presence that says what the client offers now."""
    ver = _hash(client.offers.info)
    client.offers.remember(f"{NODE}#{ver}")
    await client.send(Presence(payloads=[Caps(node=NODE, ver=ver, hash="sha-1")]))


async def befriend(one: Client, other: Client) -> None:
    """Let two clients see each other's presence. Both have to be present."""
    for client in (one, other):
        # Prosody passes answers on to clients that have asked for the roster (RFC 6121 §2.2).
        await client.request(RosterQuery())
    for asker, asked in ((one, other), (other, one)):
        async with asked.presences.subscribe(PresenceType.SUBSCRIBE, from_=asker.jid.bare) as requests:
            await asker.send(Presence(to=asked.jid.bare, type=PresenceType.SUBSCRIBE))
            await anext(requests)
        async with asker.presences.subscribe(PresenceType.SUBSCRIBED, from_=asked.jid.bare) as answers:
            await asked.send(Presence(to=asker.jid.bare, type=PresenceType.SUBSCRIBED))
            await anext(answers)
