"""Entering a room of many occupants: ``room.py serve N`` is the server, ``room.py join PORT`` one measurement.

A measurement prints, as JSON, the microseconds of CPU time and the bytes of memory for each occupant, and for how many
milliseconds the loop was held at most: how late a task was that wanted its turn each millisecond.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc

import trio

import trioxmpp
from trioxmpp.testing import open_server
from trioxmpp.xep.muc import open_room

ROOM = "crowd@conference.example.test"


async def serve(occupants: int) -> None:
    """Serve a room with this many occupants until killed."""
    from trioxmpp.testing.server.rooms import Occupant
    from trioxmpp.testing.server.stanzas import build

    async with open_server(accounts={"romeo": "secret"}, rooms=True) as server:
        room = server.rooms.create(ROOM, "owner@example.test")
        room.locked = False
        for number in range(occupants):
            account = f"account{number}@elsewhere.test"
            occupant = Occupant(f"occupant {number}", account, "participant", room.occupant_id(account))
            presence = build("jabber:client", "presence")
            presence.append(build("http://jabber.org/protocol/caps", "c", hash="sha-1", node="https://a.test", ver="x"))
            occupant.clients[f"{account}/phone"] = presence
            room.occupants[occupant.nick] = occupant
        port = await server.listen()
        print(port, flush=True)
        await trio.sleep_forever()


async def join(port: int) -> dict[str, float]:
    """Enter the room twice: once for the time, once for the memory."""
    import ssl

    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            due = time.perf_counter() + 0.001
            await trio.sleep(0.001)
            worst = max(worst, time.perf_counter() - due)

    async with trioxmpp.connect(
        "romeo@example.test/bench", "secret", endpoint=f"xmpp://127.0.0.1:{port}", tls=tls
    ) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            await trio.sleep(0.1)
            worst, began = 0.0, time.process_time()
            async with open_room(client, ROOM, "romeo") as room:
                count = len(room.occupants)
                cpu = (time.process_time() - began) * 1e6 / count
                held = worst * 1e3
            nursery.cancel_scope.cancel()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        async with open_room(client, ROOM, "romeo"):
            memory = (tracemalloc.get_traced_memory()[0] - before) / count
        tracemalloc.stop()
    return {"occupants": count, "cpu": cpu, "memory": memory, "held": held}


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        trio.run(serve, int(sys.argv[2]))
    else:
        print(json.dumps(trio.run(join, int(sys.argv[2]))))
