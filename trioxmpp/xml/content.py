"""Values of fields that hold XML of any kind: elements as they came, and payloads that become objects when asked for.

An open child, such as the payload of a pubsub item, may be an element of any module, also of one that is written later.
So the field keeps the element, and a caller that knows a class asks for it: ``item.payload.get(Nick)``. Each class gets
its own view, made once; the element itself does not change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar, final

from ..errors import ElementError
from .declaration import Declaration, declaration_of, serialise, tag_of
from .malformed import report
from .markup import Element, equal, fromstring, serialise_element

__all__ = ["Elements", "Payload", "Payloads", "Views"]

T = TypeVar("T")

_MAX_SHOWN: Final = 200


class Elements(tuple[Element, ...]):
    """Elements in a `rest` field: compared by what they mean, and pickled as text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and len(self) == len(other) and all(map(equal, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple([element.tag for element in self]))

    def __repr__(self) -> str:
        return f"({', '.join(map(_shown, self))}{',' if len(self) == 1 else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _elements, tuple([serialise_element(element, "") for element in self])


def _elements(*texts: str) -> Elements:
    return Elements([fromstring(text) for text in texts])


def _shown(element: Element) -> str:
    text = serialise_element(element, "")
    return f"<{text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + '...'}>"


class Views:
    """Objects of several classes made of the same payloads, each made once."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        # With the payload itself, which so keeps its identity for as long as it is the key.
        self._made: dict[tuple[int, type[Any]], tuple[object, Any]] = {}

    def __reduce__(self) -> tuple[type[Views], tuple[()]]:
        return Views, ()  # a copy makes its own

    def first(self, contents: Iterable[Any], cls: type[T], *, strict: bool = False) -> T | None:
        """Return the first of `contents`, elements or objects, that `cls` describes, as `cls`; None if none does.

        A malformed one is logged and left out, or with `strict` raised as ElementError. Raises TypeError if `cls`
        describes no element.
        """
        declaration, made = declaration_of(cls), self._made
        tag = declaration.tag
        for content in contents:
            if content.__class__ is cls:
                return content
            if content.__class__ is not Element or content.tag == tag:
                kept = made.get((id(content), cls))
                view = self._view(content, declaration) if kept is None else kept[1]
                if view is None:
                    continue
                if not isinstance(view, ElementError):
                    return view  # type: ignore[no-any-return]
                if strict:
                    raise ElementError(str(view.args[0]), view.path)
        return None

    def all(self, contents: Iterable[Any], cls: type[T], *, strict: bool = False) -> list[T]:
        """Return all of `contents` that `cls` describes, in order; see `first`."""
        found = [self.first((content,), cls, strict=strict) for content in contents]
        return [view for view in found if view is not None]

    def _view(self, content: Any, declaration: Declaration) -> Any:
        """Return `content` as the class declared so, the ElementError if it is malformed, None if it is not of it."""
        element = content if content.__class__ is Element else _as_element(content, declaration.tag)
        if element is None or not declaration.matches(element):
            return None
        try:
            view = declaration.load(element)
        except ElementError as exc:
            exc.__traceback__ = exc.__cause__ = exc.__context__ = None
            report(declaration, "", exc)
            view = exc
        self._made[id(content), declaration.cls] = content, view
        return view


def _as_element(content: Any, tag: str) -> Element | None:
    if isinstance(content, Element):
        return content
    if tag_of(type(content)) != tag:
        return None
    return fromstring(serialise(content, ""))


@final
class Payload:
    """One element of any kind: XML that was read, or an object of a declared class to be written.

    `get` gives it as an object of the class that the caller knows. Two payloads are equal if they mean the same XML.
    """

    __slots__ = ("_views", "content")

    content: Any
    """The XML as it came, or the object as it was given."""
    _views: Views | None

    def __init__(self, content: object) -> None:
        """Take an element, or an object of a declared class. Raises TypeError for anything else."""
        if isinstance(content, Payload):
            content = content.content
        if not isinstance(content, Element):
            declaration_of(type(content))
        object.__setattr__(self, "content", content)
        object.__setattr__(self, "_views", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a payload is not changed: cannot assign to {name!r}")

    @property
    def tag(self) -> str:
        """The tag of the element: ``{namespace}name``."""
        return str(self.content.tag) if isinstance(self.content, Element) else tag_of(type(self.content))

    @property
    def element(self) -> Element:
        """The payload as XML; if it is an object, each time made anew."""
        return self.content if isinstance(self.content, Element) else fromstring(serialise(self.content, ""))

    def get(self, cls: type[T], *, strict: bool = False) -> T | None:
        """Return the payload as an object of `cls`, or None if `cls` does not describe it.

        Of a malformed one the result is None, too, and that is logged; with `strict` it raises ElementError, so that
        absent and malformed can be told apart. It is parsed once for each class. Raises TypeError if `cls` describes no
        element.
        """
        views = self._views
        if views is None:
            views = Views()
            object.__setattr__(self, "_views", views)
        return views.first((self.content,), cls, strict=strict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Payload):
            return NotImplemented
        if type(self.content) is type(other.content) and not isinstance(self.content, Element):
            return bool(self.content == other.content)
        return self.tag == other.tag and equal(self.element, other.element)

    def __hash__(self) -> int:
        return hash(self.tag)

    def __repr__(self) -> str:
        content = self.content
        return f"Payload({_shown(content) if isinstance(content, Element) else repr(content)})"

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.content, Element):
            return _payload, (serialise_element(self.content, ""),)
        return Payload, (self.content,)


def _payload(text: str) -> Payload:
    return Payload(fromstring(text))


class Payloads(tuple[Payload, ...]):
    """Elements of any kind, in order; made of elements and objects, or of payloads."""

    __slots__ = ()

    def __new__(cls, contents: Iterable[object] = ()) -> Payloads:
        """Wrap each of `contents`, unless it is a payload already. Raises TypeError as `Payload` does."""
        wrapped = [content if isinstance(content, Payload) else Payload(content) for content in contents]
        return super().__new__(cls, wrapped)

    def get(self, cls: type[T], *, strict: bool = False) -> T | None:
        """Return the first payload that `cls` describes, or None; see `Payload.get`."""
        for payload in self:
            if (view := payload.get(cls, strict=strict)) is not None:
                return view
        return None

    def get_all(self, cls: type[T], *, strict: bool = False) -> list[T]:
        """Return all payloads that `cls` describes, in order; malformed ones are left out, or with `strict` raised."""
        found = [payload.get(cls, strict=strict) for payload in self]
        return [view for view in found if view is not None]

    def __reduce__(self) -> tuple[Any, ...]:
        return Payloads, (tuple(self),)
