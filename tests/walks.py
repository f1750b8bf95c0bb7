"""How far a thing walks through the library: ``python -m tests.walks`` prints the table.

Three walks are traced with `sys.setprofile`, in a fresh process, on a server in memory and under a virtual clock:

- *inbound*: a message on a warm link, from the first call that has its bytes to the subscription that hands it out;
- *outbound*: a message from `enqueue` until the server has acknowledged it;
- *login*: `connect` with STARTTLS and SCRAM, cold, so that code is generated and late imports are made.

A call counts if its code is the library's and nothing of `trioxmpp.testing` is among its callers: that is the server's
side. Resuming a coroutine is a call of each of its frames. A move is a call in another file than the call before it;
the first call is a move, too. ``--calls`` prints the calls of each walk.

trio shuffles the tasks that can run, and a task that wakes early is resumed once more: of several laps the shortest
counts.

Two more figures come from the source alone: the variables that say where a client stands (`tests.standing`), and the
private names that a file touches of another file's class (`tests.private_names`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trioxmpp
from tests.private_names import reaches
from tests.sources import MODULES, tree_of
from tests.standing import standing, variables
from trioxmpp import Client, Message, MessageType, xml
from trioxmpp.testing import Server, open_server

LIBRARY = str(Path(trioxmpp.__file__).parent)
SERVER_SIDE = str(Path(LIBRARY, "testing")) + "/"
LAPS = 12
ROMEO = "romeo@example.test/orchard"
INBOUND = (
    f"<message xmlns='jabber:client' from='juliet@example.test/balcony' to='{ROMEO}' type='chat' id='1'>"
    "<body>Art thou not Romeo?</body></message>"
)

Call = tuple[str, str]
"""A file of the library, and the name of a function in it."""


class Figures(NamedTuple):
    """The figures of a walk."""

    calls: int
    files: int
    moves: int
    returns: int
    """Moves to a file that was left before."""


class Walk:
    """The calls of the client's side, in their order, while `traced` is open."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @contextmanager
    def traced(self) -> Iterator[None]:
        self.begin()
        try:
            yield
        finally:
            sys.setprofile(None)

    def begin(self) -> None:
        sys.setprofile(self._called)

    def figures(self) -> Figures:
        files = [file for file, _ in self.calls]
        moves = [file for before, file in zip([None, *files], files, strict=False) if file != before]
        return Figures(len(files), len(set(files)), len(moves), len(moves) - len(set(moves)))

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(LIBRARY):
            return
        caller: FrameType | None = frame
        while caller is not None:
            if caller.f_code.co_filename.startswith(SERVER_SIDE):
                return
            caller = caller.f_back
        self.calls.append((name[len(LIBRARY) + 1 :], frame.f_code.co_name))


@asynccontextmanager
async def logged_in(walk: Walk) -> AsyncIterator[tuple[Server, Client]]:
    """A client whose login is the walk, and its server, which asks for no ack: that would be another walk."""
    accounts = {"romeo": "secret", "juliet": "secret"}
    async with open_server(accounts=accounts, starttls="required", ack_requests=False) as server:
        tls = server.client_tls_context()
        walk.begin()
        try:
            async with trioxmpp.connect(ROMEO, "secret", endpoint=server.endpoint, tls=tls) as client:
                sys.setprofile(None)
                yield server, client
        finally:
            sys.setprofile(None)


async def inbound(server: Server, client: Client) -> Walk:
    """A message for a task that already waits for it."""
    session = server.sessions[ROMEO]
    async with client.messages.subscribe(MessageType.CHAT) as inbox:

        async def deliver(walk: Walk) -> None:
            element = xml.fromstring(INBOUND)
            await wait_all_tasks_blocked()
            walk.begin()
            session.deliver(element)

        found = []
        for _ in range(LAPS):
            walk = Walk()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(deliver, walk)
                message = await anext(inbox)
                body = message.body
                sys.setprofile(None)
            assert body == "Art thou not Romeo?"
            found.append(walk)
    return min(found, key=Walk.figures)


async def outbound(client: Client) -> Walk:
    """A message to an account that is offline: nothing comes back but the ack."""
    found = []
    for _ in range(LAPS):
        await wait_all_tasks_blocked()
        walk = Walk()
        with walk.traced():
            await client.enqueue(Message(to="juliet@example.test", type=MessageType.CHAT, body="I am"))
        found.append(walk)
    return min(found, key=Walk.figures)


async def walks() -> dict[str, Walk]:
    """Every walk, by its name."""
    login = Walk()
    async with logged_in(login) as (server, client):
        return {"inbound": await inbound(server, client), "outbound": await outbound(client), "login": login}


def measure() -> dict[str, Walk]:
    """The walks of this process. The login is only cold in a fresh one."""
    return trio.run(walks, clock=MockClock(autojump_threshold=0))


def _count(variables: Mapping[str, set[str]]) -> str:
    return f"{sum(map(len, variables.values()))} of {len(variables)} objects"


def main() -> None:
    found = measure()
    trees = {module: tree_of(path) for module, path in MODULES.items()}
    changing, saying = variables(trees), standing(trees)
    private = list(reaches({module: tree_of(path) for module, path in MODULES.items()}))
    counted: dict[str, Any] = {name: walk.figures()._asdict() for name, walk in found.items()}
    counted["variables"] = {owner: sorted(names) for owner, names in sorted(saying.items())}
    counted["private"] = len(private)
    if "--json" in sys.argv:
        print(json.dumps(counted))
        return
    print(f"{'walk':<10}" + "".join(f"{name:>9}" for name in Figures._fields))
    for name, walk in found.items():
        print(f"{name:<10}" + "".join(f"{figure:>9,}" for figure in walk.figures()))
    print(f"\nprivate names of another file's class: {len(private)} reaches")
    print(f"variables: {_count(changing)}; those that say where a client stands: {_count(saying)}")
    for owner, names in sorted(saying.items()):
        print(f"  {owner}: {', '.join(sorted(names))}")
    if "--calls" in sys.argv:
        for name, walk in found.items():
            print(f"\n{name}", *(f"  {file} {function}" for file, function in walk.calls), sep="\n")


if __name__ == "__main__":
    main()
