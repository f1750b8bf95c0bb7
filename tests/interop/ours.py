"""Our side of a meeting with the client of another library: a client of ours, and the events that it heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trioxmpp import Client
from trioxmpp.im.conversation import Conversation
from trioxmpp.xep.muc import Room


@dataclass
class Hearing:
    """A client of ours with events of one subject, in the order in which they came."""

    client: Client
    events: Any

    async def event(self, kind: Any, fits: Any = lambda event: True) -> Any:
        """Wait for an event of that kind, past all others."""
        async for event in self.events:
            if isinstance(event, kind) and fits(event):
                return event
        raise AssertionError(f"the events ended without a {kind.__name__}")


@dataclass
class InConversation(Hearing):
    """Our client in a conversation."""

    talk: Conversation

    @property
    def texts(self) -> list[str | None]:
        return [line.text for line in self.talk.lines]


@dataclass
class InRoom(Hearing):
    """Our client in a room."""

    room: Room

    @property
    def occupants(self) -> dict[str, dict[str, str]]:
        """The occupants as slixmpp tells of them, by nick."""
        return {
            occupant.nick: {
                "affiliation": str(occupant.affiliation),
                "role": str(occupant.role),
                "jid": str(occupant.jid or ""),
                "show": str(occupant.state.show or ""),
                "status": occupant.state.status or "",
            }
            for occupant in self.room.occupants
        }
