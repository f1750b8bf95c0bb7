"""Rooms, end to end."""

from __future__ import annotations

import trio

from tests.bench import Bench, on_every_bench
from trioxmpp.xep.muc import *


@on_every_bench(accounts=2)
async def test_two_clients_talk(bench: Bench) -> None:
    romeo, juliet = bench.clients
    room = bench.room()
    async with open_room(romeo, room, "romeo", create=True) as one, one.events() as heard:
        async with open_room(juliet, room, "juliet", history=None) as two:
            entry = await two.say("hello")
            print(entry)
            assert {o.nick for o in two.occupants} == {"romeo", "juliet"}
            e = await anext(heard)
            print(e)
            e = await anext(heard)
            print(e)
            await one.set_subject("Verona")
            e = await anext(heard)
            print(e)
        e = await anext(heard)
        print(e)
