"""Properties that read the children of a stanza when the first of them is needed."""

from __future__ import annotations

from typing import Any

from ...xml.codegen import Source

__all__ = ["lazy"]


def lazy(slot: str, doc: str) -> Any:
    """Return a property for the value in `slot`, which the first access to any such property fills.

    Its functions are written and compiled, so that they cost no more than the same lines by hand. The class annotates
    the property with its type, as it would an attribute.
    """
    source = Source()
    for line in (
        "def get(self):",
        "    if self._element is not None:",
        "        self._read()",
        f"    return self.{slot}",
    ):
        source.add(0, line)
    source.add(0, "def put(self, value):")
    for line in ("    if self._element is not None:", "        self._read()", f"    self.{slot} = value"):
        source.add(0, line)
    names = source.compile(f"stanza property {slot}")
    return property(names["get"], names["put"], doc=doc)
