"""How much of what a peer sends is taken (RFC 6120 §13.12).

A stanza that exceeds a limit is passed over: it is read to its end, and nothing of it is kept (`skipping`). The stream
goes on. Two limits end the stream, because nothing but the end helps against a peer that exceeds them: `header`, and
`ceiling`, which bounds an element that might never end.
"""

from __future__ import annotations

from typing import Final

from ..record import record

__all__ = ["MAX_DEPTH", "Limits"]

#: The greatest depth that libxml2 reads without `huge_tree`. Reading in bulk relies on it.
MAX_DEPTH: Final = 256


@record
class Limits:
    """The most that one first-level element may have; every field is a positive number.

    Raises ValueError for a number that is not positive, for a `depth` of more than 256, and for a `ceiling` below
    `stanza`.
    """

    header: int = 16384
    """Octets of the stream header, with the XML declaration. Beyond them the stream ends with *policy-violation*."""
    stanza: int = 16 << 20
    """Octets of a first-level element. The elements in memory take about ten times as much."""
    ceiling: int = 64 << 20
    """Octets of a first-level element that is passed over. Beyond them the stream ends with *policy-violation*."""
    depth: int = MAX_DEPTH
    """Elements within each other, the stream being the first. A lower limit than 256 makes reading slower."""
    attributes: int = 1024
    """Attributes of one element, namespace declarations not counted."""
    children: int = 250_000
    """Elements within one first-level element, at all depths."""
    name: int = 2048
    """Characters of the name of an element or attribute, with its namespace."""

    def __post_init__(self) -> None:
        for name in ("header", "stanza", "ceiling", "depth", "attributes", "children", "name"):
            if getattr(self, name) < 1:
                raise ValueError(f"the limit {name!r} is a positive number")
        if self.depth > MAX_DEPTH:
            raise ValueError(f"the limit 'depth' is {MAX_DEPTH} at most")
        if self.ceiling < self.stanza:
            raise ValueError("the limit 'ceiling' is not below the limit 'stanza'")
