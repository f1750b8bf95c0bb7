"""One timeline of all messages of the account, and one of each room: live, copied, archived, our own, each once."""

from .archives import entry_in_room
from .entry import CaughtUp, Entry, Gap, NoArchive, Source, TimelineEvent
from .history import History
from .rooms import RoomTimeline, open_room_timeline
from .timeline import Timeline, open_timeline

__all__ = [
    "CaughtUp",
    "Entry",
    "Gap",
    "History",
    "NoArchive",
    "RoomTimeline",
    "Source",
    "Timeline",
    "TimelineEvent",
    "entry_in_room",
    "open_room_timeline",
    "open_timeline",
]
