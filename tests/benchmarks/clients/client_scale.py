"""This library with more and more of something.

Its tasks, ``!handlers N``, ``!subscriptions N``, ``!pending N`` and ``!sessions N``, take care that there are N of
them, and then say ``done``, and how many seconds of that Python's garbage collector took.
"""

from __future__ import annotations

import gc
import resource
import time

import client_trioxmpp
import task
import trio
import trio.testing

from trioxmpp import Client, MessageType, Presence, PresenceType
from trioxmpp.protocol.elements.ping import Ping


class Collector(client_trioxmpp.Worker):
    def __init__(self, client: Client, nursery: trio.Nursery) -> None:
        super().__init__(client, nursery)
        self._have = 0
        self._collecting = 0.0
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, info: object) -> None:
        self._collecting += time.process_time() if phase == "stop" else -time.process_time()

    def _done(self, text: str) -> None:
        super()._done(text or f"{self._collecting:.9f}")
        self._collecting = 0.0

    def _more(self, number: int) -> range:
        more = range(self._have, number)
        self._have = number
        return more

    async def handlers(self, number: int) -> None:
        """Callbacks for messages, each for another sender."""
        for index in self._more(number):
            self._client.messages.register_callback(
                MessageType.CHAT, f"tybalt{index}@{task.DOMAIN}", self.on_message, wildcard_resource=True
            )
        self._done("")

    async def subscriptions(self, number: int) -> None:
        """Inboxes for messages, each for another sender."""
        for index in self._more(number):
            subscription = self._client.messages.subscribe(MessageType.CHAT, from_=f"tybalt{index}@{task.DOMAIN}")
            await subscription.__aenter__()
        self._done("")

    async def pending(self, number: int) -> None:
        """Requests without an answer, each to another address."""
        for index in self._more(number):
            self._nursery.start_soon(self._ask_nobody, index)
        await trio.testing.wait_all_tasks_blocked()
        self._done("")

    async def _ask_nobody(self, index: int) -> None:
        await self._client.request(Ping(), to=f"nobody@{task.DOMAIN}/{index}")

    async def sessions(self, number: int) -> None:
        """Sessions of this process, beside the one that is asked."""
        limit = trio.Semaphore(20)
        async with trio.open_nursery() as nursery:
            for index in self._more(number):
                await limit.acquire()
                nursery.start_soon(self._session, index, limit)
        self._done("")

    async def _session(self, index: int, limit: trio.Semaphore) -> None:
        async def live(*, task_status: trio.TaskStatus[None]) -> None:
            async with client_trioxmpp.connect(f"{task.RESOURCE}.{index}") as client:
                await client.send(Presence())
                task_status.started()
                await trio.sleep_forever()

        await self._nursery.start(live)
        limit.release()


async def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    task.up()
    async with client_trioxmpp.connect(task.RESOURCE) as client, trio.open_nursery() as nursery:
        collector = Collector(client, nursery)
        client.messages.register_callback(None, None, collector.on_message)
        client.presences.register_callback(PresenceType.AVAILABLE, None, collector.on_presence)
        client.enqueue(Presence())
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
