"""The presences of a room: what each client is shown of an occupant (XEP-0045 §7.2, §7.6, §9).

All occupants see the affiliation and the role of an occupant. Its real JID is for moderators, or for all in a room that
is not anonymous. Status 110 tells a client that the presence is its own.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from ... import xml
from ...protocol import ns
from .post import Post
from .room import MUC, USER, Occupant, Room
from .stanzas import build, new_stanza

__all__ = ["OCCUPANT_ID", "Actor", "Announcer"]

OCCUPANT_ID = "urn:xmpp:occupant-id:0"
HATS = "urn:xmpp:hats:0"
CAPS = "http://jabber.org/protocol/caps"
_DROPPED = {f"{{{MUC}}}x", f"{{{USER}}}x", "{vcard-temp:x:update}x"}


@dataclass(frozen=True, slots=True)
class Actor:
    """The occupant that did something to another, and the reason that it gave."""

    occupant: Occupant | None
    reason: str | None


class Announcer:
    """Writes the presences of rooms."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._dialect = post.dialect

    def show(self, room: Room, occupant: Occupant, client: str, *statuses: str, actor: Actor | None = None) -> None:
        """Send the presence of `occupant` to `client`."""
        presence = copy.deepcopy(occupant.clients[occupant.newest])
        for child in [child for child in presence if child.tag in self._dropped()]:
            presence.remove(child)
        presence.set("from", f"{room.jid}/{occupant.nick}")
        presence.set("to", client)
        if self._dialect.occupant_ids:
            presence.append(build(OCCUPANT_ID, "occupant-id", id=occupant.id))
        own = self._is_own(occupant, client)
        shown = actor if self._dialect.actor_of_changes else None
        items = [
            self._item(room, occupant, each, client, shown) for each in self._shown_clients(room, occupant, client)
        ]
        presence.append(_user(*items, statuses=(*statuses, *(("110",) if own else ()))))
        self._post.hand_over(presence)

    def show_all(self, room: Room, occupant: Occupant, *, but: str | None = None, actor: Actor | None = None) -> None:
        """Send the presence of `occupant` to all clients in the room, apart from `but`."""
        for client, _ in room.clients():
            if client != but:
                self.show(room, occupant, client, actor=actor)

    def gone(
        self,
        room: Room,
        occupant: Occupant,
        client: str,
        *statuses: str,
        nick: str | None = None,
        actor: Actor | None = None,
        destroyed: xml.Element | None = None,
        forced: bool = False,
    ) -> None:
        """Tell `client` that `occupant` is unavailable. The occupant is still in the room.

        `nick` is its next one. `forced` means that it does not leave of its own will.
        """
        own = client in occupant.clients
        if own and nick is None:
            self.room_gone(room, client)
        presence = new_stanza("presence", type="unavailable", from_=f"{room.jid}/{occupant.nick}", to=client)
        signed = not forced or self._dialect.farewell_signed
        if self._dialect.occupant_ids and signed and not (own and nick is not None):
            presence.append(build(OCCUPANT_ID, "occupant-id", id=occupant.id))
        role = occupant.role if nick is not None else "none"
        visible = own or room.sees_jids(client)
        affiliation: str = room.affiliation(occupant.account)
        if destroyed is not None:
            visible, affiliation = (
                own and self._dialect.destroyed_self,
                (affiliation if self._dialect.destroyed_self else "none"),
            )
        item = build(
            USER, "item", *(() if actor is None else self._actor(room, actor, client)),
            affiliation=affiliation, role=role, nick=nick, jid=occupant.newest if visible else None,
        )  # fmt: skip
        codes = [*statuses]
        if own and (destroyed is None or self._dialect.destroyed_self):
            codes.append("110")
        presence.append(_user(*(() if destroyed is None else (copy.deepcopy(destroyed),)), item, statuses=codes))
        self._post.hand_over(presence)

    def room_present(self, room: Room, client: str) -> None:
        """Send the presence of the room itself, with the hash of its features, where rooms have one."""
        if self._dialect.room_presence:
            ver = "".join(value for value in room.config.values())
            caps = build(CAPS, "c", hash="sha-1", node="http://www.process-one.net/en/ejabberd/", ver=f"{hash(ver):x}")
            presence = new_stanza("presence", from_=room.jid, to=client, id=secrets.token_hex(6))
            presence.append(caps)
            self._post.hand_over(presence)

    def room_gone(self, room: Room, client: str) -> None:
        """Tell a client that leaves that the room itself is unavailable, where rooms have presence."""
        if self._dialect.room_presence:
            self._post.hand_over(new_stanza("presence", type="unavailable", from_=room.jid, to=client))

    def leave_one_of_many(self, room: Room, occupant: Occupant, client: str) -> None:
        """Tell of a client that leaves while others of its occupant stay; the client is still in the room."""
        if not self._dialect.second_client_self:
            self.room_gone(room, client)
            gone = new_stanza("presence", type="unavailable", from_=f"{room.jid}/{occupant.nick}", to=client)
            if self._dialect.occupant_ids:
                gone.append(build(OCCUPANT_ID, "occupant-id", id=occupant.id))
            affiliation = room.affiliation(occupant.account)
            gone.append(_user(build(USER, "item", affiliation=affiliation, role="none", jid=client), statuses=["110"]))
            self._post.hand_over(gone)
            return
        gone = new_stanza("presence", type="unavailable", from_=f"{room.jid}/{occupant.nick}", to=client)
        items = [self._item(room, occupant, each, client, None) for each in occupant.clients]
        gone.append(_user(*items, statuses=["110"]))
        self._post.hand_over(gone)
        self.show_all(room, occupant, but=client)

    def _dropped(self) -> set[str]:
        forged = {f"{{{OCCUPANT_ID}}}occupant-id"} if self._dialect.occupant_ids else set()
        return _DROPPED | forged | ({f"{{{HATS}}}hats"} if self._dialect.strips_hats else set())

    def _is_own(self, occupant: Occupant, client: str) -> bool:
        return client in occupant.clients and (self._dialect.second_client_self or client == occupant.newest)

    def _shown_clients(self, room: Room, occupant: Occupant, client: str) -> Iterable[str]:
        """Return the clients of an occupant that have an ``<item/>`` of their own."""
        visible = client in occupant.clients or room.sees_jids(client)
        return [*occupant.clients] if self._dialect.second_client_self and visible else [occupant.newest]

    def _item(self, room: Room, occupant: Occupant, client: str, viewer: str, actor: Actor | None) -> xml.Element:
        visible = self._is_own(occupant, viewer) or room.sees_jids(viewer)
        return build(
            USER, "item", *(() if actor is None else self._actor(room, actor, viewer)),
            affiliation=room.affiliation(occupant.account), role=occupant.role, jid=client if visible else None,
        )  # fmt: skip

    def _actor(self, room: Room, actor: Actor, client: str) -> list[xml.Element]:
        found = []
        if actor.occupant is not None:
            jid = actor.occupant.newest if self._dialect.actor_jid and room.sees_jids(client) else None
            found.append(build(USER, "actor", nick=actor.occupant.nick, jid=jid))
        if actor.reason is not None:
            found.append(build(USER, "reason", text=actor.reason))
        return found


def _user(*children: xml.Element, statuses: Iterable[str] = ()) -> xml.Element:
    return build(USER, "x", *children, *(build(USER, "status", code=code) for code in statuses))


def forwarded_message(stanza: xml.Element, from_: str, to: str, *, without: set[str]) -> xml.Element:
    """Return a message of an occupant as the room passes it on, without the children whose tags are in `without`."""
    message = copy.deepcopy(stanza)
    message.set("from", from_)
    message.set("to", to)
    for child in [child for child in message if child.tag in without]:
        message.remove(child)
    message.attrib.pop(f"{{{ns.XML}}}base", None)
    return message
