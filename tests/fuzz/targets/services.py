"""Input of services from strangers: capabilities (XEP-0115, XEP-0390), nodes (XEP-0060), rooms (XEP-0045), claims."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import trio
from trio.testing import MockClock

from trioxmpp import JID, Message, Presence, xml
from trioxmpp.errors import ElementError, ErroneousStanza
from trioxmpp.im.bookmarks.bookmark import Bookmark
from trioxmpp.im.conversation.fallbacks import text_of
from trioxmpp.im.provenance import RULES, Account, Context, believed
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements import bookmark_storage, bookmarks
from trioxmpp.protocol.elements.avatar import Metadata
from trioxmpp.protocol.elements.caps import Caps, Caps2
from trioxmpp.protocol.elements.disco import Info
from trioxmpp.protocol.elements.forms import DataForm
from trioxmpp.protocol.elements.nick import Nick
from trioxmpp.protocol.elements.pubsub import PubSub
from trioxmpp.protocol.elements.pubsub_event import Event
from trioxmpp.protocol.elements.vcard4 import VCard4
from trioxmpp.protocol.framing import Framing, header
from trioxmpp.protocol.stanza import parse_stanza
from trioxmpp.xep.caps.hashing import ALGORITHMS, NotHashable, hash_115, hash_390, hashed_115, hashed_390
from trioxmpp.xep.caps.verified import Announced, announced_by, dump, load
from trioxmpp.xep.forms import FormError
from trioxmpp.xep.muc.hearing import HISTORY, Hearing
from trioxmpp.xep.muc.join import Joining
from trioxmpp.xep.muc.occupancy import Occupancy
from trioxmpp.xep.pubsub.events import changes_in, node_of
from trioxmpp.xep.pubsub.node import Node, NodeConfig, read_payload

__all__ = ["capabilities", "claims", "nodes", "room"]

HEADER = header(to="example.org", from_="romeo@example.org", id="x1")
ROOM = JID.parse("room@conference.example.org")
ROMEO = JID.parse("romeo@example.org")

#: Occupants that the room of the fuzzer remembers.
CROWD = 5


def _elements(data: bytes) -> Iterator[xml.Element]:
    """Yield the elements of a stream that begins with our header."""
    events, _ = Framing().feed(HEADER + data)
    yield from [event for event in events[1:] if isinstance(event, xml.Element)]


def _stanzas(data: bytes) -> Iterator[Message | Presence]:
    """Yield the messages and presences of a stream that begins with our header."""
    for element in _elements(data):
        with contextlib.suppress(ErroneousStanza):
            stanza = parse_stanza(element)
            if isinstance(stanza, Message | Presence):
                yield stanza


def capabilities(data: bytes) -> None:
    """Hash each answer to disco#info, and read each announcement.

    The proven part of an answer has the hash of the whole, also after it was kept in a note.
    """
    for element in _elements(data):
        for part in element.iter():
            for cls in (Info, Caps, Caps2):
                if part.tag == xml.tag_of(cls):
                    with contextlib.suppress(ElementError):
                        _take_capabilities(xml.parse(cls, part))


def _take_capabilities(value: Info | Caps | Caps2) -> None:
    if isinstance(value, Info):
        for algo in ALGORITHMS:
            _hash(value, algo)
        return
    announced = announced_by(value, None) if isinstance(value, Caps) else announced_by(None, value)
    if announced is not None:
        again = Announced.of_key(announced.key)
        assert again is not None
        assert again.key == announced.key


def _hash(info: Info, algo: str) -> None:
    for hash_of, proven_by, protocol in ((hash_115, hashed_115, "115"), (hash_390, hashed_390, "390")):
        try:
            value = hash_of(info, algo)
            proven = proven_by(info)
        except NotHashable:
            continue
        announced = Announced(protocol, algo, value, "node")
        kept = load(json.loads(json.dumps(dump(proven))))
        assert kept is not None, "the proven part cannot be kept"
        assert announced.verify(kept) is not None, "the proven part has another hash than the answer"


def _nodes() -> Iterable[Node[Any]]:
    for cls in (Nick, Metadata, VCard4, bookmarks.Conference, bookmark_storage.Storage, DataForm, xml.Element):
        yield Node("urn:fuzz", cls)


def nodes(data: bytes) -> None:
    """Read answers and events of nodes (XEP-0060): each item as each payload that the library knows a node for."""
    for element in _elements(data):
        for part in element.iter():
            if part.tag == xml.tag_of(PubSub):
                with contextlib.suppress(ElementError):
                    _take_answer(xml.parse(PubSub, part))
            elif part.tag == xml.tag_of(Event):
                with contextlib.suppress(ElementError):
                    _take_event(xml.parse(Event, part))
            elif part.tag == xml.tag_of(DataForm):
                with contextlib.suppress(ElementError, FormError):
                    repr(NodeConfig.read(xml.parse(DataForm, part)))


def _take_answer(answer: PubSub) -> None:
    for item in () if answer.items is None else answer.items.items:
        for node in _nodes():
            _use(read_payload(node, item.payload))


def _take_event(event: Event) -> None:
    node_of(event)
    for node in _nodes():
        for change in changes_in(event, node, ROMEO):
            repr(change)
            _use(getattr(change, "payload", None))


def _use(payload: object) -> None:
    """Do with a payload what the service of its node does."""
    repr(payload)
    if isinstance(payload, bookmarks.Conference):
        xml.serialise(Bookmark.of_native(ROOM, payload).native())
    elif isinstance(payload, bookmark_storage.Storage):
        for conference in payload.conferences:
            repr(Bookmark.of_listed(conference))


def room(data: bytes) -> None:
    """Take presences and messages of a room that we join, again and again. Its tables stay bounded."""
    trio.run(_in_room, data, clock=MockClock(autojump_threshold=0))


async def _in_room(data: bytes) -> None:
    occupancy = Occupancy(ROOM, CROWD, returns=True)
    hearing = Hearing(occupancy)
    for stanza in _stanzas(data):
        _keep_in(occupancy, hearing)
        resource = None if stanza.from_ is None else stanza.from_.resource
        stanza.from_ = ROOM if resource is None else JID.parse_inbound(f"{ROOM}/{resource}")
        if isinstance(stanza, Presence):
            occupancy.on_presence(stanza)
        else:
            hearing.on_message(stanza)
        assert len(occupancy.occupants) <= CROWD
        assert len(hearing.history) <= HISTORY
        assert occupancy.me is None or occupancy.me.nick == occupancy.nick
    repr([*occupancy.occupants])


def _keep_in(occupancy: Occupancy, hearing: Hearing) -> None:
    """Join the room if we are not in it; a join that the room has answered, subject and all, is complete."""
    joining = occupancy.joining
    if joining is not None and joining.complete.is_set():
        if joining.refusal is None and occupancy.verdict is None:
            occupancy.complete()
        else:
            occupancy.give_up()
    if occupancy.joining is None and not occupancy.joined:
        hearing.begin()
        occupancy.begin(Joining("romeo", "join"))


def claims(data: bytes) -> None:
    """Judge each claim of each message, as one to us and as one in a room, and take its text out of its fallbacks."""
    features = frozenset({ns.SID, ns.MAM, "urn:xmpp:occupant-id:0", "urn:xmpp:hats:0"})
    us = Account(ROMEO)
    contexts = (
        Context(account=ROMEO, features=features, archive=ROMEO, queryid="q", sender=us, author=us),
        Context(account=ROMEO, room=ROOM, room_features=features, in_history=True, watches=lambda owner, node: True),
    )
    for message in _stanzas(data):
        if isinstance(message, Message):
            for context in contexts:
                for claim in RULES:
                    repr(believed(claim, message, context))
            text = text_of(message)
            assert text is None or len(text) <= len(message.body or "")
