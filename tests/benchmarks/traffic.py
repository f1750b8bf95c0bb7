"""The traffic to the clients: laps of a thousand stanzas, written once, and sent over and over by the server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

LAP = 1000
#: Of a lap in which each sender is new: more than any client remembers.
NEW_SENDERS = 10_000
#: The stanzas after which the server of a managed stream asks for an acknowledgement.
ACK_EVERY = 5

ME = "bench@bench.example/bench"
ROOM = "orchard@rooms.bench.example"
TEXT = (
    "art thou not fair maid if either thee dislike how camest hither tell me and wherefore the walls are high hard to "
    "climb place death considering who any of my kinsmen find here with love's light wings did over perch these"
)
WORDS = TEXT.split()


def plain() -> Iterator[str]:
    """Chat, and nothing else."""
    for index, rng in _numbered():
        start = f"<message from='{_someone(rng)}' to='{ME}' type='chat' id='p{index}'>"
        yield f"{start}<body>{_text(rng, 8)}</body></message>"


def new_senders() -> Iterator[str]:
    """Chat, each message from an account and a resource that has not been heard of for a whole lap."""
    for index, rng in _numbered(NEW_SENDERS):
        sender = f"tybalt{index * 7919:x}@bench{index % 97}.example/{_id(rng)}"
        yield f"<message from='{sender}' to='{ME}' type='chat' id='n{index}'><body>{_text(rng, 8)}</body></message>"


def mix() -> Iterator[str]:
    """The traffic of a client: of ten stanzas, five chats, two groupchats, two presences, one message of an archive."""
    for index, rng in _numbered():
        place = index % 10
        if place in (2, 7):
            yield _groupchat(rng, index)
        elif place in (4, 9):
            yield _presence(rng, index)
        elif place == 5:
            yield _archived(rng, index)
        else:
            yield _chat(rng, index)


def write(folder: Path) -> dict[str, Path]:
    """Write the laps: ``plain``, ``new``, ``mix``, and ``mix-sm`` with the requests of a managed stream in between."""
    stanzas = list(mix())
    request = "<r xmlns='urn:xmpp:sm:3'/>"
    managed = [stanza + (request if index % ACK_EVERY == ACK_EVERY - 1 else "") for index, stanza in enumerate(stanzas)]
    laps = {"plain": list(plain()), "new": list(new_senders()), "mix": stanzas, "mix-sm": managed}
    paths = {}
    for name, lap in laps.items():
        paths[name] = folder / f"{name}.xml"
        paths[name].write_text("".join(lap), encoding="utf-8")
    return paths


def size(lap: str) -> int:
    """How many stanzas a lap has."""
    return NEW_SENDERS if lap == "new" else LAP


def _numbered(number: int = LAP) -> Iterator[tuple[int, random.Random]]:
    rng = random.Random(1597)
    return ((index, rng) for index in range(number))


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _someone(rng: random.Random) -> str:
    number = rng.randrange(40)
    return f"capulet{number}@bench.example/balcony.{number * 7919:x}"


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(64):016x}-{rng.getrandbits(32):08x}"


def _stamp(index: int) -> str:
    return f"2026-06-{1 + index % 28:02}T{index % 24:02}:{index % 60:02}:{index * 7 % 60:02}Z"


def _chat(rng: random.Random, index: int) -> str:
    stanza_id = _id(rng)
    return (
        f"<message from='{_someone(rng)}' to='{ME}' type='chat' id='{stanza_id}' xml:lang='en'>"
        f"<body>{_text(rng, 19)}</body>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/>"
        f"<delay xmlns='urn:xmpp:delay' from='bench.example' stamp='{_stamp(index)}'/>"
        f"<origin-id xmlns='urn:xmpp:sid:0' id='{stanza_id}'/>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='bench@bench.example' id='{_id(rng)}'/></message>"
    )


def _groupchat(rng: random.Random, index: int) -> str:
    return (
        f"<message from='{ROOM}/nick{rng.randrange(60)}' to='{ME}' type='groupchat' id='{_id(rng)}'>"
        f"<body>{_text(rng, 22)}</body><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{_id(rng)}'/>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='{_id(rng)}'/>"
        "<markable xmlns='urn:xmpp:chat-markers:0'/></message>"
    )


def _presence(rng: random.Random, index: int) -> str:
    return (
        f"<presence from='{_someone(rng)}' to='{ME}'><show>away</show><status>{_text(rng, 5)}</status>"
        "<priority>5</priority>"
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example/' "
        f"ver='{_id(rng)}='/><x xmlns='vcard-temp:x:update'><photo>{rng.getrandbits(160):040x}</photo></x></presence>"
    )


def _archived(rng: random.Random, index: int) -> str:
    return (
        f"<message from='bench@bench.example' to='{ME}' id='{_id(rng)}'>"
        f"<result xmlns='urn:xmpp:mam:2' queryid='{_id(rng)}' id='{_id(rng)}'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<delay xmlns='urn:xmpp:delay' stamp='{_stamp(index)}'/>"
        f"<message xmlns='jabber:client' from='{_someone(rng)}' to='bench@bench.example' type='chat' id='{_id(rng)}'>"
        f"<body>{_text(rng, 16)}</body><origin-id xmlns='urn:xmpp:sid:0' id='{_id(rng)}'/>"
        "<request xmlns='urn:xmpp:receipts'/></message></forwarded></result></message>"
    )
