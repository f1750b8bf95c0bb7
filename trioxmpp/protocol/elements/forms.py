"""XEP-0004: Data Forms, with XEP-0122: Data Forms Validation. `trioxmpp.xep.forms` has typed fields on top of these.

A form that arrived is kept as it is: a field of an unknown type, without a name, or with too many values is no error
here. The value of a field is text; its type says how to understand it (XEP-0004 §3.3).
"""

from __future__ import annotations

import enum
from typing import Final

from ... import xml
from .. import ns

__all__ = [
    "FORM_TYPE",
    "DataForm",
    "Field",
    "FieldType",
    "FormType",
    "Item",
    "ListRange",
    "Option",
    "Range",
    "Reported",
    "Validate",
]

#: The name of the hidden field that holds the namespace of a form (XEP-0068).
FORM_TYPE: Final = "FORM_TYPE"
_VALIDATE: Final = "http://jabber.org/protocol/xdata-validate"


class FormType(enum.StrEnum):
    """The types of a form (XEP-0004 §3.1)."""

    FORM = "form"
    SUBMIT = "submit"
    CANCEL = "cancel"
    RESULT = "result"


class FieldType(enum.StrEnum):
    """The types of a field (XEP-0004 §3.3)."""

    BOOLEAN = "boolean"
    FIXED = "fixed"
    HIDDEN = "hidden"
    JID_MULTI = "jid-multi"
    JID_SINGLE = "jid-single"
    LIST_MULTI = "list-multi"
    LIST_SINGLE = "list-single"
    TEXT_MULTI = "text-multi"
    TEXT_PRIVATE = "text-private"
    TEXT_SINGLE = "text-single"


@xml.element(_VALIDATE, "range")
class Range:
    """The limits of a value (XEP-0122 §3.2.3)."""

    min: str | None = xml.attr(default=None)
    max: str | None = xml.attr(default=None)


@xml.element(_VALIDATE, "list-range")
class ListRange:
    """The limits of the number of values (XEP-0122 §3.3)."""

    min: int | None = xml.attr(default=None, codec=xml.lenient(int))
    max: int | None = xml.attr(default=None, codec=xml.lenient(int))


@xml.element(_VALIDATE, "validate")
class Validate:
    """The rule for the values of a field (XEP-0122 §3). `open`: values that are not among the options are allowed."""

    datatype: str | None = xml.attr(default=None)
    basic: bool = xml.flag()
    open: bool = xml.flag()
    range: Range | None = xml.child(default=None)
    regex: str | None = xml.child_text(default=None)
    list_range: ListRange | None = xml.child(default=None)


@xml.element(ns.FORMS, "option")
class Option:
    """One of the values that a list offers, with the text that a person reads (XEP-0004 §3.2)."""

    label: str | None = xml.attr(default=None)
    value: str = xml.child_text()


@xml.element(ns.FORMS, "field")
class Field:
    """A field (XEP-0004 §3.2). `var` is its name, which a fixed field need not have.

    An absent or unknown `type` means text-single; a form that is submitted leaves it out.
    """

    var: str | None = xml.attr(default=None)
    type: FieldType | str | None = xml.attr(default=None)
    label: str | None = xml.attr(default=None)
    desc: str | None = xml.child_text(default=None)
    required: bool = xml.flag()
    values: tuple[str, ...] = xml.child_texts("value")
    options: tuple[Option, ...] = xml.children(lenient=True)
    validate: Validate | None = xml.child(default=None, lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()

    def __repr__(self) -> str:
        """Show the values, unless they are a password."""
        values = "(...)" if self.type is FieldType.TEXT_PRIVATE else repr(self.values)
        return f"Field(var={self.var!r}, type={self.type and str(self.type)!r}, values={values})"


@xml.element(ns.FORMS, "reported")
class Reported:
    """The columns of a table (XEP-0004 §3.4)."""

    fields: tuple[Field, ...] = xml.children(lenient=True)


@xml.element(ns.FORMS, "item")
class Item:
    """A row of a table (XEP-0004 §3.4)."""

    fields: tuple[Field, ...] = xml.children(lenient=True)


@xml.element(ns.FORMS, "x")
class DataForm:
    """A form to fill in, one that was filled in, or a result (XEP-0004 §3)."""

    type: FormType | str = xml.attr(default=FormType.FORM)
    title: str | None = xml.child_text(default=None)
    instructions: tuple[str, ...] = xml.child_texts("instructions")
    fields: tuple[Field, ...] = xml.children(lenient=True)
    reported: Reported | None = xml.child(default=None)
    items: tuple[Item, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def form_type(self) -> str | None:
        """The namespace that gives the names of the fields their meaning (XEP-0068), or None.

        A form that is submitted need not say that the field is hidden.
        """
        field = self.field(FORM_TYPE)
        if field is None or not field.values or field.type not in (None, FieldType.HIDDEN):
            return None
        return field.values[0]

    def field(self, var: str) -> Field | None:
        """Return the first field of this name, or None."""
        return next((field for field in self.fields if field.var == var), None)
