"""Checks of the values that an application gives a stanza: TypeError and ValueError name the field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from ... import xml
from ...jid import JID

__all__ = ["address", "check_class", "check_payloads", "check_text", "payload_list", "texts_by_language"]


def check_class(field: str, value: object, cls: type[Any]) -> None:
    """Raise TypeError unless the value of the field is None or of this class."""
    if value is not None and not isinstance(value, cls):
        _refuse(field, value, f"{'an' if cls.__name__[0] in 'EI' else 'a'} {cls.__name__}")


def address(field: str, value: JID | str | None) -> JID | None:
    """Return the address that a field was given. Raises JIDError for a string that is not an address."""
    if isinstance(value, str):
        return JID.parse(value)
    check_class(field, value, JID)
    return value


def texts_by_language(field: str, value: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return texts by language, of which one may have none: that is ``""``."""
    if isinstance(value, str):
        return {"": value}
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _refuse(field, value, "a str, a mapping of languages to texts, or None")
    texts = dict(value)
    for lang, text in texts.items():
        check_class(f"{field}[{lang!r}]", text, str)
    return texts


def payload_list(value: Iterable[Any]) -> list[Any]:
    """Return the payloads of a stanza as a list of its own."""
    if value.__class__ is list or value.__class__ is tuple:  # nearly always, and to ask for more takes longer
        return [*value]
    if isinstance(value, str) or not isinstance(value, Iterable) or isinstance(value, xml.Element):
        _refuse("payloads", value, "an iterable of elements")
    return [*value]


def check_text(field: str, value: object) -> None:
    """Raise unless the value is a str that XML can carry (XML 1.0 §2.2)."""
    if not isinstance(value, str):
        _refuse(field, value, "a str")
    try:
        xml.escape(value)
    except ValueError as exc:
        raise ValueError(f"{field}: {exc}") from None


def check_payloads(payloads: list[Any]) -> tuple[list[Any], str] | None:
    """Check that payloads can be written. Return them and their XML, or None if one is an element, which may change.

    Raises as `xml.serialise` does, but the error names the class and the field.
    """
    text, is_frozen = "", True
    for payload in payloads:
        if isinstance(payload, xml.Element):
            is_frozen = False  # and legal, for lxml refuses what XML cannot carry
            continue
        try:
            text += xml.serialise(payload)
        except ValueError as exc:
            _find_text(type(payload).__name__, payload)
            raise ValueError(f"{type(payload).__name__}: {exc}") from exc
        except TypeError as exc:
            raise TypeError(f"payload {type(payload).__name__}: {exc}") from exc
    return (payloads[:], text) if is_frozen else None


def _find_text(path: str, value: object) -> None:
    """Raise the error of the first text in the value that XML cannot carry, with its path."""
    if isinstance(value, str):
        check_text(path, value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _find_text(f"{path}[{key!r}]", item)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            _find_text(f"{path}[{index}]", item)
    else:
        for name in getattr(type(value), "__match_args__", ()):
            _find_text(f"{path}.{name}", getattr(value, name))


def _refuse(field: str, value: object, expected: str) -> NoReturn:
    raise TypeError(f"{field} must be {expected}, not {type(value).__name__}")
