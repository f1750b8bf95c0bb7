"""Writes the lines that turn raw texts into values: decoded, checked, or replaced by the default."""

from __future__ import annotations

from .codegen import Source
from .declaration import Declaration
from .plan import PlannedField

__all__ = ["Decoder"]


class Decoder:
    """Writes into the function of one class."""

    def __init__(self, source: Source, declaration: Declaration) -> None:
        self._source = source
        self.is_plain: bool = declaration.is_plain
        # A constructor that counts what it was given must not be given what is missing.
        self._absent = not declaration.is_plain and not declaration.has_own_init

    def decode(self, field: PlannedField, path: str) -> None:
        """Turn the text, or None, in the variable of a field into its value."""
        source, target = self._source, f"v_{field.field}"
        is_raw = field.is_text and field.validate is None
        if is_raw and not field.is_required and field.default is None:
            return
        source.add(1, f"if {target} is None:")
        self.default(field, path)
        if is_raw and not field.bit:
            return
        source.add(1, "else:")
        if field.bit and self.is_plain:
            source.add(2, f"given |= {field.bit}")
        if is_raw:
            source.add(2, "pass")
            return
        source.add(2, "try:")
        with source.indented(2):
            self._decode_one(field, target)
        source.add(2, "except ValueError as exc:")
        if field.is_lenient:
            source.add(3, f"unread = aside(unread, declaration, {field.field!r}, {target}, exc, {path!r})")
            source.add(3, f"{target} = None")
        elif field.is_required:
            source.add(3, f"raise ElementError(str(exc), {path!r}) from exc")
        else:
            # An empty value that makes no sense is as good as absent.
            source.add(3, f"if {target}.__class__ is not str or {target}.strip():")
            source.add(4, f"raise ElementError(str(exc), {path!r}) from exc")
            with source.indented(1):
                self.default(field, path)
            if field.bit and self.is_plain:
                source.add(3, f"given ^= {field.bit}")

    def _decode_one(self, field: PlannedField, target: str) -> None:
        """Decode one text, and check its value. A lenient codec is not asked, but the strict one that it is made of."""
        assert field.codec is not None
        codec = field.codec.strict or field.codec
        value = target
        if not field.is_text:
            value = f"{self._source.bind(codec.decode)}({target})"
        if field.validate is None:
            self._source.add(1, f"{target} = {value}")
        else:
            self._source.add(1, f"value = {value}")
            self._source.add(1, f"{self._source.bind(field.validate)}(value)")
            self._source.add(1, f"{target} = value")

    def default(self, field: PlannedField, path: str) -> None:
        """Write what follows ``if the value is absent:``."""
        if field.is_required:
            self._source.add(2, f"raise ElementError('missing', {path!r})")
        elif field.bit and self._absent:
            self._source.add(2, f"v_{field.field} = missing")
        else:
            self._source.add(2, f"v_{field.field} = {self._source.bind(field.default)}")

    def decode_many(self, field: PlannedField, path: str) -> None:
        """Turn the list of texts in the variable of a field into the list of its values."""
        if field.is_text and field.validate is None:
            return
        add, texts = self._source.add, f"v_{field.field}"
        add(1, f"texts, {texts} = {texts}, []")
        add(1, "for number, item in enumerate(texts, 1):")
        add(2, "try:")
        with self._source.indented(2):
            self._decode_one(field, "item")
        add(3, f"{texts}.append(item)")
        add(2, "except ValueError as exc:")
        where = f"{path!r} + f'[{{number}}]'"
        if field.is_lenient:
            add(3, f"unread = aside(unread, declaration, {field.field!r}, item, exc, {where})")
        else:
            add(3, f"raise ElementError(str(exc), {where}) from exc")
