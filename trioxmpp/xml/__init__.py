"""Elements as typed, frozen objects.

A payload is a declaration (`element` and its fields); `parse` and `serialise` are generated from it. Nothing is
registered anywhere: who wants an element read as a class says so.
"""

from .codec import Codec
from .model import (
    attr,
    child,
    child_text,
    children,
    element,
    find,
    flag,
    lang_text,
    parse,
    rest,
    serialise,
    tag_of,
    text,
)
from .text import Element, equal, escape, escape_attr, fromstring

__all__ = [
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
    "lang_text",
    "parse",
    "rest",
    "serialise",
    "tag_of",
    "text",
]
