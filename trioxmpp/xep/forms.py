"""XEP-0004: Data Forms as classes with typed fields (XEP-0068, XEP-0122, XEP-0128).

An application declares the fields that it knows:

    class RoomConfig(Form, form_type="http://jabber.org/protocol/muc#roomconfig"):
        name = text("muc#roomconfig_roomname")
        public = boolean("muc#roomconfig_publicroom", default=True)
        whois = choice("muc#roomconfig_whois", Whois)
        admins = jids("muc#roomconfig_roomadmins")

It reads a form that arrived (``config = RoomConfig.read(data)``), gets and sets attributes, and submits it
(``config.submit()``). Reading never fails for a bad value: the error comes when the attribute is used. Fields that the
class does not declare are kept, and are there by name: ``config["muc#roomconfig_lang"]``.

A form that is submitted holds the FORM_TYPE, the fields that were changed, those that are required, and the hidden
ones, which the sender of the form wants back (XEP-0004 §3.3). The receiver keeps its value of a field that is left out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, overload

from ..jid import JID
from ..protocol.elements.forms import FORM_TYPE, DataForm, FieldType, FormType, Item
from ..protocol.elements.forms import Field as RawField
from ..xml import Codec, codec_for

__all__ = [
    "Form",
    "FormError",
    "FormField",
    "boolean",
    "choice",
    "choices",
    "hidden",
    "integer",
    "jid",
    "jids",
    "moment",
    "multi",
    "private",
    "text",
    "texts",
]

T = TypeVar("T")
D = TypeVar("D")
E = TypeVar("E", bound=enum.Enum)

_MULTI: Final = frozenset({FieldType.JID_MULTI, FieldType.LIST_MULTI, FieldType.TEXT_MULTI})
_LISTS: Final = frozenset({FieldType.LIST_MULTI, FieldType.LIST_SINGLE})
_JIDS: Final = frozenset({FieldType.JID_MULTI, FieldType.JID_SINGLE})
_STR: Final[Codec[str]] = codec_for(str)
_BOOL: Final[Codec[bool]] = Codec(codec_for(bool).decode, lambda value: "1" if value else "0")


class FormError(ValueError):
    """A value in a form is not of its type, or must not be submitted. `var` is the name of the field."""

    def __init__(self, var: str, message: str) -> None:
        self.var = var
        super().__init__(var, message)

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"


class FormField(Generic[T]):
    """A field of a form as an attribute of its class; the functions of this module make it.

    Getting it raises FormError if the form has a value of another type. Setting it to None leaves the field out.
    """

    __slots__ = ("cls", "codec", "default", "is_multi", "is_private", "type", "var")

    def __init__(
        self,
        var: str,
        kind: FieldType,
        codec: Codec[Any],
        cls: type[Any],
        *,
        default: Any = None,
        is_multi: bool = False,
    ) -> None:
        self.var: str = var
        self.type: FieldType = kind
        self.codec: Codec[Any] = codec
        self.cls: type[Any] = cls
        self.default: Any = default
        self.is_multi: bool = is_multi
        self.is_private: bool = kind is FieldType.TEXT_PRIVATE

    @overload
    def __get__(self, form: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, form: Form, owner: type[Any]) -> T: ...
    def __get__(self, form: Form | None, owner: type[Any]) -> Any:
        if form is None:
            return self
        values = form.values(self.var)
        if values is None or not (values or self.is_multi):
            return self.default
        decoded = [_decoded(self.var, value, self.codec) for value in values]
        return tuple(dict.fromkeys(decoded) if self.cls is JID else decoded) if self.is_multi else decoded[0]

    def __set__(self, form: Form, value: T) -> None:
        if value is None:
            form.leave_out(self.var)
            return
        values: Any = value if self.is_multi else (value,)
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(f"{self.var} must be several values, not {type(value).__name__}")
        form.set_values(self.var, [_encoded(self.var, each, self.codec, self.cls) for each in values])


def _decoded(var: str, value: str, codec: Codec[Any]) -> Any:
    try:
        return codec.decode(value)
    except ValueError as exc:
        raise FormError(var, f"{value[:100]!r}: {exc}") from None


def _encoded(var: str, value: object, codec: Codec[Any], cls: type[Any]) -> str:
    if not isinstance(value, cls) or (cls is int and isinstance(value, bool)):
        raise TypeError(f"{var} must be of class {cls.__name__}, not {type(value).__name__}")
    return codec.encode(value)


class Form:
    """Base of forms. It can be used itself for a form whose fields are not known: ``form["var"]``.

    `data` is the form that arrived; None for one that the application makes.
    """

    form_type: ClassVar[str | None] = None
    data: DataForm | None

    def __init_subclass__(cls, *, form_type: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if form_type is not None:
            cls.form_type = form_type

    def __init__(self) -> None:
        """Make an empty form, to be filled in and submitted to a receiver that did not send one."""
        self.data = None
        self._raw: dict[str, RawField] = {}
        self._changed: dict[str, tuple[str, ...] | None] = {}

    @classmethod
    def read(cls, data: DataForm) -> Self:
        """Return a form that arrived. Raises FormError if its FORM_TYPE is another than that of the class."""
        if cls.form_type is not None and data.form_type not in (None, cls.form_type):
            raise FormError(FORM_TYPE, f"expected {cls.form_type}, got {str(data.form_type)[:200]}")
        return cls._of(data, data.fields)

    @classmethod
    def rows(cls, data: DataForm) -> tuple[Self, ...]:
        """Return the rows of a table of results (XEP-0004 §3.4); its header has the types of the fields."""
        types = {} if data.reported is None else {field.var: field.type for field in data.reported.fields}

        def typed(item: Item) -> list[RawField]:
            return [RawField(var=f.var, type=f.type or types.get(f.var), values=f.values) for f in item.fields]

        return tuple([cls._of(data, typed(item)) for item in data.items])

    @classmethod
    def _of(cls, data: DataForm, fields: Iterable[RawField]) -> Self:
        form = cls()
        form.data = data
        for field in fields:
            if field.var is not None:
                form._raw.setdefault(field.var, field)  # a name is unique (XEP-0004 §3.2): the first one counts
        return form

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._raw, *self._changed]))

    def __contains__(self, var: str) -> bool:
        return var in self._raw or var in self._changed

    def __getitem__(self, var: str) -> Any:
        """Return the value of a field, by the type that the form gives it; None without a value.

        That is a bool, a str, a JID, or a tuple of str or JID. Raises KeyError if the form has no such field, FormError
        if its value is not of its type.
        """
        if var not in self:
            raise KeyError(var)
        return self._field_for(var).__get__(self, type(self))

    def __setitem__(self, var: str, value: Any) -> None:
        """Change a field by the type that the form gives it. Raises FormError if the form has no such field."""
        if self.data is not None and var not in self:
            raise FormError(var, "the form has no such field")
        field = self._field_for(var)
        if field.type is FieldType.TEXT_MULTI and isinstance(value, str):
            value = value.split("\n")
        if field.cls is JID:
            given = value if isinstance(value, tuple | list) else (value,)
            found = [JID.parse(each) if isinstance(each, str) else each for each in given]
            value = found if field.is_multi else found[0]
        field.__set__(self, value)

    def _field_for(self, var: str) -> FormField[Any]:
        field = self._raw.get(var)
        kind = FieldType.TEXT_SINGLE if field is None or not isinstance(field.type, FieldType) else field.type
        is_multi = kind in _MULTI
        if kind is FieldType.HIDDEN:
            is_multi = len(self.values(var) or ()) > 1
        if kind is FieldType.BOOLEAN:
            return FormField(var, kind, _BOOL, bool)
        codec = codec_for(JID) if kind in _JIDS else _STR
        return FormField(var, kind, codec, JID if kind in _JIDS else str, is_multi=is_multi)

    def values(self, var: str) -> tuple[str, ...] | None:
        """Return the values of a field as text; None if there is no such field, or it was left out."""
        if var in self._changed:
            return self._changed[var]
        field = self._raw.get(var)
        return None if field is None else field.values

    def set_values(self, var: str, values: Iterable[str]) -> None:
        """Change a field. Raises FormError for values that the form does not allow."""
        texts, field = tuple(values), self._raw.get(var)
        if field is not None:
            _check(var, texts, field)
        self._changed[var] = texts

    def leave_out(self, var: str) -> None:
        """Do not submit a field."""
        self._changed[var] = None

    def submit(self) -> DataForm:
        """Return the form to send. Raises FormError if a required field has no value."""
        fields = []
        form_type = self.form_type
        if form_type is None and self.data is not None:
            form_type = self.data.form_type
        if form_type is not None:
            fields.append(RawField(var=FORM_TYPE, type=FieldType.HIDDEN, values=(form_type,)))
        for var in self:
            field, values = self._raw.get(var), self.values(var)
            is_required = field is not None and field.required
            if is_required and not any(values or ()):
                raise FormError(var, "a value is required")
            is_sent = var in self._changed or is_required or (field is not None and field.type is FieldType.HIDDEN)
            if var != FORM_TYPE and is_sent and values is not None:
                fields.append(RawField(var=var, values=values))
        return DataForm(type=FormType.SUBMIT, fields=tuple(fields))

    def cancel(self) -> DataForm:
        """Return the answer that declines the form (XEP-0004 §3.1)."""
        return DataForm(type=FormType.CANCEL)

    def __repr__(self) -> str:
        known = {field.var: field for field in vars(type(self)).values() if isinstance(field, FormField)}
        shown = []
        for var in self:
            is_private = (var in known and known[var].is_private) or self._field_for(var).is_private
            shown.append(f"{var}={'...' if is_private else self.values(var)!r}")
        return f"<{type(self).__name__} {' '.join(shown)}>"


def _check(var: str, values: tuple[str, ...], field: RawField) -> None:
    """Refuse values that a field of this type must not have (XEP-0004 §3.3)."""
    kind = field.type
    if kind not in _MULTI and kind is not FieldType.HIDDEN and len(values) > 1:
        raise FormError(var, "only one value is allowed")
    if kind is not FieldType.HIDDEN and any("\n" in value or "\r" in value for value in values):
        raise FormError(var, "a value must not contain a line break")
    is_open = field.validate is not None and field.validate.open
    if kind in _LISTS and field.options and not is_open:
        offered = {option.value for option in field.options}
        for value in values:
            if value not in offered:
                raise FormError(var, f"{value[:100]!r} is not among the options")


def _single(var: str, kind: FieldType, cls: type[Any], default: Any, codec: Codec[Any] | None = None) -> FormField[Any]:
    return FormField(var, kind, codec or codec_for(cls), cls, default=default)


def _several(var: str, kind: FieldType, cls: type[Any]) -> FormField[Any]:
    return FormField(var, kind, codec_for(cls), cls, default=(), is_multi=True)


@overload
def text(var: str) -> FormField[str | None]: ...
@overload
def text(var: str, *, default: str) -> FormField[str]: ...
def text(var: str, *, default: str | None = None) -> FormField[Any]:
    """Return a field with one line of text."""
    return _single(var, FieldType.TEXT_SINGLE, str, default)


def private(var: str) -> FormField[str | None]:
    """Return a field with a secret, which the repr of the form does not show."""
    return _single(var, FieldType.TEXT_PRIVATE, str, None)


def hidden(var: str) -> FormField[str | None]:
    """Return a field that no person sees; it is submitted as it came."""
    return _single(var, FieldType.HIDDEN, str, None)


def multi(var: str) -> FormField[tuple[str, ...]]:
    """Return a field with lines of text."""
    return _several(var, FieldType.TEXT_MULTI, str)


@overload
def boolean(var: str) -> FormField[bool | None]: ...
@overload
def boolean(var: str, *, default: bool) -> FormField[bool]: ...
def boolean(var: str, *, default: bool | None = None) -> FormField[Any]:
    """Return a field with a boolean, written ``1`` or ``0``."""
    return _single(var, FieldType.BOOLEAN, bool, default, _BOOL)


@overload
def integer(var: str) -> FormField[int | None]: ...
@overload
def integer(var: str, *, default: int) -> FormField[int]: ...
def integer(var: str, *, default: int | None = None) -> FormField[Any]:
    """Return a field with an integer, as a line of text."""
    return _single(var, FieldType.TEXT_SINGLE, int, default)


def moment(var: str) -> FormField[datetime | None]:
    """Return a field with a date and time (XEP-0082), as a line of text."""
    return _single(var, FieldType.TEXT_SINGLE, datetime, None)


def jid(var: str) -> FormField[JID | None]:
    """Return a field with an address."""
    return _single(var, FieldType.JID_SINGLE, JID, None)


def jids(var: str) -> FormField[tuple[JID, ...]]:
    """Return a field with addresses, each only once (XEP-0004 §3.3)."""
    return _several(var, FieldType.JID_MULTI, JID)


@overload
def choice(var: str, options: type[E]) -> FormField[E | None]: ...
@overload
def choice(var: str, options: type[E], *, default: E) -> FormField[E]: ...
def choice(var: str, options: type[Any], *, default: Any = None) -> FormField[Any]:
    """Return a field with one of the values of an enum. A value that the enum does not have is a FormError."""
    return _single(var, FieldType.LIST_SINGLE, options, default)


def choices(var: str, options: type[E]) -> FormField[tuple[E, ...]]:
    """Return a field with any of the values of an enum, in order."""
    return _several(var, FieldType.LIST_MULTI, options)


def texts(var: str) -> FormField[tuple[str, ...]]:
    """Return a field with any of the values that the form offers, in order."""
    return _several(var, FieldType.LIST_MULTI, str)
