"""Print the presence of our contacts, and how it changes.

XMPP_PASSWORD=secret python presence_list.py romeo@example.org
"""

import trioxmpp
from trioxmpp.im.presence import Available, Gone, appear, open_presence
from trioxmpp.im.roster import open_roster


async def main(jid, password, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_roster(client) as roster,
        open_presence(client, roster) as presences,
        presences.changes() as changes,
        appear(client),
    ):
        async for change in changes:
            match change:
                case Available(presence=presence):
                    print(presence.jid, presence.show or "available", presence.status or "")
                case Gone(presence=presence, status=status):
                    print(presence.jid, "is gone", status or "")


if __name__ == "__main__":
    trioxmpp.run(main)
