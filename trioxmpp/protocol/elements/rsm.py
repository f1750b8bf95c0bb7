"""XEP-0059: Result Set Management."""

from __future__ import annotations

from ... import xml
from .. import ns

__all__ = ["First", "Page"]


@xml.element(ns.RSM, "first")
class First:
    """The first item of a page: its `id`, and its `index` in the whole result where the responder knows it (§2.6)."""

    index: int | None = xml.attr(default=None, codec=xml.lenient(int))
    id: str = xml.text()


@xml.element(ns.RSM, "set")
class Page:
    """The part of a result that a request asks for, or that an answer holds.

    A request gives `max`, and `after` for the items that follow this one, or `before` for those that precede it; an
    empty `before` asks for the last page (§2.5). `max=0` asks for the `count` alone (§2.7). An answer names the
    `first` and the `last` item, and their `count` in the whole result. Ids are opaque and have no order.
    """

    max: int | None = xml.child_text(default=None)
    after: str | None = xml.child_text(default=None)
    before: str | None = xml.child_text(default=None)
    index: int | None = xml.child_text(default=None)
    first: First | None = xml.child(default=None)
    last: str | None = xml.child_text(default=None)
    count: int | None = xml.child_text(default=None, codec=xml.lenient(int))
