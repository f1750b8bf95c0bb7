"""Helpers for tests of services: a client of the embedded server, and stanzas that this server never sends itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio.testing

import trioxmpp
from trioxmpp import Client, MemoryStore, xml
from trioxmpp.errors import StoreError
from trioxmpp.protocol import ns
from trioxmpp.testing import Server
from trioxmpp.testing.transcript import parse_script

__all__ = ["NoteKeeper", "answer_to", "connect", "forge", "sent"]


class NoteKeeper(MemoryStore):
    """A store in memory that keeps notes as well. `failing`: it refuses to write them."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, dict[str, str]] = {}
        self.failing = False

    async def read_notes(self, kind: str) -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        return dict(self.kinds.get(kind, {}))

    async def write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None:
        await trio.lowlevel.checkpoint()
        if self.failing:
            raise StoreError("the disk is full")
        notes = self.kinds.setdefault(kind, {})
        for key, text in changes.items():
            if text is None:
                notes.pop(key, None)
            else:
                notes[key] = text


def connect(server: Server, name: str = "romeo", **options: Any) -> AbstractAsyncContextManager[Client]:
    """Connect as `name`, with the resource *orchard* unless `name` has another one."""
    jid = f"{name}@{server.domain}/orchard" if "/" not in name else name.replace("/", f"@{server.domain}/")
    return trioxmpp.connect(jid, "secret", **{"endpoint": server.endpoint, "allow_plaintext": True, **options})


async def forge(server: Server, client: Client, *stanzas: str) -> None:
    """Deliver stanzas to `client` as if the server had let them through; return when the client is idle again."""
    session = server.sessions[str(client.jid)]
    for stanza in parse_script("".join(stanzas)):
        session.deliver(stanza)
    await trio.testing.wait_all_tasks_blocked()


def answer_to(server: Server, id: str) -> str:
    """Return how a client answered the request with that id: "result", or the condition of the error."""
    (answer,) = [
        entry.stanza
        for entry in server.log
        if entry.stanza.get("id") == id and entry.stanza.get("type") in ("result", "error")
    ]
    if answer.get("type") == "result":
        return "result"
    (error,) = answer.iterchildren(f"{{{ns.CLIENT}}}error")
    return str(error[0].tag).rpartition("}")[2]


def sent(server: Server, client: Client, kind: str) -> list[xml.Element]:
    """Return the stanzas of one kind (message, presence, iq) that the server has accepted from `client`, in order."""
    tag = f"{{{ns.CLIENT}}}{kind}"
    return [entry.stanza for entry in server.log if entry.jid == str(client.jid) and entry.stanza.tag == tag]
