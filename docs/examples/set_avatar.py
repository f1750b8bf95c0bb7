"""Show an image as our avatar.

XMPP_PASSWORD=secret python set_avatar.py romeo@example.org face.png
"""

import trio

import trioxmpp
from trioxmpp.im.avatars import set_avatar


async def main(jid, password, path, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        avatar = await set_avatar(client, await trio.Path(path).read_bytes())
        print(avatar.type, avatar.hash)


if __name__ == "__main__":
    trioxmpp.run(main)
