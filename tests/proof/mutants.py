"""Defects that somebody might introduce, each as a small change to one file, to see that the proof would notice."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["MUTANTS", "Mutant"]


class Mutant(NamedTuple):
    """Replaces `old`, which occurs exactly once, in `file`."""

    name: str
    file: str
    old: str
    new: str

    def plant(self, tree: Path) -> None:
        """Make the change in a copy of the repository."""
        path = tree / self.file
        source = path.read_text()
        assert source.count(self.old) == 1, f"{self.name}: the place where it is to be planted has changed"
        path.write_text(source.replace(self.old, self.new))


MUTANTS = [
    Mutant(
        "what is in flight is sent again in reverse",
        "trioxmpp/protocol/sm.py",
        "return tuple(self.unacked)",
        "return tuple(reversed(self.unacked))",
    ),
    Mutant(
        "stanzas are counted when they are parsed",
        "trioxmpp/stream/reader.py",
        """        while not self._take(await self._incarnation.xmlstream.receive()):
            pass
""",
        """        while True:
            events = await self._incarnation.xmlstream.receive()
            if self.core.session.sm is not None:
                parsed = [event for event in events if getattr(event, "tag", None) in _STANZAS]
                self.core.session.sm.handled = (self.core.session.sm.handled + len(parsed)) % 2**32
                self.core.session.sm.received = lambda: None
            if self._take(events):
                return
""",
    ),
    Mutant(
        "the count in <failed/> is forgotten",
        "trioxmpp/stream/resumption.py",
        "if failed.h is not None:",
        "if failed.h is not None and False:",
    ),
    Mutant(
        "the outbound counter does not wrap",
        "trioxmpp/protocol/sm.py",
        "count = (h - self.base) % MODULUS",
        "count = h - self.base if h >= self.base else 0",
    ),
    Mutant(
        "what is acknowledged stays in flight, and is settled twice",
        "trioxmpp/protocol/sm.py",
        "return [self.unacked.popleft() for _ in range(count)]",
        "return [self.unacked[index] for index in range(count)]",
    ),
]
