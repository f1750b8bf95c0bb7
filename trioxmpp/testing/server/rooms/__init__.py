"""Rooms (XEP-0045) at a domain of their own beside the server's.

`service` takes the stanzas that arrive there and finds the room; `room` is what a room knows; `announcing` writes its
presences; `entering`, `speaking` and `ruling` are what occupants do there.
"""

from .room import Affiliation, Occupant, Role, Room
from .service import Rooms

__all__ = ["Affiliation", "Occupant", "Role", "Room", "Rooms"]
