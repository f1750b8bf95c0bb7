"""Checks of the built book: ``python -m tests.docs.built build/docs``. It opens no connection.

Each link inside the book leads to a page and a place in it that exist, no page is without links, and each public name
of the library is described.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Pages that Sphinx makes by itself.
GENERATED = {"genindex.html", "search.html", "py-modindex.html"}


class Page(HTMLParser):
    """The links and the anchors of a page; `inside` are the links of its text, without menus."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.inside: list[str] = []
        self._depth = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "article":
            self._depth += 1
        if (anchor := found.get("id")) is not None:
            self.anchors.add(anchor)
        if tag == "a" and (link := found.get("href")) is not None:
            self.links.append(link)
            if self._depth and "headerlink" not in (found.get("class") or ""):
                self.inside.append(link)

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._depth -= 1


def broken_links(root: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Return a line for each link that leads to no page of the book, or to no place in it."""
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{path.relative_to(root)}: {link} leads to no page"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(root)}: {link} leads to no place in its page"


def without_links(root: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Return a line for each page whose text has no link to another page."""
    for path, page in pages.items():
        others = [link for link in page.inside if not link.startswith("#")]
        if path.name not in GENERATED and not others:
            yield f"{path.relative_to(root)}: there is no link in it"


def described(root: Path) -> set[str]:
    """Return the names of Python that the book describes, from its inventory."""
    data = (root / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split(" ")[0] for line in zlib.decompress(data).decode().splitlines() if " py:" in line}


def undescribed(names: set[str]) -> Iterator[str]:
    """Return a line for each public name that is not described under any module."""
    ends = {name.rpartition(".")[2] for name in names}
    modules = [importlib.import_module("trioxmpp")]
    for package in ("trioxmpp.im", "trioxmpp.xep", "trioxmpp.protocol.elements"):
        inside = pkgutil.iter_modules(importlib.import_module(package).__path__)
        modules += [importlib.import_module(f"{package}.{module.name}") for module in inside]
    for module in modules:
        for name in getattr(module, "__all__", ()):
            if name not in ends:
                yield f"{module.__name__}.{name} is not described"


def main(folder: str) -> int:
    """Print each fault of the book that is in `folder`; return their number."""
    root = Path(folder).resolve()
    pages = {path: Page(path.read_text()) for path in sorted(root.rglob("*.html")) if "_static" not in path.parts}
    names = described(root)
    faults = [*broken_links(root, pages), *without_links(root, pages), *undescribed(names)]
    print(*faults, f"{len(pages)} pages, {len(names)} names, {len(faults)} faults", sep="\n")
    return len(faults)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1]), 1))
