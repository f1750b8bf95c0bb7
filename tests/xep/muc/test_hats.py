"""Hats (XEP-0317): a room gives them to occupants. Where it does not know of hats, an occupant can forge them."""

from __future__ import annotations

import pytest

from trioxmpp import xml
from trioxmpp.protocol.elements.hats import Hat, Hats
from trioxmpp.protocol.elements.muc import Occupant
from trioxmpp.protocol.stanza import Presence
from trioxmpp.xep.muc.occupants import Features, Occupants

HATS = "urn:xmpp:hats:0"


def shown(features: set[str], hats: tuple[Hat, ...]) -> tuple[Hat, ...]:
    """Return the hats that an occupant wears in a room with these features."""
    known = Features()
    known.learn(frozenset(features))
    element = xml.parse(Occupant, xml.fromstring("<x xmlns='http://jabber.org/protocol/muc#user'/>"))
    occupants = Occupants(known)
    occupants.see("juliet", Presence(from_="hall@rooms.example/juliet", payloads=[element, Hats(hats=hats)]), element)
    juliet = occupants.by_nick("juliet")
    assert juliet is not None
    return juliet.hats


@pytest.mark.item("D11a.6")
def test_hats_count_only_where_the_room_announces_them() -> None:
    host = Hat(uri="urn:example:host", title="Host")
    assert shown({HATS}, (host,)) == (host,)
    assert shown({"urn:xmpp:occupant-id:0"}, (host,)) == ()


def test_an_occupant_wears_a_bounded_number_of_hats() -> None:
    hats = tuple([Hat(uri=f"urn:example:{number}", title="Hat") for number in range(1000)])
    assert shown({HATS}, hats) == hats[:16]
