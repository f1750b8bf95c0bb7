"""Values that a lenient field could not read: skipped, kept as they were, and logged once.

One bad item among a hundred must not hide the other ninety-nine, and must not vanish either: `malformed` returns it,
and the object that it was read with writes it again.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from ..errors import ElementError
from ..record import record
from .declaration import Declaration
from .markup import Element, fromstring, serialise_element

__all__ = ["UNREAD", "Malformed", "Unread", "malformed", "report", "set_aside"]

_logger = logging.getLogger(__name__)

#: The slot of an object that holds its malformed values by the name of their field, if it has any.
UNREAD: Final = "_unread"


@record
class Malformed:
    """A value that a lenient field could not read.

    `field` is the name of the field. `raw` is the text of the attribute or child, or a copy of the child element.
    `error` is the ElementError that a strict field would have raised.
    """

    field: str
    raw: str | Element
    error: ElementError

    def __reduce__(self) -> tuple[Any, ...]:
        is_element = isinstance(self.raw, Element)
        raw = serialise_element(self.raw, "") if isinstance(self.raw, Element) else self.raw
        return _restored, (self.field, raw, is_element, self.error)


def _restored(field: str, raw: str, is_element: bool, error: ElementError) -> Malformed:
    return Malformed(field, fromstring(raw) if is_element else raw, error)


Unread = dict[str, tuple[Malformed, ...]]


def malformed(payload: Any) -> tuple[Malformed, ...]:
    """Return what the lenient fields of an object could not read, in the order of its fields.

    It is written again when the object is. It does not count when objects are compared.
    """
    unread: Unread = getattr(payload, UNREAD, None) or {}
    return tuple([value for values in unread.values() for value in values])


def set_aside(
    unread: dict[str, list[Malformed]] | None,
    declaration: Declaration,
    field: str,
    raw: Any,
    error: ValueError,
    path: str,
) -> dict[str, list[Malformed]]:
    """Note a malformed value of a field: called by generated code."""
    if not isinstance(error, ElementError):
        error = ElementError(str(error), path)
    # A traceback would keep the tree that is being read.
    error.__traceback__ = error.__cause__ = error.__context__ = None
    unread = {} if unread is None else unread
    unread.setdefault(field, []).append(Malformed(field, raw, error))
    report(declaration, field, error)
    return unread


def report(declaration: Declaration, field: str, error: ElementError) -> None:
    """Log a malformed value: the first one of each field as a warning, since peers choose how many there are."""
    level = logging.DEBUG if field in declaration.reported else logging.WARNING
    declaration.reported.add(field)
    text = " ".join(str(error).split())
    _logger.log(level, "skipped a malformed value of %s: %.200s", declaration.cls.__qualname__, ascii(text)[1:-1])
