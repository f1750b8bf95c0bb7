"""nbxmpp, on the event loop of GLib. Option ``websocket``: not over TCP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import task
from gi.repository import GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType
from nbxmpp.protocol import Iq, Message, Presence
from nbxmpp.structs import StanzaHandler

LOOP = GLib.MainLoop()


def make(resource: str, ready: Callable[[Any], None]) -> Any:
    client = Client(log_context=resource)
    client.set_domain(task.DOMAIN)
    client.set_username(task.USER)
    client.set_password(task.PASSWORD)
    client.set_resource(resource)
    host, protocol = f"{task.HOST}:{task.PORT}", ConnectionProtocol.TCP
    if task.OPTION == "websocket":
        host, protocol = f"ws://{host}/", ConnectionProtocol.WEBSOCKET
    client.set_custom_host(host, protocol, ConnectionType.PLAIN)
    client.set_connection_types([ConnectionType.PLAIN])

    def connected(_client: Any, _signal: str) -> None:
        client.send_stanza(Presence())
        ready(client)

    client.subscribe("connected", connected)
    client.connect()
    return client


class Worker:
    def __init__(self, client: Any) -> None:
        self._client = client
        self._count = 0
        self._begun = 0.0
        self._left = self._open = 0
        self._times: list[float] = []
        self.seen: object = None
        client.register_handler(StanzaHandler(name="message", callback=self._on_message))
        client.register_handler(StanzaHandler(name="presence", callback=self._on_presence))

    def _on_message(self, _client: Any, stanza: Any, properties: Any) -> None:
        self._count += 1
        body = properties.body
        self.seen = (properties.jid, properties.type, properties.id)
        if body and body[0] == "!":
            self._command(body[1:].split())

    def _on_presence(self, _client: Any, stanza: Any, properties: Any) -> None:
        self._count += 1
        self.seen = (properties.jid, properties.type, properties.show)

    def _command(self, words: list[str]) -> None:
        if words[0] == "end":
            self._done(str(self._count - 1))
        else:
            getattr(self, words[0])(int(words[1]))
        self._count = 0

    def _done(self, text: str) -> None:
        self._client.send_stanza(Message(to=task.CONTROL, body=f"done {text}", typ="chat"))

    def out(self, number: int) -> None:
        indices = iter(range(number))

        def turn() -> bool:
            for _ in range(task.TURN):
                index = next(indices, None)
                if index is None:
                    self._done("")
                    return False
                self._client.send_stanza(Message(to=task.PEOPLE[index % 20], body=task.body(index), typ="chat"))
            return True

        GLib.idle_add(turn)

    def _request(self, callback: Callable[..., None]) -> None:
        iq = Iq("get", to=task.DOMAIN)
        iq.addChild("ping", namespace="urn:xmpp:ping")
        self._client.send_stanza(iq, callback=callback)

    def ping(self, number: int) -> None:
        self._left, self._times = number, []
        self._next_ping()

    def _next_ping(self) -> None:
        self._begun = time.perf_counter()
        self._request(self._ponged)

    def _ponged(self, *_: Any) -> None:
        self._times.append(time.perf_counter() - self._begun)
        self._left -= 1
        if self._left:
            self._next_ping()
        else:
            self._done(task.percentiles(self._times))

    def flood(self, number: int) -> None:
        self._left, self._open = number - task.IN_FLIGHT, task.IN_FLIGHT
        for _ in range(task.IN_FLIGHT):
            self._request(self._flooded)

    def _flooded(self, *_: Any) -> None:
        if self._left:
            self._left -= 1
            self._request(self._flooded)
        else:
            self._open -= 1
            if not self._open:
                self._done("")


def come_and_go(left: int) -> None:
    def ready(client: Any) -> None:
        client.subscribe("disconnected", lambda *_: GLib.idle_add(come_and_go, left - 1))
        GLib.idle_add(client.disconnect)

    if left:
        kept[:] = [make(task.RESOURCE, ready)]
    else:
        LOOP.quit()


kept: list[Any] = []

if __name__ == "__main__":
    task.up()
    if task.MODE == "connect":
        GLib.idle_add(come_and_go, task.NUMBER)
    elif task.MODE == "idle":

        def another(_: Any) -> None:
            if len(kept) < task.NUMBER:
                kept.append(make(f"{task.RESOURCE}.{len(kept)}", another))

        another(None)
    else:
        kept.append(make(task.RESOURCE, lambda _: None))
        kept.append(Worker(kept[0]))
    LOOP.run()
