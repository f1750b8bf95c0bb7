"""Send a file to a client through the servers, as an in-band bytestream.

XMPP_PASSWORD=secret python bytestream_sender.py romeo@example.org juliet@example.org/balcony sun.jpg
"""

import sys

import trio

import trioxmpp
from trioxmpp import StanzaError
from trioxmpp.xep.bytestreams import open_bytestreams


async def main(jid, password, to, path, **options):
    async with trioxmpp.connect(jid, password, **options) as client, open_bytestreams(client) as streams:
        try:
            async with await streams.connect(to) as stream, await trio.open_file(path, "rb") as file:
                while chunk := await file.read(16384):
                    await stream.send_all(chunk)
        except (StanzaError, trio.BrokenResourceError) as error:
            sys.exit(f"not sent: {error}")


if __name__ == "__main__":
    trioxmpp.run(main)
