"""The two hashes of what an entity is and offers, and the part of an answer that a hash proves.

The hash of XEP-0115 is over texts with ``<`` between them, and nothing says to what kind of thing a text belongs. So
texts that contain ``<``, and features that could be read as an identity, would allow different answers with one hash
(§5.4, and XEP-0390 §1). Such an answer has no hash here. XEP-0390 separates by characters that XML cannot carry.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from ...protocol.elements.disco import Identity, Info
from ...protocol.elements.forms import FORM_TYPE, DataForm, Field, FieldType, FormType

__all__ = ["ALGORITHMS", "NotHashable", "hash_115", "hash_390", "hashed_115", "hashed_390"]

#: The functions that are accepted, by their names in XEP-0300. MD5 is not one of them (XEP-0300 §4).
ALGORITHMS: Final[dict[str, Callable[[bytes], Any]]] = {
    "sha-1": hashlib.sha1,
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "sha3-256": hashlib.sha3_256,
    "sha3-512": hashlib.sha3_512,
    "blake2b-256": partial(hashlib.blake2b, digest_size=32),
    "blake2b-512": partial(hashlib.blake2b, digest_size=64),
}


class NotHashable(ValueError):
    """An answer is ill-formed, so that its hash would prove nothing."""


# --- XEP-0115


def hash_115(info: Info, algo: str = "sha-1") -> str:
    """Return the verification string of an answer, in Base64 (XEP-0115 §5.1). Raises NotHashable, and KeyError."""
    texts = ["/".join(each) for each in _identities(info)]
    features = _features(info)
    texts += features
    for form in _forms_115(info):
        texts.append(_form_type(form))
        for var, values in _fields(form):
            if var != FORM_TYPE:
                texts += [var, *values]
    if any("<" in text for text in texts):
        raise NotHashable("a text contains '<' (XEP-0115 §5.4)")
    if any("/" in feature.partition(":")[0] for feature in features):
        raise NotHashable("a feature could be read as an identity")
    return _base64(algo, "".join([f"{text}<" for text in texts]))


def hashed_115(info: Info) -> Info:
    """Return the part of an answer that its hash proves."""
    return _proven(info, _forms_115(info))


def _forms_115(info: Info) -> list[DataForm]:
    """Return the forms that count, in order. One without a hidden FORM_TYPE is ignored (§5.4)."""
    forms = [form for form in info.forms if _hidden_form_type(form) is not None]
    return sorted(forms, key=lambda form: _octets(_form_type(form)))


def _hidden_form_type(form: DataForm) -> Field | None:
    field = form.field(FORM_TYPE)
    return field if field is not None and field.type is FieldType.HIDDEN and field.values else None


# --- XEP-0390


def hash_390(info: Info, algo: str = "sha-256") -> str:
    """Return the capability hash of an answer, in Base64 (XEP-0390 §4.1). Raises NotHashable, and KeyError."""
    for form in info.forms:
        if form.reported is not None or form.items or _hidden_form_type(form) is None:
            raise NotHashable("a form is a table, or has no FORM_TYPE (XEP-0390 §4.1)")
    features = _joined([f"{feature}\x1f" for feature in _features(info)])
    identities = _joined(["\x1f".join(each) + "\x1f\x1e" for each in _identities(info)])
    forms = _joined([_form_390(form) for form in info.forms])
    return _base64(algo, f"{features}\x1c{identities}\x1c{forms}\x1c")


def hashed_390(info: Info) -> Info:
    """Return the part of an answer that its hash proves."""
    return _proven(info, info.forms)


def _form_390(form: DataForm) -> str:
    fields = [f"{var}\x1f" + "".join([f"{value}\x1f" for value in values]) + "\x1e" for var, values in _fields(form)]
    return _joined(fields) + "\x1d"


def _joined(texts: list[str]) -> str:
    return "".join(sorted(texts, key=_octets))


# --- both


def _octets(text: str) -> bytes:
    # Order is that of octets in UTF-8 (RFC 4790 §9.3).
    return text.encode("utf-8", "surrogatepass")


def _base64(algo: str, text: str) -> str:
    return base64.b64encode(ALGORITHMS[algo](_octets(text)).digest()).decode()


def _identities(info: Info) -> list[tuple[str, str, str, str]]:
    """Return the identities as category, type, language and name, in order. XEP-0030 §3.1 demands at least one."""
    found = [(each.category, each.type, each.lang or "", each.name or "") for each in info.identities]
    _refuse_duplicates("identity", found)
    if not found:
        raise NotHashable("there is no identity")
    return sorted(found, key=lambda each: [_octets(text) for text in each])


def _features(info: Info) -> list[str]:
    found = [feature.var for feature in info.feature_elements]
    _refuse_duplicates("feature", found)
    return sorted(found, key=_octets)


def _form_type(form: DataForm) -> str:
    field = form.field(FORM_TYPE)
    assert field is not None
    if len(set(field.values)) != 1:
        raise NotHashable("a FORM_TYPE has several values (XEP-0115 §5.4)")
    return field.values[0]


def _fields(form: DataForm) -> list[tuple[str, list[str]]]:
    """Return the fields of a form with their values, both in order."""
    if any(field.var is None for field in form.fields):
        raise NotHashable("a field has no name")
    found = [(field.var or "", sorted(field.values, key=_octets)) for field in form.fields]
    _refuse_duplicates("field", [var for var, _ in found])
    return sorted(found, key=lambda each: _octets(each[0]))


def _refuse_duplicates(what: str, values: Iterable[Any]) -> None:
    seen = [*values]
    if len(set(seen)) != len(seen):
        raise NotHashable(f"the same {what} is there twice (XEP-0115 §5.4)")


def _proven(info: Info, forms: Iterable[DataForm]) -> Info:
    """Return an answer with the texts that were hashed, and nothing else of it: no labels, no types of fields."""
    counted = [*forms]
    _refuse_duplicates("FORM_TYPE", [_form_type(form) for form in counted])
    identities = [
        Identity(category=category, type=type, lang=lang or None, name=name or None)
        for category, type, lang, name in _identities(info)
    ]
    return Info.of(_features(info), identities, forms=[_bare_form(form) for form in counted])


def _bare_form(form: DataForm) -> DataForm:
    fields = [
        Field(var=var, type=FieldType.HIDDEN if var == FORM_TYPE else None, values=tuple(values))
        for var, values in _fields(form)
    ]
    return DataForm(type=FormType.RESULT, fields=tuple(fields))
