"""aioxmpp."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aioxmpp
import aioxmpp.dispatcher
import aioxmpp.ping
import task
from aioxmpp.connector import STARTTLSConnector


def make(resource: str) -> Any:
    layer = aioxmpp.make_security_layer(task.PASSWORD, no_verify=True)
    layer = layer._replace(tls_required=bool(task.OPTION))
    jid = aioxmpp.JID.fromstr(f"{task.USER}@{task.DOMAIN}/{resource}")
    return aioxmpp.PresenceManagedClient(jid, layer, override_peer=[(task.HOST, task.PORT, STARTTLSConnector())])


class Worker:
    def __init__(self, client: Any) -> None:
        self._client = client
        self._count = 0
        self.seen: object = None
        messages = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        presences = client.summon(aioxmpp.dispatcher.SimplePresenceDispatcher)
        messages.register_callback(None, None, self._on_message)
        presences.register_callback(aioxmpp.PresenceType.AVAILABLE, None, self._on_presence)

    def _on_message(self, message: Any) -> None:
        self._count += 1
        body = message.body.any() if message.body else None
        self.seen = (message.from_, message.type_, message.id_)
        if body is not None and body[0] == "!":
            self._command(body[1:].split())

    def _on_presence(self, presence: Any) -> None:
        self._count += 1
        self.seen = (presence.from_, presence.type_, presence.show)

    def _command(self, words: list[str]) -> None:
        if words[0] == "end":
            self._done(str(self._count - 1))
        else:
            self.running = asyncio.ensure_future(getattr(self, words[0])(int(words[1])))
        self._count = 0

    def _send(self, to: str, text: str) -> None:
        message = aioxmpp.Message(to=aioxmpp.JID.fromstr(to), type_=aioxmpp.MessageType.CHAT)
        message.body[None] = text
        self._client.enqueue(message)

    def _done(self, text: str) -> None:
        self._send(task.CONTROL, f"done {text}")

    async def out(self, number: int) -> None:
        for index in range(number):
            self._send(task.PEOPLE[index % 20], task.body(index))
            if not index % task.TURN:
                await asyncio.sleep(0)
        self._done("")

    async def ping(self, number: int) -> None:
        times, server = [], aioxmpp.JID.fromstr(task.DOMAIN)
        for _ in range(number):
            begun = time.perf_counter()
            await aioxmpp.ping.ping(self._client, server)
            times.append(time.perf_counter() - begun)
        self._done(task.percentiles(times))

    async def flood(self, number: int) -> None:
        server = aioxmpp.JID.fromstr(task.DOMAIN)

        async def one_after_the_other() -> None:
            for _ in range(number // task.IN_FLIGHT):
                await aioxmpp.ping.ping(self._client, server)

        await asyncio.gather(*(one_after_the_other() for _ in range(task.IN_FLIGHT)))
        self._done("")


async def main() -> None:
    task.up()
    if task.MODE == "connect":
        for _ in range(task.NUMBER):
            async with make(task.RESOURCE).connected():
                pass
    elif task.MODE == "idle":
        blocks = [make(f"{task.RESOURCE}.{index}").connected() for index in range(task.NUMBER)]
        for block in blocks:
            await block.__aenter__()
        await asyncio.Event().wait()
    else:
        client = make(task.RESOURCE)
        worker = Worker(client)
        async with client.connected():
            await asyncio.Event().wait()
        del worker


if __name__ == "__main__":
    asyncio.run(main())
