"""One timeline of all messages of the account: live, copied, archived, our own, each once, with its provenance."""

from .entry import CaughtUp, Entry, Gap, NoArchive, Source, TimelineEvent
from .timeline import Timeline, open_timeline

__all__ = [
    "CaughtUp",
    "Entry",
    "Gap",
    "NoArchive",
    "Source",
    "Timeline",
    "TimelineEvent",
    "open_timeline",
]
