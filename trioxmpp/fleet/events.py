"""The events of an account of a fleet, beside those of its clients."""

from __future__ import annotations

from typing import TypeAlias

from ..client import Event
from ..record import field, record

__all__ = ["Died", "Finished", "FleetEvent"]


@record
class Died:
    """The client of the account has ended because of `error`.

    Another one begins in `delay` seconds; None: no other one, unless `Fleet.retry` says so.
    """

    error: Exception = field(compare=False)
    delay: float | None = None


@record
class Finished:
    """The account has logged out for good: its function has returned, or it leaves the fleet."""


#: An event of the client of an account, or of the account itself.
FleetEvent: TypeAlias = Event | Died | Finished
