"""Print what happens in a room, and what was missed while we were not there.

XMPP_PASSWORD=secret python room_logger.py romeo@example.org hall@conference.example.org Scribe
"""

import trioxmpp
from trioxmpp.xep.muc import (
    NickChanged,
    OccupantJoined,
    OccupantLeft,
    RoomBack,
    RoomLost,
    RoomMessage,
    SubjectChanged,
    open_room,
)


def line(entry):
    return f"{entry.sent:%F %T} {entry.nick}: {entry.text}"


def lines(event):
    match event:
        case RoomMessage(entry=entry):
            yield line(entry)
        case SubjectChanged(subject=subject, nick=nick):
            yield f"*** the subject is now {subject!r}, by {nick}"
        case OccupantJoined(who=occupant):
            yield f"*** {occupant.nick} entered"
        case OccupantLeft(who=occupant, cause=cause):
            yield f"*** {occupant.nick} left: {cause.value}"
        case NickChanged(before=before, after=after):
            yield f"*** {before} is now {after}"
        case RoomLost(cause=cause):
            yield f"*** we are out: {cause.value}"
        case RoomBack(missed=missed):
            yield from map(line, missed)
            yield "*** we are back"


async def main(jid, password, address, nick, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_room(client, address, nick, history=20) as room,
        room.events() as events,
    ):
        print(*map(line, room.history), f"*** in {address}, with {len(room.occupants)} occupants", sep="\n")
        async for event in events:
            for text in lines(event):
                print(text)


if __name__ == "__main__":
    trioxmpp.run(main)
