"""The large texts of the upper floors: a roster, a room full of occupants, an archive, a long list of features.

All of them are strings that are made without trioxmpp, so that no fault of the library is in what it reads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from .traffic import TEXT

DOMAIN = "bench.example"
ME = f"bench@{DOMAIN}"
CONTROL = f"control@{DOMAIN}"
ROOM = f"crowd@rooms.{DOMAIN}"
#: The address that lists a thousand features.
SERVICE = f"features.{DOMAIN}"
COMPONENT = f"gateway.{DOMAIN}"

CONTACTS, OCCUPANTS, FEATURES, MESSAGES = 10_000, 5_000, 1_000, 100_000
#: The contacts whose presence arrives, and the number of programs that they use.
PRESENT, PROGRAMS = 500, 40
#: The users of a component, and the rooms that they are in.
USERS, ROOMS = 10_000, 200
PAGE = 250

WORDS = TEXT.split()


def contact(number: int) -> str:
    """The bare address of a contact."""
    return f"capulet{number}@house{number % 50}.example"


def roster(contacts: int) -> str:
    """The items of a roster, about 100 octets each."""
    return "".join(
        f"<item jid='{contact(number)}' name='Capulet the {number}th' subscription='both'>"
        f"<group>House {number % 20}</group></item>"
        for number in range(contacts)
    )


def features() -> str:
    """The answer of an entity with a thousand features."""
    identity = "<identity category='server' type='im' name='Verona'/>"
    return identity + "".join(f"<feature var='urn:example:feature:{number:04}'/>" for number in range(FEATURES))


# --- programs and their hashes (XEP-0115 §5)


def program(number: int) -> tuple[str, list[str]]:
    """The name of a program, and its features."""
    names = ["http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps", "urn:xmpp:ping"]
    return f"Program {number}", sorted([*names, *(f"urn:example:program:{number}:{index}" for index in range(20))])


def program_hash(number: int) -> str:
    """The verification string of a program."""
    name, its = program(number)
    text = f"client/pc//{name}<" + "".join(f"{feature}<" for feature in its)
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


HASHES = [program_hash(number) for number in range(PROGRAMS)]


def program_info(ver: str) -> str:
    """The features of the program with this hash."""
    name, its = program(HASHES.index(ver))
    identity = f"<identity category='client' type='pc' name='{name}'/>"
    return identity + "".join(f"<feature var='{feature}'/>" for feature in its)


def _caps(number: int) -> str:
    ver = HASHES[number % PROGRAMS]
    return f"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example/' ver='{ver}'/>"


# --- presences


def presences() -> Iterator[str]:
    """One presence of each contact that is there."""
    for number in range(PRESENT):
        yield (
            f"<presence from='{contact(number)}/balcony' to='{ME}/bench'><show>away</show>"
            f"<status>{_words(number, 6)}</status><priority>5</priority>{_caps(number)}</presence>"
        )


def nick(number: int) -> str:
    """The nick of an occupant."""
    return f"occupant {number}"


def occupant(number: int, status: str = "") -> str:
    """The presence of an occupant: some 520 octets."""
    digest = hashlib.sha1(str(number).encode()).hexdigest()
    return (
        f"<presence from='{ROOM}/{nick(number)}' to='{ME}/bench' id='{digest[:12]}'><show>away</show>"
        f"<status>{status or _words(number, 5)}</status>{_caps(number)}"
        f"<x xmlns='vcard-temp:x:update'><photo>{digest}</photo></x>"
        f"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{digest[:24]}'/>"
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>"
    )


def departure(number: int) -> str:
    """An occupant leaves."""
    return (
        f"<presence from='{ROOM}/{nick(number)}' to='{ME}/bench' type='unavailable'>"
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>"
    )


def own_presence(address: str) -> str:
    """Our own presence, the last one of a join, and the subject behind it."""
    return (
        f"<presence from='{address}' to='{ME}/bench'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='we'/>"
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/>"
        "<status code='110'/></x></presence>"
        f"<message from='{ROOM}' to='{ME}/bench' type='groupchat'><subject/></message>"
    )


#: The features of a room.
ROOM_INFO = (
    "<identity category='conference' type='text' name='Crowd'/>"
    "<feature var='http://jabber.org/protocol/muc'/><feature var='urn:xmpp:occupant-id:0'/>"
)


# --- the archive


def page(first: int, last: int, queryid: str, resource: str) -> str:
    """The archived messages with these numbers: some 570 octets each."""
    begin = (
        f"<message to='{ME}/{resource}' from='{ME}'><result xmlns='urn:xmpp:mam:2' queryid='{queryid}' id='{{0:024}}'>"
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-{1:02}T{2:02}:00:00Z'/>"
        f"<message xmlns='jabber:client' from='{{3}}/balcony' to='{ME}' type='chat' id='m{{0:024}}'><body>{{4}}</body>"
        "<origin-id xmlns='urn:xmpp:sid:0' id='m{0:024}'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
        "</message></forwarded></result></message>"
    )
    return "".join(
        begin.format(number, 1 + number // 4000 % 28, number // 200 % 24, contact(number % 40), _words(number, 12))
        for number in range(first, last)
    )


# --- a component


def user(number: int) -> str:
    """The address of a user of the component."""
    return f"user{number}@{COMPONENT}"


def room_of(number: int) -> str:
    """The room that a user of the component is in."""
    return f"room{number % ROOMS}@rooms.{DOMAIN}"


def fan_out(index: int) -> str:
    """One message of a room, as each user of the component who is in it gets it."""
    place = index % ROOMS
    return "".join(
        f"<message from='room{place}@rooms.{DOMAIN}/nick{index % 60}' to='{user(number)}/gateway' type='groupchat' "
        f"id='g{index}'><body>{_words(index, 16)}</body>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='room{place}@rooms.{DOMAIN}' id='s{index}'/></message>"
        for number in range(place, USERS, ROOMS)
    )


def _words(number: int, count: int) -> str:
    start = number * 7 % (len(WORDS) - count)
    return " ".join(WORDS[start : start + count])
