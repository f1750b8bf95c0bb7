"""The fleet: the table of its accounts, and the block in which they live."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Unpack

import trio

from ..client import Client, ConnectOptions, Signal, bare
from ..jid import JID
from ..protocol.stanza import MessageType
from .account import Account, RestartPolicy
from .events import FleetEvent
from .gate import Gate
from .health import FleetHealth
from .inbox import Arrival, Carrier, Happened
from .member import Member, Run

__all__ = ["Fleet", "open_fleet"]


class Fleet:
    """Many accounts, by their addresses; `open_fleet` makes it."""

    def __init__(
        self,
        nursery: trio.Nursery,
        gate: Gate,
        run: Run,
        restart: RestartPolicy,
        options: ConnectOptions,
        rng: random.Random,
    ) -> None:
        self.gate = gate
        self.on_event: Signal[Happened] = Signal()
        """Emitted for each event of each account: ``fleet.on_event.connect(function)``."""
        self._members: dict[JID, Member] = {}
        self.members: Mapping[JID, Member] = MappingProxyType(self._members)
        """The accounts by the addresses that they were added with, in that order."""
        self._nursery = nursery
        self._run = run
        self._restart = restart
        self._options = options
        self._rng = rng
        self._carriers: set[Carrier] = set()

    def __getitem__(self, jid: JID | str) -> Member:
        return self._members[JID.parse(jid) if isinstance(jid, str) else jid]

    def __iter__(self) -> Iterator[Member]:
        return iter([*self._members.values()])

    def __len__(self) -> int:
        return len(self._members)

    # --- the table

    def add(self, account: Account) -> Member:
        """Add an account, which starts as soon as it is its turn; returns at once.

        Raises ValueError if the fleet has this address already, JIDError if it is malformed, and TypeError for an
        option that `connect` does not have.
        """
        member = Member(account, self, self._restart, self._run, self._options, self._rng)
        if member.jid in self._members:
            raise ValueError(f"{member.jid} is in the fleet already")
        self._members[member.jid] = member
        self._nursery.start_soon(member.live)
        return member

    async def remove(self, jid: JID | str) -> None:
        """Have an account log out, and forget it. KeyError if there is none.

        Everything that is enqueued is sent first, as at the end of the block of `connect`, in the time that
        `close_timeout` gives. Cancelling stops the waiting: the account goes on leaving, and is not forgotten.
        """
        member = self[jid]
        member.leave()
        await member.ended.wait()
        if self._members.get(member.jid) is member:
            del self._members[member.jid]

    def retry(self, jid: JID | str) -> None:
        """If an account is down, or waits for its restart, begin its next client now. KeyError if there is none."""
        self[jid].retry()

    def health(self) -> FleetHealth:
        """Return how all accounts do now."""
        return FleetHealth(tuple(member.health() for member in self))

    async def wait_started(self) -> None:
        """Wait until each account that is here now has connected, or has failed to. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        for member in self:
            await member.wait_started()

    # --- the inbox

    @asynccontextmanager
    async def subscribe(
        self, *types: MessageType, events: bool = True, capacity: int = 0
    ) -> AsyncIterator[trio.MemoryReceiveChannel[Arrival]]:
        """A block that gives an inbox of what happens to all accounts: `Received` and, with `events`, `Happened`.

        `types` are those of the messages; none stands for all. The accounts take turns, so that a flood for one does
        not hold up the others. Messages that the consumer has not taken wait in the subscription of their client: when
        that is full, its oldest is dropped, with a WARNING. `capacity` is how many items are taken from there in
        advance; those count as handled (XEP-0198 §4). The inbox ends with the fleet.

        Cancelling leaves nothing behind. Leaving the block loses what the consumer has not taken: `capacity` items,
        and one for each account, at most.
        """
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                carrier = Carrier(nursery, types, capacity)
                if events:
                    await nursery.start(carrier.listen, self.on_event)
                self._carriers.add(carrier)
                for member in self:
                    if member.client is not None:
                        carrier.begins(member, member.client)
                try:
                    with inside:
                        yield carrier.inbox
                finally:
                    self._carriers.discard(carrier)
                    nursery.cancel_scope.cancel(reason="the block of the inbox was left")

    # --- for the members

    def tell(self, member: Member, event: FleetEvent) -> None:
        """Tell of an event of an account."""
        self.on_event.emit(Happened(member, event))

    def begins(self, member: Member, client: Client) -> None:
        """Have the messages of a new client carried to each inbox."""
        for carrier in self._carriers:
            carrier.begins(member, client)

    async def leave(self) -> None:
        """Have all accounts log out, at the same time."""
        for member in self:
            member.leave()
        for member in self:
            await member.ended.wait()

    def close(self) -> None:
        """End all inboxes, once their consumers had what is in them."""
        self.on_event.close()
        for carrier in self._carriers:
            carrier.close()


async def _stay(client: Client) -> None:
    await trio.sleep_forever()


@asynccontextmanager
async def open_fleet(
    accounts: Iterable[Account] = (),
    *,
    run: Run = _stay,
    at_once: int = 10,
    jitter: float = 0.5,
    patience: float = 20.0,
    restart: RestartPolicy = RestartPolicy(),  # noqa: B008  # a frozen value
    rng: random.Random | None = None,
    **options: Unpack[ConnectOptions],
) -> AsyncIterator[Fleet]:
    """A block during which many accounts are connected; gives a `Fleet`.

    Each account has a client of its own, and dies alone: a password that is refused, a *conflict* or a bug in ``run``
    ends that one client, and `restart` says when it is begun again. The block goes on, also without any account.

    - ``run(client)`` is called for each client, in a task of its account; when it returns, the account logs out for
      good. The default just stays connected.
    - Starts are spread: `at_once` accounts connect at a time, each after a random delay of up to `jitter` seconds. One
      that has not connected after `patience` seconds passes its turn on. All three hold for restarts, too. Repairs of
      links have the delays of the ``reconnect`` of `connect`.
    - `options` are those of `connect`, for all accounts; `Account.options` come on top. A ``store`` is for one account
      and so belongs there. `rng` draws the delays.

    The first message of an account comes after its first presence, as for any client: a service, given as
    ``services=[...]``, sends that in each session.

    Leaving the block logs all accounts out at the same time, as the end of the block of `connect` does. Leaving it by
    an exception, which comes out as it is, or by cancellation takes two seconds at most. ValueError for an option that
    cannot be meant for all, and for an address that is there twice.
    """
    if "store" in options:
        raise ValueError("a store is for one account: give it in the options of that Account")
    if at_once < 1 or jitter < 0 or patience <= 0:
        raise ValueError("at_once is at least 1, jitter at least 0 seconds, patience greater than 0")
    chance = rng or random.Random()
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            gate = Gate(nursery, at_once, jitter, patience, chance)
            fleet = Fleet(nursery, gate, run, restart, options, chance)
            try:
                for account in accounts:
                    fleet.add(account)
                with inside:
                    yield fleet
                await fleet.leave()
            finally:
                fleet.close()
                nursery.cancel_scope.cancel(reason="the block of open_fleet() was left")
