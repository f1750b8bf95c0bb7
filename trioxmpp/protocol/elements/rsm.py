"""XEP-0059: Result Set Management."""

from __future__ import annotations

from ... import xml
from .. import ns

__all__ = ["Page"]


@xml.element(ns.RSM, "set")
class Page:
    """The part of a result that a request asks for, or that an answer holds.

    A request gives `max`, and `after` for the items that follow this one, or `before` for those that precede it; an
    empty `before` asks for the last page (§2.5). `max=0` asks for the `count` alone (§2.7). An answer names the
    `first` and the `last` item; `first_index` is the index of the first one in the whole result, and `count` the
    number of all items, where the responder knows them (§2.6). Ids are opaque and have no order.
    """

    max: int | None = xml.child_text(default=None, codec=xml.lenient(int))
    after: str | None = xml.child_text(default=None)
    before: str | None = xml.child_text(default=None)
    index: int | None = xml.child_text(default=None, codec=xml.lenient(int))
    first: str | None = xml.child_text(default=None)
    first_index: int | None = xml.attr("index", inside="first", default=None, codec=xml.lenient(int))
    last: str | None = xml.child_text(default=None)
    count: int | None = xml.child_text(default=None, codec=xml.lenient(int))
