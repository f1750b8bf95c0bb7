"""Typed elements: every declared class reads, writes and reads again; data forms (XEP-0004)."""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

import trioxmpp
from trioxmpp import xml
from trioxmpp.errors import ElementError
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.forms import DataForm
from trioxmpp.stream.tracing import redacted
from trioxmpp.xep import forms
from trioxmpp.xml.declaration import DECLARATION, declaration_of
from trioxmpp.xml.markup import serialise_element

__all__ = ["by_tag", "data_form", "elements"]

# They import what need not be installed, or are not of the library proper.
BESIDE = ("trioxmpp.testing", "trioxmpp.cli", "trioxmpp.__main__", "trioxmpp.im.omemo")


@functools.cache
def by_tag() -> Mapping[str, tuple[type[Any], ...]]:
    """Every class of the library that describes an element, by its tag."""
    found: dict[str, list[type[Any]]] = {}
    for module in pkgutil.walk_packages(trioxmpp.__path__, "trioxmpp."):
        if module.name.startswith(BESIDE):
            continue
        content = importlib.import_module(module.name)
        for cls in vars(content).values():
            if isinstance(cls, type) and cls.__module__ == module.name and DECLARATION in vars(cls):
                found.setdefault(declaration_of(cls).tag, []).append(cls)
    return {tag: tuple(classes) for tag, classes in found.items()}


def elements(data: bytes) -> None:
    """Read a document, and each element in it of which a class is declared, as that class."""
    try:
        root = xml.fromstring(data)
    except ElementError:
        return
    assert xml.equal(xml.fromstring(serialise_element(root, "")), root), "the document is another one when written"
    redacted(root)
    for element in root.iter():
        for cls in by_tag().get(str(element.tag), ()):
            _there_and_back(cls, element)


def _there_and_back(cls: type[Any], element: xml.Element) -> None:
    try:
        value = xml.parse(cls, element)
    except ElementError:
        return
    xml.malformed(value)
    repr(value)
    # It is written for a stream of clients, whose namespace it does not declare again.
    written = xml.fromstring(f"<stream xmlns='{ns.CLIENT}'>{xml.serialise(value)}</stream>")
    again = xml.parse(cls, written[0])
    # Stanzas are not compared, but what is written of them.
    is_same = again == value or xml.serialise(again) == xml.serialise(value)
    assert is_same, f"{cls.__name__} is another one when it was written and read"


class _Every(forms.Form, form_type="urn:fuzz"):
    """A form with a field of each kind."""

    text = forms.text("text")
    private = forms.private("private")
    multi = forms.multi("multi")
    boolean = forms.boolean("boolean")
    integer = forms.integer("integer")
    moment = forms.moment("moment")
    jid = forms.jid("jid")
    jids = forms.jids("jids")
    texts = forms.texts("texts")


DECLARED = ("text", "private", "multi", "boolean", "integer", "moment", "jid", "jids", "texts")


def data_form(data: bytes) -> None:
    """Read a data form (XEP-0004), get each field, set the field to what was got, and submit the form."""
    try:
        found = xml.parse(DataForm, xml.fromstring(data))
    except ElementError:
        return
    with contextlib.suppress(forms.FormError):
        _get_and_set(_Every.read(found), DECLARED)
    with contextlib.suppress(forms.FormError):
        for row in _Every.rows(found):
            _get_and_set(row, DECLARED)
    with contextlib.suppress(forms.FormError):
        _get_and_set(forms.Form.read(found), ())


def _get_and_set(form: forms.Form, names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(forms.FormError):
            setattr(form, name, getattr(form, name))
    for var in form:
        with contextlib.suppress(forms.FormError):
            form[var] = form[var]
        form.values(var)
    repr(form)
    with contextlib.suppress(forms.FormError):
        submitted = form.submit()
        xml.parse(DataForm, xml.fromstring(xml.serialise(submitted)))
