"""Inventories of the names of other projects, so that names in our pages link to their documentation.

An inventory (``objects.inv``) of Sphinx lists all names of a project, and has to be fetched. Ours are short lists in
``docs/_inventories``: the first line of each is the address of the documentation; each other line has a page, the kind
of what follows, and names. A build needs no network.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["mapping", "names", "objects_inv"]


def names(text: str) -> Iterator[tuple[str, str, str]]:
    """Return each name in a list, with its kind and its page."""
    for line in text.splitlines()[1:]:
        page, kind, *listed = line.split()
        yield from ((name, kind, page) for name in listed)


def objects_inv(project: str, text: str) -> bytes:
    """Return a list as an inventory of Sphinx, version 2."""
    lines = (
        f"{name} py:{kind} 1 {page}#{'module-' if kind == 'module' else ''}$ -\n" for name, kind, page in names(text)
    )
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# The rest is compressed with zlib.\n"
    return head.encode() + zlib.compress("".join(lines).encode())


def mapping(lists: Path, made: Path) -> dict[str, tuple[str, str]]:
    """Make an inventory in the folder `made` of each list; return them in the form of ``intersphinx_mapping``."""
    made.mkdir(parents=True, exist_ok=True)
    found = {}
    for path in sorted(lists.glob("*.txt")):
        text = path.read_text()
        target = made / f"{path.stem}.inv"
        target.write_bytes(objects_inv(path.stem, text))
        found[path.stem] = (text.splitlines()[0].strip(), str(target))
    return found
