"""How many inbound stanzas reached no consumer. Each of these losses is a WARNING in the log as well."""

from __future__ import annotations

__all__ = ["Losses"]


class Losses:
    """The numbers of stanzas that were lost since the stream was made, by why. Where one is lost, it is counted."""

    __slots__ = ("overflowed", "passed_over", "unclaimed")

    def __init__(self) -> None:
        self.overflowed: int = 0
        """Dropped from the inbox of a subscription, since its consumer was too slow."""
        self.unclaimed: int = 0
        """Dropped since nothing had subscribed to them in time."""
        self.passed_over: int = 0
        """Passed over, since they exceeded a limit or could not be read."""
