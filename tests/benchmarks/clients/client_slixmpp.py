"""slixmpp, with the plugins that the tasks need and no more."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import slixmpp
import task
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath


class Client(slixmpp.ClientXMPP):
    def __init__(self, resource: str) -> None:
        super().__init__(f"{task.USER}@{task.DOMAIN}/{resource}", task.PASSWORD)
        self.register_plugin("xep_0198")
        self.register_plugin("xep_0199")
        self._count = 0
        self.seen: object = None
        self.add_event_handler("session_start", self._start)
        self.enable_direct_tls = False
        self.enable_starttls = bool(task.OPTION)
        self.enable_plaintext = not task.OPTION
        if task.OPTION:
            self.ssl_context = ssl.create_default_context(cafile=task.OPTION)
            self.ca_certs = task.OPTION
        else:
            self.plugin["feature_mechanisms"].unencrypted_plain = True
        self.ready = asyncio.get_running_loop().create_future()

    async def _start(self, _: Any) -> None:
        # Its own event for messages is for those with a body; who reads archives needs more.
        self.remove_handler("IM")
        self.register_handler(Callback("messages", MatchXPath("{jabber:client}message"), self._on_message))
        self.register_handler(Callback("presences", MatchXPath("{jabber:client}presence"), self._on_presence))
        self.send_presence()
        self.ready.set_result(None)

    def _on_message(self, message: Any) -> None:
        self._count += 1
        body = message["body"]
        self.seen = (message["from"], message["type"], message["id"])
        if body and body[0] == "!":
            self._command(body[1:].split())

    def _on_presence(self, presence: Any) -> None:
        self._count += 1
        self.seen = (presence["from"], presence["type"], presence["show"])

    def _command(self, words: list[str]) -> None:
        if words[0] == "end":
            self._done(str(self._count - 1))
        else:
            self.running = asyncio.ensure_future(getattr(self, words[0])(int(words[1])))
        self._count = 0

    def _done(self, text: str) -> None:
        self.send_message(mto=task.CONTROL, mbody=f"done {text}", mtype="chat")

    async def out(self, number: int) -> None:
        for index in range(number):
            self.send_message(mto=task.PEOPLE[index % 20], mbody=task.body(index), mtype="chat")
            if not index % task.TURN:
                await asyncio.sleep(0)
        self._done("")

    async def ping(self, number: int) -> None:
        times = []
        for _ in range(number):
            begun = time.perf_counter()
            await self.plugin["xep_0199"].send_ping(task.DOMAIN)
            times.append(time.perf_counter() - begun)
        self._done(task.percentiles(times))

    async def flood(self, number: int) -> None:
        async def one_after_the_other() -> None:
            for _ in range(number // task.IN_FLIGHT):
                await self.plugin["xep_0199"].send_ping(task.DOMAIN)

        await asyncio.gather(*(one_after_the_other() for _ in range(task.IN_FLIGHT)))
        self._done("")


async def connected(resource: str) -> Client:
    client = Client(resource)
    client.connect(task.HOST, task.PORT)
    await client.ready
    return client


async def main() -> None:
    task.up()
    if task.MODE == "connect":
        for _ in range(task.NUMBER):
            client = await connected(task.RESOURCE)
            await client.disconnect(wait=0.1)
    elif task.MODE == "idle":
        clients = [await connected(f"{task.RESOURCE}.{index}") for index in range(task.NUMBER)]
        await asyncio.Event().wait()
        del clients
    else:
        client = await connected(task.RESOURCE)
        await client.disconnected


if __name__ == "__main__":
    asyncio.run(main())
