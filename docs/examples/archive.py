"""Print the archived messages that were exchanged with an address, page by page.

XMPP_PASSWORD=secret python archive.py romeo@example.org juliet@example.org 2026-01-31
"""

from datetime import UTC, datetime

import trioxmpp
from trioxmpp.xep.mam import open_pages


async def main(jid, password, peer, start="1999-01-01", **options):
    since = datetime.fromisoformat(start).replace(tzinfo=UTC)
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_pages(client, with_=peer, start=since, size=10) as pages,
    ):
        number = 0
        async for page in pages:
            print("page", number := number + 1)
            for result in page.results:
                if message := result.message:
                    print(f"[{result.sent}] {message.from_}: {message.body}")


if __name__ == "__main__":
    trioxmpp.run(main)
