"""Greet the occupants that enter a room, and answer the messages that mention us.

XMPP_PASSWORD=secret python room_bot.py bot@example.org hall@conference.example.org Nurse
"""

import trioxmpp
from trioxmpp import StanzaError
from trioxmpp.xep.muc import OccupantJoined, Rejoin, RoomMessage, open_room


async def main(jid, password, address, nick, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_room(client, address, nick, rejoin=Rejoin(after_kick=30)) as room,
        room.events() as events,
    ):
        async for event in events:
            try:
                match event:
                    case OccupantJoined(who=occupant):
                        await room.say(f"Hello, {occupant.role} {occupant.nick}")
                    case RoomMessage(entry=entry) if not entry.by_us and room.nick in (entry.text or ""):
                        await room.say(f"I heard that, {entry.nick}.", reply_to=entry)
            except StanzaError as error:
                print("not said:", error)


if __name__ == "__main__":
    trioxmpp.run(main)
