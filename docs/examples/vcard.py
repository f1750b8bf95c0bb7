"""Print the vCard of an account, or change fields of our own.

XMPP_PASSWORD=secret python vcard.py romeo@example.org juliet@example.org
XMPP_PASSWORD=secret python vcard.py romeo@example.org full_name="Romeo Montague"
"""

import sys

import trioxmpp
from trioxmpp import XMPPError
from trioxmpp.xep.vcard import change_vcard, fetch_vcard


async def main(jid, password, *words, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        changes = dict(word.split("=", 1) for word in words if "=" in word)
        try:
            card = await change_vcard(client, **changes) if changes else await fetch_vcard(client, *words)
        except XMPPError as error:
            sys.exit(f"no card: {error}")
        print(card)


if __name__ == "__main__":
    trioxmpp.run(main)
