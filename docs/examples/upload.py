"""Upload a file, and send its address to another account.

XMPP_PASSWORD=secret python upload.py romeo@example.org juliet@example.org sun.jpg
"""

import sys
from pathlib import Path

import trioxmpp
from trioxmpp import XMPPError
from trioxmpp.xep.upload import UploadFailed, file_message, upload


async def main(jid, password, to, name, *, web=None, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        try:
            url = await upload(client, Path(name), **(web or {}))
        except (XMPPError, UploadFailed) as error:
            sys.exit(f"not uploaded: {error}")
        await client.send(file_message(url, to=to))
        print(url)


if __name__ == "__main__":
    trioxmpp.run(main)
