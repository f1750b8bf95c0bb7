"""RFC 6121 §2, §3: our contacts, and the permission to see each other's presence.

The server keeps the roster, and pushes each change to all clients that have asked for it. So this mirror changes by
what the server sends and by nothing else: a verb returns when the push has come that reports its effect.

A session begins by asking for the changes since the version that we have (§2.6). The answer is the whole roster, or
nothing, and then pushes bring what differs. Pushes may come before the answer, too. One that does is newer than the
answer or in it already, so it is applied once more on top of it. Contacts and version are kept in notes for the next
process.

A contact that wants to see our presence asks (§3.1). That is an event, and waits in `Roster.requests`: nothing is
approved unless the application does it.
"""

from .contact import (
    Contact,
    ContactAdded,
    ContactChanged,
    ContactRemoved,
    RequestWithdrawn,
    RosterEvent,
    SubscriptionRequested,
    SubscriptionState,
)
from .roster import Roster, open_roster

__all__ = [
    "Contact",
    "ContactAdded",
    "ContactChanged",
    "ContactRemoved",
    "RequestWithdrawn",
    "Roster",
    "RosterEvent",
    "SubscriptionRequested",
    "SubscriptionState",
    "open_roster",
]
