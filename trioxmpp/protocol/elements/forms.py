"""XEP-0004: Data Forms, as far as the client itself submits one."""

from __future__ import annotations

from ... import xml
from .. import ns

__all__ = ["Field", "SubmittedForm"]


@xml.element(ns.FORMS, "field")
class Field:
    """A field with at most one value (XEP-0004 §3.2)."""

    var: str | None = xml.attr(default=None)
    type: str | None = xml.attr(default=None)
    value: str | None = xml.child_text(default=None)


@xml.element(ns.FORMS, "x", fixed={"type": "submit"})
class SubmittedForm:
    """The values that the submitter chose (XEP-0004 §3.1)."""

    fields: tuple[Field, ...] = xml.children()
