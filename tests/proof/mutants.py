"""Defects that the proof of stream management has to notice."""

from __future__ import annotations

from tests.mutants.planting import Mutant

__all__ = ["MUTANTS"]

MUTANTS = [
    Mutant(
        "what is in flight is sent again in reverse",
        "return tuple(self.unacked)",
        "return tuple(reversed(self.unacked))",
    ),
    Mutant(
        "stanzas are counted when they are parsed",
        """        while not self._take(await self._link.xmlstream.receive()):
            pass
""",
        """        while True:
            events = await self._link.xmlstream.receive()
            if self.core.session.sm is not None:
                parsed = [event for event in events if getattr(event, "tag", None) in ns.STANZA_TAGS]
                self.core.session.sm.handled = (self.core.session.sm.handled + len(parsed)) % 2**32
                self.core.session.sm.received = lambda: None
            if self._take(events):
                return
""",
    ),
    Mutant(
        "the count in <failed/> is forgotten",
        "if failed.h is not None:",
        "if failed.h is not None and False:",
    ),
    Mutant(
        "the outbound counter does not wrap",
        "count = (h - self.base) % MODULUS",
        "count = h - self.base if h >= self.base else 0",
    ),
    Mutant(
        "what is acknowledged stays in flight, and is settled twice",
        "return [self.unacked.popleft() for _ in range(count)]",
        "return [self.unacked[index] for index in range(count)]",
    ),
]
