"""Elements as typed, frozen objects.

A payload is a declaration (`element` and its fields); `parse` and `serialise` are generated from it. Nothing is
registered anywhere: a caller that wants an element as an object names the class.
"""

from ..record import replace
from .codec import HEX, LANGUAGE, URI, Codec, codec_for, integer, lenient
from .content import Payload, Payloads
from .declaration import Declared, handwritten, serialise, tag_of
from .fields import (
    any_child,
    any_children,
    attr,
    child,
    child_name,
    child_text,
    child_texts,
    children,
    flag,
    lang_text,
    rest,
    rest_attrs,
    text,
)
from .languages import Texts, lookup
from .malformed import Malformed, malformed
from .markup import Element, equal, escape, escape_attr, fromstring
from .model import element, find, parse, parse_any, structure

__all__ = [
    "HEX",
    "LANGUAGE",
    "URI",
    "Codec",
    "Declared",
    "Element",
    "Malformed",
    "Payload",
    "Payloads",
    "Texts",
    "any_child",
    "any_children",
    "attr",
    "child",
    "child_name",
    "child_text",
    "child_texts",
    "children",
    "codec_for",
    "element",
    "equal",
    "escape",
    "escape_attr",
    "find",
    "flag",
    "fromstring",
    "handwritten",
    "integer",
    "lang_text",
    "lenient",
    "lookup",
    "malformed",
    "parse",
    "parse_any",
    "replace",
    "rest",
    "rest_attrs",
    "serialise",
    "structure",
    "tag_of",
    "text",
]
