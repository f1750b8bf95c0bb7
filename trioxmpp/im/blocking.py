"""XEP-0191: the addresses that our account blocks.

The list belongs to the account: the server keeps it, and pushes each change to all clients that have asked for it. So
this mirror changes by what the server says and by nothing else: it is read anew in each session, and a verb returns
when the push has come that reports its effect. A push counts only if our own account sends it (RFC 6120 §8.1.2.1).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from ..client import Client, Session, Signal, Step, Subscription, Trouble
from ..errors import StanzaCondition, XMPPModifyError, XMPPWaitError
from ..jid import JID
from ..protocol.elements.blocking import Block, BlocklistQuery, Item, Unblock
from ..protocol.elements.reporting import Report
from ..protocol.stanza import IQ
from ..record import record

__all__ = ["Blocked", "Blocklist", "Unblocked", "open_blocking"]

_logger = logging.getLogger(__name__)

#: How many addresses are kept.
LIMIT = 50_000

#: Seconds for which a verb waits for the push behind the result. A server need not push what changes nothing.
PUSH_TIMEOUT = 5.0


@record
class Blocked:
    """These addresses are blocked from now on."""

    jids: frozenset[JID]


@record
class Unblocked:
    """These addresses are not blocked any more."""

    jids: frozenset[JID]


class Blocklist:
    """The addresses that the account blocks: a full or bare JID, a domain, or a domain with a resource (§3.1)."""

    def __init__(self, client: Client, limit: int = LIMIT) -> None:
        self.on_change: Signal[Blocked | Unblocked] = Signal()
        """Emitted after each change."""
        self._client = client
        self._limit = limit
        self._jids: frozenset[JID] = frozenset()
        self._changed = trio.lowlevel.ParkingLot()
        self._early: list[Block | Unblock] | None = None
        """The pushes that have come since the list was asked for; None while it is not."""
        self._is_full = False

    def __iter__(self) -> Iterator[JID]:
        return iter(self._jids)

    def __len__(self) -> int:
        return len(self._jids)

    def __contains__(self, jid: object) -> bool:
        """Return whether this very address is in the list; `blocks` tells whether the list covers it."""
        return isinstance(jid, JID | str) and _parsed(jid) in self._jids

    def blocks(self, jid: JID | str) -> bool:
        """Return whether the list covers the address `jid`: itself, its bare JID, or its domain (§3.1).

        An entry of the form ``domain/resource`` covers that resource of all users of the domain.
        """
        if not self._jids:
            return False
        jid = _parsed(jid)
        domain = JID(None, jid.domain, None)
        covering = {jid, jid.bare, domain, domain.replace(resource=jid.resource)}
        return not covering.isdisjoint(self._jids)

    def changes(self, *, capacity: float = 10_000) -> Subscription[Blocked | Unblocked]:
        """``async with`` block that gives an inbox of changes, from now on."""
        return self.on_change.subscribe(capacity)

    async def block(self, *jids: JID | str, report: Report | None = None) -> None:
        """Block addresses, and `report` why, if the server takes reports (XEP-0377 §4).

        Returns when the list has them. ValueError without an address; raises as `Client.request`. If cancelled, they
        may be blocked all the same.
        """
        wanted = _all_parsed(jids)
        items = tuple([Item(jid=jid, report=report) if report else Item(jid=jid) for jid in wanted])
        await self._client.request(Block(items=items))
        await self._until(lambda: wanted <= self._jids)

    async def unblock(self, *jids: JID | str) -> None:
        """Unblock addresses. Returns when the list is without them. Raises, and may be cancelled, as `block`.

        Without an address this is a ValueError, and never means all of them: that is `unblock_all`.
        """
        unwanted = _all_parsed(jids)
        await self._client.request(Unblock(items=tuple([Item(jid=jid) for jid in unwanted])))
        await self._until(lambda: unwanted.isdisjoint(self._jids))

    async def unblock_all(self) -> None:
        """Empty the list (§3.5). Raises, and may be cancelled, as `block`."""
        await self._client.request(Unblock())
        await self._until(lambda: not self._jids)

    async def _until(self, condition: Any) -> None:
        with trio.move_on_after(PUSH_TIMEOUT):
            while not condition():
                await self._changed.park()

    async def fetch(self, session: Session) -> None:
        """Read the list in a new session. A push that comes meanwhile is newer than the answer, or in it."""
        self._early = []
        try:
            answer = await session.request(BlocklistQuery())
            self._put(frozenset([item.jid for item in answer.items]))
            for push in self._early:
                self._apply(push)
        finally:
            self._early = None

    def pushed(self, iq: IQ) -> None:
        """Take a push of our account."""
        push: Any = iq.payload
        if isinstance(push, Block) and not push.items:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        if self._early is not None:
            self._early.append(push)
        self._apply(push)

    def _apply(self, push: Block | Unblock) -> None:
        jids = frozenset([item.jid for item in push.items])
        if isinstance(push, Block):
            self._put(self._jids | jids)
        else:
            self._put(self._jids - jids if jids else frozenset())

    def _put(self, jids: frozenset[JID]) -> None:
        before = self._jids
        if len(jids) > self._limit:
            self._tell_full()
            jids = frozenset([*(jids & before), *(jids - before)][: self._limit])
        self._jids = jids
        if unblocked := before - jids:
            self.on_change.emit(Unblocked(unblocked))
        if blocked := jids - before:
            self.on_change.emit(Blocked(blocked))
        self._changed.unpark_all()

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            problem = XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, f"more than {self._limit} addresses")
            _logger.warning("the block list is not kept as a whole: %s", problem)
            self._client.on_event.emit(Trouble("open_blocking", problem))


def _parsed(jid: JID | str) -> JID:
    return JID.parse(jid) if isinstance(jid, str) else jid


def _all_parsed(jids: Iterable[JID | str]) -> frozenset[JID]:
    parsed = frozenset([_parsed(jid) for jid in jids])
    if not parsed:
        raise ValueError("there is no address to block or unblock")
    return parsed


@asynccontextmanager
async def open_blocking(client: Client, *, limit: int = LIMIT) -> AsyncIterator[Blocklist]:
    """A block during which the block list of our account is known; gives the `Blocklist`.

    It is read in each session, and follows the pushes. At most `limit` addresses are kept; beyond them a `Trouble` is
    told, once. Raises `XMPPError` if the server has no block lists, and else as `Client.request`. Cancelling while
    entering leaves nothing behind.
    """
    blocklist = Blocklist(client, limit)
    with (
        client.answer(Block, blocklist.pushed, from_=client.own_account),
        client.answer(Unblock, blocklist.pushed, from_=client.own_account),
    ):
        async with client.each_session(Step.SYNC, blocklist.fetch):
            yield blocklist
