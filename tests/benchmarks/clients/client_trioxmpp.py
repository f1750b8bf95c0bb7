"""This library, through its public API.

Option ``inbox``: stanzas by ``async for`` instead of by callback; ``websocket``: not over TCP; ``probe``: a task looks
for how long the loop is held, and ``!held 1`` asks it; ``websocket probe``: both.
"""

from __future__ import annotations

import contextlib
import functools
import resource
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import task
import trio

import trioxmpp
from trioxmpp import Client, Liveness, Message, MessageType, Presence, PresenceType
from trioxmpp.protocol.elements.ping import Ping

#: Seconds between two turns of the probe.
TICK = 0.002


def connect(name: str, **options: Any) -> AbstractAsyncContextManager[Client]:
    return trioxmpp.connect(
        f"{task.USER}@{task.DOMAIN}/{name}",
        task.PASSWORD,
        endpoint=f"{'ws' if 'websocket' in task.OPTION.split() else 'xmpp'}://{task.HOST}:{task.PORT}",
        allow_plaintext=True,
        **options,
    )


class Worker:
    def __init__(self, client: Client, nursery: trio.Nursery) -> None:
        self._client = client
        self._nursery = nursery
        self._count = 0
        self.presences: Any = ()
        """The inbox of presences, if they wait in one."""
        self.seen: object = None
        self._held = self._held_cpu = 0.0

    async def probe(self) -> None:
        """Want a turn each two milliseconds, and note how late it came."""
        while True:
            due, cpu = time.perf_counter() + TICK, time.process_time()
            await trio.sleep(TICK)
            self._held = max(self._held, time.perf_counter() - due)
            self._held_cpu = max(self._held_cpu, time.process_time() - cpu)

    async def held(self, _: int) -> None:
        """Tell how late the probe was at most, and begin anew."""
        self._done(f"{self._held * 1e3:.2f} {self._held_cpu * 1e3:.2f}")
        self._held = self._held_cpu = 0.0

    def on_message(self, message: Message) -> None:
        self._count += 1
        body = message.body
        self.seen = (message.from_, message.type, message.id)
        if body is not None and body[0] == "!":
            self._command(body[1:].split())

    def on_presence(self, presence: Presence) -> None:
        self._count += 1
        self.seen = (presence.from_, presence.type, presence.show)

    def _command(self, words: list[str]) -> None:
        if words[0] == "end":
            self._nursery.start_soon(self._end)
        else:
            self._nursery.start_soon(getattr(self, words[0]), int(words[1]))
            self._count = 0

    async def _end(self) -> None:
        """Report when all that came before was taken: the task that takes presences may be behind."""
        while len(self.presences):  # noqa: ASYNC110  (it measures, and must not be woken)
            await trio.lowlevel.checkpoint()
        self._done(str(self._count - 1))
        self._count = 0

    def _done(self, text: str) -> None:
        self._client.enqueue(Message(to=task.CONTROL, type=MessageType.CHAT, body=f"done {text}"))

    async def out(self, number: int) -> None:
        for index in range(number):
            self._client.enqueue(Message(to=task.PEOPLE[index % 20], type=MessageType.CHAT, body=task.body(index)))
            if not index % task.TURN:
                await trio.lowlevel.checkpoint()
        self._done("")

    async def ping(self, number: int) -> None:
        times = []
        for _ in range(number):
            begun = time.perf_counter()
            await self._client.request(Ping(), to=task.DOMAIN)
            times.append(time.perf_counter() - begun)
        self._done(task.percentiles(times))

    async def flood(self, number: int) -> None:
        async def one_after_the_other(share: int) -> None:
            for _ in range(share):
                await self._client.request(Ping(), to=task.DOMAIN)

        async with trio.open_nursery() as nursery:
            for _ in range(task.IN_FLIGHT):
                nursery.start_soon(one_after_the_other, number // task.IN_FLIGHT)
        self._done("")


async def serve() -> None:
    async with connect(task.RESOURCE) as client, trio.open_nursery() as nursery:
        worker = Worker(client, nursery)
        if task.OPTION == "inbox":
            messages = await _enter(nursery, client.messages.subscribe(capacity=10_000_000))
            presences = await _enter(nursery, client.presences.subscribe(capacity=10_000_000))
            worker.presences = presences
            nursery.start_soon(_consume, messages, worker.on_message)
            nursery.start_soon(_consume, presences, worker.on_presence)
        else:
            client.messages.register_callback(None, None, worker.on_message)
            client.presences.register_callback(PresenceType.AVAILABLE, None, worker.on_presence)
        if "probe" in task.OPTION.split():
            nursery.start_soon(worker.probe)
        client.enqueue(Presence())
        await trio.sleep_forever()


async def _enter(nursery: trio.Nursery, subscription: AbstractAsyncContextManager[Any]) -> Any:
    async def live(*, task_status: trio.TaskStatus[Any]) -> None:
        async with subscription as inbox:
            task_status.started(inbox)
            await trio.sleep_forever()

    return await nursery.start(live)


async def _consume(inbox: Any, take: Any) -> None:
    async for stanza in inbox:
        take(stanza)


async def come_and_go(number: int) -> None:
    options: dict[str, Any] = {}
    if task.OPTION:
        import ssl

        options["tls"] = ssl.create_default_context(cafile=task.OPTION)
        options["credentials"] = trioxmpp.Credentials(task.USER, task.PASSWORD, allow_plain=True)
    for _ in range(number):
        async with connect(task.RESOURCE, sm=None, **options) as client:
            await client.send(Presence())


async def idle(number: int) -> None:
    """As many sessions as wanted; twenty of them log in at a time. The option is how much silence they bear."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options = {"liveness": Liveness(float(task.OPTION), 30)} if task.OPTION else {}
    limit = trio.CapacityLimiter(20)

    async def session(index: int) -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with limit:
                client = await stack.enter_async_context(connect(f"{task.RESOURCE}.{index}", **options))
                await client.send(Presence())
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for index in range(number):
            nursery.start_soon(session, index)


async def main() -> None:
    task.up()
    await {
        "serve": serve,
        "connect": functools.partial(come_and_go, task.NUMBER),
        "idle": functools.partial(idle, task.NUMBER),
    }[task.MODE]()


if __name__ == "__main__":
    trio.run(main)
