"""Save the avatars of our contacts, and of our own account, as they change.

XMPP_PASSWORD=secret python avatars.py romeo@example.org faces/
"""

import trio

import trioxmpp
from trioxmpp import StanzaError
from trioxmpp.im.avatars import open_avatars
from trioxmpp.im.presence import appear
from trioxmpp.xep.caps import open_caps


async def main(jid, password, folder, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_caps(client, node="https://example.org/avatars"),
        open_avatars(client) as gallery,
        gallery.changes() as changes,
        appear(client),
    ):
        async for change in changes:
            try:
                avatar = await gallery.fetch(change.owner)
            except StanzaError as error:
                print(f"{change.owner}: {error}")
                continue
            if avatar is None:
                print(f"{change.owner} shows none")
            else:
                path = trio.Path(folder, f"{change.owner}.{avatar.type.removeprefix('image/')}")
                await path.write_bytes(avatar.data)
                print(f"{change.owner}: {path.name}, {len(avatar.data)} octets")


if __name__ == "__main__":
    trioxmpp.run(main)
