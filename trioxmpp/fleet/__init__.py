"""Many accounts in one process: each may die alone, and is begun again by itself.

`open_fleet` is a block. `account` has what an account and its restarts are described by, `member` the life of one
account, `fleet` the table of all, `inbox` the one place where the messages and events of all arrive.
"""

from .account import Account, RestartPolicy
from .events import Died, Finished, FleetEvent
from .fleet import Fleet, open_fleet
from .health import FleetHealth, MemberHealth, MemberState
from .inbox import Arrival, Happened, Received
from .member import Member

__all__ = [
    "Account",
    "Arrival",
    "Died",
    "Finished",
    "Fleet",
    "FleetEvent",
    "FleetHealth",
    "Happened",
    "Member",
    "MemberHealth",
    "MemberState",
    "Received",
    "RestartPolicy",
    "open_fleet",
]
