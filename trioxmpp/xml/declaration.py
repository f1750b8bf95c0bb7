"""The description of one kind of element, and the two ways through it: from XML and to XML.

A declared class gets its description from `model.element`, which generates the functions in it. A class that reads and
writes its own XML gets one from `handwritten`: so a message, which this package does not know, can be a child of an
element. Nothing is registered: the description is an attribute of the class.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar

from ..errors import ElementError
from .markup import XML_NS, Element, copied, serialise_element

if TYPE_CHECKING:
    from .annotations import Scope
    from .fields import Field

__all__ = [
    "DECLARATION",
    "Declaration",
    "Declared",
    "attribute_key",
    "check_name",
    "declaration_of",
    "handwritten",
    "serialise",
    "tag_from",
    "tag_of",
]

T = TypeVar("T")

#: The attribute of a class that holds its `Declaration`.
DECLARATION: Final = "__xml__"

# NCName of Namespaces in XML 1.0 §3, with the characters of the fifth edition (XML 1.0 §2.3), as the parser takes them.
_FIRST: Final = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME: Final = re.compile(f"[{_FIRST}][{_FIRST}0-9.\\-\u00b7\u0300-\u036f\u203f\u2040]*")
_KEY: Final = re.compile(r"(?:xml:|\{([^{}]+)\})?([^{}:]+)")


class Declared(Protocol):
    """For type checkers: an object of a class that `element` has declared."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Declaration:
    """The description of one class.

    `fields` are all fields of a declared class, inherited ones first, each with its annotation and the scope to
    evaluate that in. `fixed` are the attributes that distinguish its elements from others of the same tag. `read` reads
    an element that may be another one, `load` an element that is known to match, and `write` writes an object where a
    namespace is the default one; they are generated when they are first needed. `is_plain` is true if only the
    declaration decides how an object is made. `recalled` are objects that were read, by the text of their
    `sole_attribute`.
    """

    __slots__ = (
        "cls",
        "fields",
        "fixed",
        "handwritten",
        "has_own_init",
        "is_plain",
        "load",
        "read",
        "recalled",
        "reported",
        "tag",
        "write",
    )

    is_plain: bool
    has_own_init: bool
    read: Callable[[Element], Any]
    load: Callable[[Element], Any]
    write: Callable[[Any, str], str]

    def __init__(
        self, cls: type[Any], tag: str, fixed: dict[str, str], fields: dict[str, tuple[Field, Any, Scope]]
    ) -> None:
        self.cls: type[Any] = cls
        self.tag: str = tag
        self.fixed: dict[str, str] = fixed
        self.fields: dict[str, tuple[Field, Any, Scope]] = fields
        self.is_plain = self.has_own_init = False
        #: The names of fields whose values are objects of handwritten classes, which are compared as XML.
        self.handwritten: frozenset[str] = frozenset()
        self.recalled: dict[str | None, Any] = {}
        #: The names of fields of which a malformed value was logged already.
        self.reported: set[str] = set()

    @property
    def sole_attribute(self) -> str | None:
        """The key of the only field, if that is an attribute: such elements often repeat."""
        if not self.is_plain or len(self.fields) != 1:
            return None
        ((name, (field, _, _)),) = self.fields.items()
        if field.kind.value != "attr" or field.inside or field.is_lenient or not field.has_simple_default:
            return None
        return attribute_key(field.xml_name(name), name)

    def matches(self, element: Element) -> bool:
        """Whether the class describes such an element, well-formed or not."""
        if element.tag != self.tag:
            return False
        return not self.fixed or all(element.get(key) == value for key, value in self.fixed.items())


def declaration_of(cls: type[Any]) -> Declaration:
    """Return the description of this very class. Raises TypeError if it has none."""
    declaration: Declaration | None = getattr(cls, DECLARATION, None)
    if declaration is None or declaration.cls is not cls:
        name = getattr(cls, "__qualname__", cls)
        raise TypeError(f"{name} does not describe an element: it is not declared with @xml.element")
    return declaration


def handwritten(
    cls: type[T], ns: str, name: str, *, read: Callable[[Element], T], write: Callable[[T, str], str]
) -> None:
    """Let `cls`, which reads and writes its own XML, be used like a declared class.

    Its objects can then be the values of `child` and `children` fields, and `parse`, `find` and `serialise` take them.
    `read` makes an object of an element with this namespace and name. It may keep the element, which is a copy if it
    was a child. It raises ElementError if the element is malformed, and so it must translate its own errors. `write`
    returns an object as XML, to be written where the namespace in its second argument is the default one.
    """
    declaration = Declaration(cls, tag_from(ns, check_name(name, "an element")), {}, {})

    def checked(element: Element) -> T:
        if element.tag != declaration.tag:
            raise ElementError(f"expected {declaration.tag}, got {str(element.tag)[:200]}", name)
        return read(element)

    def alone(element: Element) -> T:
        return read(copied(element))

    declaration.read, declaration.load, declaration.write = checked, alone, write
    setattr(cls, DECLARATION, declaration)


def tag_of(cls: type[Any]) -> str:
    """Return the tag of the elements that `cls` describes: ``{namespace}name``. TypeError if it describes none."""
    return declaration_of(cls).tag


def serialise(payload: Any, ns: str = "jabber:client") -> str:
    """Return an object of a declared class, or an element, as XML to be written where `ns` is the default namespace.

    Raises ValueError if it holds what XML or XMPP cannot carry, TypeError if it, or a value in it, is of the wrong
    class.
    """
    if isinstance(payload, Element):
        return serialise_element(payload, ns)
    return declaration_of(type(payload)).write(payload, ns)


def check_name(name: str, where: str) -> str:
    """Return `name` if an element or attribute can have it. Raises ElementError if not."""
    if not _NAME.fullmatch(name):
        raise ElementError(f"{name!r:.200} is not an XML name", where)
    return name


def tag_from(ns: str, name: str) -> str:
    """Return the tag as lxml has it."""
    return f"{{{ns}}}{name}" if ns else name


def attribute_key(name: str, where: str) -> str:
    """Return the name of an attribute as lxml has it; ``xml:lang`` may be written with its usual prefix."""
    match = _KEY.fullmatch(name)
    if match is None:
        raise ElementError(f"{name!r:.200} is not the name of an attribute: name, xml:name or {{namespace}}name", where)
    check_name(match[2], where)
    return f"{{{XML_NS}}}{match[2]}" if name.startswith("xml:") else name
