"""The block during which the presences of others are known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Final

import trio

from ...client import Client, Session, Stage, Step, supervised
from ...protocol.stanza import Presence, PresenceType
from ..blocking import Blocklist
from ..roster import Roster
from .book import PER_CONTACT, STRANGERS, Presences

__all__ = ["open_presence"]

#: How many contacts are probed in a second.
PROBES: Final = 200


@asynccontextmanager
async def open_presence(
    client: Client,
    roster: Roster | None = None,
    blocklist: Blocklist | None = None,
    *,
    per_contact: int = PER_CONTACT,
    strangers: int = STRANGERS,
    probes: int = PROBES,
) -> AsyncIterator[Presences]:
    """A block during which the presences of others are known; gives the `Presences`.

    A server sends them once we show our own (`appear`). They end with the session: each is `Gone`, once, and then the
    next session brings those that are there. A session that another process began has brought them to that process, so
    the contacts whose presence we see are probed, `probes` in a second; they do not notice.

    `roster` says who is a contact. Of each contact `per_contact` resources are kept, and of all others the `strangers`
    resources that came last; without a roster, all are strangers. With a `blocklist`, the presence of an address ends
    when it is blocked. Cancelling while entering leaves nothing behind.
    """
    presences = Presences(client, roster, blocklist, per_contact=per_contact, strangers=strangers)

    @asynccontextmanager
    async def until_it_ends(session: Session) -> AsyncIterator[None]:
        try:
            yield
        finally:
            presences.clear()

    @asynccontextmanager
    async def probing(session: Session) -> AsyncIterator[None]:
        async def probe() -> None:
            await _probe(session, roster, probes)

        async with supervised(client, probe, name="open_presence"):
            yield

    with ExitStack() as stack:
        stack.enter_context(client.at_stage(Stage.NOTICE, presence=presences.seen))
        if blocklist is not None:
            stack.enter_context(blocklist.on_change.context_connect(presences.blocked))
        async with client.each_session(Step.SYNC, until_it_ends), client.each_session(Step.JOIN, probing):
            yield presences


async def _probe(session: Session, roster: Roster | None, rate: int) -> None:
    """Ask for the presences of contacts, if the server has sent them to another process (RFC 6121 §4.3)."""
    if not session.adopted or roster is None:
        return
    seen = [contact.jid for contact in roster if contact.is_seen]
    for start in range(0, len(seen), rate):
        for jid in seen[start : start + rate]:
            session.enqueue(Presence(to=jid, type=PresenceType.PROBE))
        await trio.sleep(1)
