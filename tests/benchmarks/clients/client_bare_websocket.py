"""The limit that trio, trio-websocket and lxml set: as client_bare.py, but each message is a document of its own."""

from __future__ import annotations

from typing import Any

import client_bare
import task
import trio
from client_bare import BATCH, IQ, MESSAGE, PRESENCE, REQUEST
from lxml import etree
from trio_websocket import WebSocketConnection, connect_websocket

OPEN = f"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{task.DOMAIN}' version='1.0'/>"
CLIENT = " xmlns='jabber:client'"


class Connection(client_bare.Connection):
    def __init__(self, websocket: WebSocketConnection, nursery: trio.Nursery) -> None:
        super().__init__(websocket, nursery)  # type: ignore[arg-type]  # of which only we know what it is
        self._websocket = websocket

    async def log_in(self, resource: str) -> None:
        await self._say(OPEN)
        await self._say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
        while not (await self._next()).tag.endswith("success"):
            pass
        await self._say(OPEN)
        await self._say(
            f"<iq{CLIENT} type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        while (await self._next()).tag != IQ:
            pass
        self.managed = True
        await self._say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        await self._next()
        await self._say(f"<presence{CLIENT}/>")

    async def read(self) -> None:
        handlers = {MESSAGE: self._message, PRESENCE: self._presence, IQ: self._reply, REQUEST: self._request}
        receive, parse = self._websocket.get_message, etree.fromstring
        while True:
            element = parse(await receive())
            handler = handlers.get(element.tag)
            if handler is not None:
                handler(element)

    async def write(self) -> None:
        queue = self._queue
        while True:
            while not queue:
                await self._writer.park()
            batch = [queue.popleft() for _ in range(min(len(queue), BATCH))]
            if self._unrequested and (self._unrequested >= BATCH or not queue):
                batch.append("<r xmlns='urn:xmpp:sm:3'/>")
                self._unrequested = 0
            for text in batch:
                await self._say(text)

    def put(self, text: str) -> None:
        name = text.index(" ")
        super().put(text[:name] + CLIENT + text[name:])

    async def _say(self, text: str) -> None:
        await self._websocket.send_message(text)

    async def _next(self) -> Any:
        return etree.fromstring(await self._websocket.get_message())


async def main() -> None:
    task.up()
    async with trio.open_nursery() as nursery:
        websocket = await connect_websocket(nursery, task.HOST, task.PORT, "/", use_ssl=False, subprotocols=["xmpp"])
        connection = Connection(websocket, nursery)
        await connection.log_in(task.RESOURCE)
        nursery.start_soon(connection.write)
        await connection.read()


if __name__ == "__main__":
    trio.run(main)
