"""The life of one account of a fleet: one client after the other, and no error of them ends anything else."""

from __future__ import annotations

import inspect
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

import trio

from ..client import Cause, Client, ConnectOptions, Destroyed, Established, Event, Resumed, Suspended, connect
from ..jid import JID
from .account import Account, RestartPolicy
from .events import Died, Finished, FleetEvent
from .gate import Gate
from .health import MemberHealth, MemberState

__all__ = ["Company", "Member", "Run"]

logger: logging.Logger = logging.getLogger(__name__)

#: Called with each client of each account, in a task of the account.
Run: TypeAlias = Callable[[Client], Awaitable[object]]


class Company(Protocol):
    """The fleet, as its members see it."""

    @property
    def gate(self) -> Gate:
        """The gate through which members start."""
        ...

    def tell(self, member: Member, event: FleetEvent) -> None:
        """Something happened to `member`."""
        ...

    def begins(self, member: Member, client: Client) -> None:
        """`member` has a new client."""
        ...


class Member:
    """One account of a fleet; `open_fleet` and `Fleet.add` make it."""

    def __init__(
        self,
        account: Account,
        company: Company,
        restart: RestartPolicy,
        run: Run,
        options: ConnectOptions,
        rng: random.Random,
    ) -> None:
        self.account = account
        self.jid: JID = account.address
        """The address that the account was added with."""
        self.client: Client | None = None
        """The client of now; None while there is none."""
        self.state: MemberState = MemberState.WAITING
        self.error: Exception | None = None
        """The reason why the last client ended, or why the link broke; None once all is well again."""
        self.starts: int = 0
        """How often a client was begun."""
        self.ended: trio.Event = trio.Event()
        """Set when the account has left the fleet."""
        self._company = company
        self._policy = account.restart or restart
        self._run = run
        self._options: dict[str, Any] = {**options, **account.options}
        # An option that does not exist is a mistake of the program, to be told at once and not at each start.
        inspect.signature(connect).bind(self.jid, account.password, credentials=account.credentials, **self._options)
        self._rng = rng
        self._since = trio.current_time()
        self._restarts_at: float | None = None
        self._changes = trio.lowlevel.ParkingLot()
        self._is_leaving = False
        self._life = trio.CancelScope()
        self._work: trio.CancelScope | None = None
        self._hurry = trio.Event()

    def __repr__(self) -> str:
        return f"<Member {self.jid}: {self.state.name}>"

    def health(self) -> MemberHealth:
        """Return how the account does now."""
        now = trio.current_time()
        retry_in = None if self._restarts_at is None else max(0.0, self._restarts_at - now)
        suspended = None if self.client is None else self.client.suspended
        error = self.error if suspended is None else suspended.cause
        return MemberHealth(self.jid, self.state, now - self._since, self.starts, error, retry_in)

    async def wait_online(self) -> Client:
        """Wait until the account is online, and return its client. Cancelling changes nothing.

        Raises the error of the last client if the account is down for good, ConnectionError if it has left the fleet.
        """
        await trio.lowlevel.checkpoint()
        while self.state is not MemberState.ONLINE or self.client is None:
            if self.state is MemberState.DOWN and self.error is not None:
                raise self.error
            if self.state is MemberState.FINISHED or self._is_leaving:
                raise ConnectionError(f"{self.jid} has left the fleet")
            await self._changes.park()
        return self.client

    async def wait_started(self) -> None:
        """Wait until the first attempt to connect has succeeded or failed. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while self.state in (MemberState.WAITING, MemberState.CONNECTING) and not self.ended.is_set():
            await self._changes.park()

    # --- for the fleet

    def leave(self) -> None:
        """Log out, and do not come back. `ended` tells when that is done."""
        self._is_leaving = True
        (self._work or self._life).cancel(reason="the account leaves the fleet")
        self._changes.unpark_all()

    def retry(self) -> None:
        """If the account is down, or waits for its restart, begin the next client now."""
        if self.state in (MemberState.DOWN, MemberState.RESTARTING):
            self._restarts_at = None
            self._become(MemberState.WAITING)
            self._hurry.set()

    async def live(self) -> None:
        """Have one client after the other, until the account leaves. Raises nothing of theirs."""
        try:
            with self._life:
                await self._clients()
            self._become(MemberState.FINISHED)
            self._company.tell(self, Finished())
        finally:
            self.ended.set()
            self._changes.unpark_all()

    async def _clients(self) -> None:
        ends, delay = 0, 0.0
        while (end := await self._one_client()) is not None:
            error, lasted = end
            if lasted >= self._policy.stable:
                ends, delay = 0, 0.0
            ends += 1
            pause = self._policy.delay(error, ends, delay, self._rng)
            self._died(error, pause)
            self._hurry = trio.Event()
            with trio.move_on_after(float("inf") if pause is None else pause):
                await self._hurry.wait()
            ends, delay = (0, 0.0) if pause is None else (ends, pause)
            self._restarts_at = None
            self._become(MemberState.WAITING)

    def _died(self, error: Exception, pause: float | None) -> None:
        again = "it is begun again when the fleet is told to" if pause is None else f"again in {pause:.1f} seconds"
        mistake = error if Cause.of(error) is Cause.MISTAKE else None
        logger.warning("the client of %s has ended, %s: %s", self.jid, again, error, exc_info=mistake)
        self.error = error
        self._restarts_at = None if pause is None else trio.current_time() + pause
        self._become(MemberState.DOWN if pause is None else MemberState.RESTARTING)
        self._company.tell(self, Died(error, pause))

    async def _one_client(self) -> tuple[Exception, float] | None:
        """Have a client until it ends; return why, and how many seconds it was connected. None: it is not wanted."""
        turn = await self._company.gate.enter()
        options = {"credentials": self.account.credentials, **self._options}
        services = [self._introduced, *options.pop("services", ())]
        began: float | None = None
        try:
            self.starts += 1
            self._become(MemberState.CONNECTING)
            async with connect(self.jid, self.account.password, services=services, **options) as client:
                turn.end()
                began = trio.current_time()
                with trio.CancelScope() as self._work:
                    if not self._is_leaving:
                        await self._run(client)
            return None
        except Exception as exc:
            if self._is_leaving:
                logger.debug("while the account left the fleet: %r", exc)
                return None
            return exc, 0.0 if began is None else trio.current_time() - began
        finally:
            turn.end()
            self.client = self._work = None

    @asynccontextmanager
    async def _introduced(self, client: Client) -> AsyncIterator[None]:
        """The first service of each client: from here on the fleet hears of it."""
        with client.on_event.context_connect(self._heard):
            self.client = client
            self._company.begins(self, client)
            yield

    def _heard(self, event: Event) -> None:
        match event:
            case Established() | Resumed():
                self.error = None
                self._become(MemberState.ONLINE)
            case Suspended(cause=error) | Destroyed(reason=error):
                self.error = error
                self._become(MemberState.SUSPENDED)
        self._company.tell(self, event)

    def _become(self, state: MemberState) -> None:
        if state is not self.state:
            self.state, self._since = state, trio.current_time()
            self._changes.unpark_all()
