"""slixmpp with the plugins that do the same as the upper floors of trioxmpp; see floors_task.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import slixmpp
from floors_task import CLIENTS, COMPONENTS, HOST, NUMBER, PASSWORD, REST, SCENARIO, TICK, Usage, crowds, report
from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath


class Client(slixmpp.ClientXMPP):
    def __init__(self, resource: str, *plugins: str) -> None:
        super().__init__(f"{crowds.ME}/{resource}", PASSWORD)
        for plugin in plugins:
            self.register_plugin(plugin)
        self.enable_direct_tls = self.enable_starttls = False
        self.enable_plaintext = True
        self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.add_event_handler("session_start", lambda _: self.ready.set_result(None))
        self.add_event_handler("message", self._heard)
        self.ready = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.sender: str | None = None

    def _heard(self, message: Any) -> None:
        if message["id"] == "end":
            self.ended.set_result(message["body"])

    async def ask(self, what: str) -> str:
        self.ended = asyncio.get_running_loop().create_future()
        self.send_message(mto=crowds.CONTROL, mbody=what, mtype="chat")
        return (await self.ended).removeprefix("end ")


async def connected(resource: str, *plugins: str) -> Client:
    client = Client(resource, *plugins)
    client.connect(HOST, CLIENTS)
    await client.ready
    return client


@asynccontextmanager
async def probed() -> AsyncIterator[Usage]:
    usage = Usage()

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK)
            usage.ticked()

    task = asyncio.ensure_future(tick())
    yield usage
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def roster() -> None:
    client = await connected("roster")
    async with probed() as usage:
        await client.get_roster()
        first = usage.per(1)
    assert len(client.client_roster) >= crowds.CONTACTS
    async with probed() as usage:
        await client.get_roster()
        later = usage.per(1)
    iq = client.make_iq_get()
    iq.enable("roster")
    # A reader of the items that keeps nothing.
    client.remove_handler("Roster Update")
    usage = Usage()
    answer = await iq.send()
    items = answer["roster"]["items"]
    parse = usage.per(1)
    assert len(items) == crowds.CONTACTS
    report(roster_first=first, roster_later=later, roster_parse=parse)


async def disco() -> None:
    client = await connected("disco", "xep_0030", "xep_0115")
    info = await client.plugin["xep_0030"].get_info(crowds.SERVICE)
    usage = Usage()
    for _ in range(20):
        info = await client.plugin["xep_0030"].get_info(crowds.SERVICE)
        assert len(info["disco_info"]["features"]) == crowds.FEATURES
    measured = usage.per(20)
    usage = Usage()
    for _ in range(20):
        client.plugin["xep_0115"].generate_verstring(info["disco_info"], "sha-1")
    report(disco=measured, disco_hash=usage.per(20))


async def caps() -> None:
    client = await connected("caps", "xep_0030", "xep_0115")
    await client.get_roster()
    async with probed() as usage:
        await client.ask("presences")
        await asyncio.sleep(REST)
        measured = usage.per(crowds.PRESENT)
    report(caps=measured | {"questions": int(await client.ask("questions"))})


async def room() -> None:
    client = await connected("bench", "xep_0030", "xep_0115", "xep_0045", "xep_0421", "xep_0153")
    client.send_presence()
    await client.ask("nothing")
    muc = client.plugin["xep_0045"]
    async with probed() as usage:
        result = await muc.join_muc_wait(slixmpp.JID(crowds.ROOM), "romeo")
        await asyncio.sleep(REST)
        join = usage.per(crowds.OCCUPANTS)
    del result
    join |= usage.memory(crowds.OCCUPANTS)
    assert len(muc.get_roster(crowds.ROOM)) == crowds.OCCUPANTS + 1
    measured = {"room_join": join}
    for name, what, number in (("room_changes", "changes", 1), ("room_churn", "churn", 2)):
        async with probed() as usage:
            await client.ask(what)
            await asyncio.sleep(REST)
            measured[name] = usage.per(number * crowds.OCCUPANTS)
    assert len(muc.get_roster(crowds.ROOM)) == crowds.OCCUPANTS + 1
    report(**measured)


async def archive() -> None:
    """Each message once, with what a timeline has: its sender, text, time and ids. Copies come as well (XEP-0280)."""
    client = await connected(f"archive-{NUMBER}", "xep_0313", "xep_0280", "xep_0359")
    await client.plugin["xep_0280"].enable()
    count = 0
    seen: set[str] = set()
    async with probed() as usage:
        async for message in client.plugin["xep_0313"].iterate(rsm={"max": crowds.PAGE}):
            result = message["mam_result"]
            forwarded = result["forwarded"]
            stanza = forwarded["stanza"]
            mark = f"{stanza['from']} {stanza['id']} {stanza['origin_id']['id']}"
            if result["id"] in seen or mark in seen:
                continue
            seen |= {result["id"], mark}
            client.seen = (stanza["from"], stanza["to"], stanza["type"], stanza["body"], forwarded["delay"]["stamp"])
            count += 1
        measured = usage.per(NUMBER) | usage.memory(NUMBER)
    assert count == NUMBER, count
    report(archive=measured)


class Gateway(ComponentXMPP):
    def __init__(self) -> None:
        super().__init__(crowds.COMPONENT, PASSWORD, HOST, COMPONENTS)
        self.seen = dict.fromkeys((crowds.user(number) for number in range(crowds.USERS)), 0)
        self.add_event_handler("session_start", lambda _: self.ready.set_result(None))
        self.remove_handler("IM")  # it knows no rooms
        self.register_handler(Callback("messages", MatchXPath("{jabber:component:accept}message"), self._heard))
        self.ready = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()

    def _heard(self, message: Any) -> None:
        if message["id"] == "end":
            self.ended.set_result(message["body"])
        else:
            self.last = (message["from"], message["id"], message["body"])
            self.seen[message["to"].bare] += 1

    async def ask(self, what: str) -> str:
        self.ended = asyncio.get_running_loop().create_future()
        self.send_message(mto=crowds.CONTROL, mfrom=f"control@{crowds.COMPONENT}/bench", mbody=what, mtype="chat")
        return (await self.ended).removeprefix("end ")


async def component() -> None:
    gateway = Gateway()
    gateway.connect()
    await gateway.ready
    await gateway.ask("fan-out 200")
    async with probed() as usage:
        await gateway.ask(f"fan-out {NUMBER // (crowds.USERS // crowds.ROOMS)}")
        inbound = usage.per(NUMBER)
    assert sum(gateway.seen.values()) == NUMBER + crowds.USERS
    await gateway.ask("counted")
    async with probed() as usage:
        for index in range(NUMBER):
            number = index * 7 % crowds.USERS
            gateway.send_message(
                mto=crowds.room_of(number),
                mfrom=f"{crowds.user(number)}/gateway",
                mtype="groupchat",
                mbody=f"message {index} of a user",
            )
            if not index % 64:
                await asyncio.sleep(0)
        assert int(await gateway.ask("counted")) == NUMBER
        outbound = usage.per(NUMBER)
    report(component_in=inbound, component_out=outbound)


if __name__ == "__main__":
    asyncio.run(globals()[SCENARIO]())
