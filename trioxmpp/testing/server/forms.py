"""Data forms (XEP-0004), as much as the server reads and writes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ... import xml
from ...protocol import ns
from .stanzas import build

__all__ = ["form", "read_form"]

_FORM = f"{{{ns.FORMS}}}x"
_FIELD = f"{{{ns.FORMS}}}field"
_VALUE = f"{{{ns.FORMS}}}value"


def form(
    type: str,
    form_type: str | None,
    values: Mapping[str, str | bool | Sequence[str] | None],
    types: Mapping[str, str] | None = None,
    *,
    title: str | None = None,
) -> xml.Element:
    """Return a form with these fields; None is a field without a value.

    `types` are the types of the fields; without them it is guessed from the value. `form_type` is the hidden FORM_TYPE
    (XEP-0068).
    """
    head = [] if form_type is None else [_field("FORM_TYPE", form_type, "hidden")]
    heading = None if title is None else build(ns.FORMS, "title", text=title)
    fields = (_field(name, value, (types or {}).get(name)) for name, value in values.items())
    return build(ns.FORMS, "x", heading, *head, *fields, type=type)


def _field(name: str, value: str | bool | Sequence[str] | None, type: str | None) -> xml.Element:
    if isinstance(value, bool):
        return build(ns.FORMS, "field", _value("1" if value else "0"), var=name, type=type or "boolean")
    values = [] if value is None else [value] if isinstance(value, str) else value
    kind = type or ("text-single" if value is None or isinstance(value, str) else "list-multi")
    return build(ns.FORMS, "field", *map(_value, values), var=name, type=kind)


def _value(text: str) -> xml.Element:
    return build(ns.FORMS, "value", text=text)


def read_form(parent: xml.Element | None) -> dict[str, list[str]]:
    """Return the values of the first form in `parent`, by field; nothing if there is no form."""
    found = None if parent is None else parent.find(_FORM)
    if found is None:
        return {}
    return {
        field.get("var", ""): [value.text or "" for value in field.iterchildren(_VALUE)]
        for field in found.iterchildren(_FIELD)
    }
