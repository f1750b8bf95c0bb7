"""Print the contacts by group, with the clients of each that are online.

XMPP_PASSWORD=secret python roster_browser.py romeo@example.org
"""

import trio

import trioxmpp
from trioxmpp.im.presence import appear, open_presence
from trioxmpp.im.roster import open_roster


async def main(jid, password, patience="5", **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_roster(client) as roster,
        open_presence(client, roster) as presences,
        appear(client),
    ):
        await trio.sleep(float(patience))  # presence comes in no bounded time
        groups = {**roster.groups(), "(no group)": [contact for contact in roster if not contact.groups]}
        for group, contacts in sorted(groups.items()):
            print(group)
            for contact in sorted(contacts, key=lambda contact: contact.jid):
                print(f"  {contact.name or '-'} <{contact.jid}> [{contact.subscription}]")
                for presence in presences.of(contact.jid):
                    print(f"    {presence.jid.resource} ({presence.show or 'available'}) {presence.status or ''}")


if __name__ == "__main__":
    trioxmpp.run(main)
