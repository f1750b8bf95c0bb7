"""Elements as typed, frozen objects.

A payload is a declaration (`element` and its fields); `parse` and `serialise` are generated from it. Nothing is
registered anywhere: who wants an element read as a class says so.
"""

from .codec import HEX, LANGUAGE, URI, Codec, integer, lenient
from .fields import attr, child, child_text, children, flag, lang_text, rest, rest_attrs, text
from .markup import Element, equal, escape, escape_attr, fromstring
from .model import element, find, parse, parse_any, serialise, tag_of

__all__ = [
    "HEX",
    "LANGUAGE",
    "URI",
    "Codec",
    "Element",
    "attr",
    "child",
    "child_text",
    "children",
    "element",
    "equal",
    "escape",
    "escape_attr",
    "find",
    "flag",
    "fromstring",
    "integer",
    "lang_text",
    "lenient",
    "parse",
    "parse_any",
    "rest",
    "rest_attrs",
    "serialise",
    "tag_of",
    "text",
]
