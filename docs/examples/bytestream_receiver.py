"""Write what others send as in-band bytestreams into files.

XMPP_PASSWORD=secret python bytestream_receiver.py juliet@example.org/balcony romeo@example.org letters/
"""

from pathlib import Path

import trio

import trioxmpp
from trioxmpp.xep.bytestreams import open_bytestreams


async def save(stream, path):
    try:
        async with stream, await trio.open_file(path, "wb") as file:
            async for chunk in stream:
                await file.write(chunk)
    except trio.BrokenResourceError as error:
        print(f"{path.name} is not complete: {error}")
    else:
        print(f"{path.name} came from {stream.peer}")


async def main(jid, password, sender, folder, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_bytestreams(client, allow=lambda jid: str(jid.bare) == sender) as streams,
        trio.open_nursery() as nursery,
    ):
        print("I am", client.jid)
        number = 0
        async for stream in streams:
            nursery.start_soon(save, stream, Path(folder, f"{sender}-{(number := number + 1)}"))


if __name__ == "__main__":
    trioxmpp.run(main)
