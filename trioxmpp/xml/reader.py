"""Writes the functions that read an element as an object of one class.

For each field there is a variable ``v_field``. Attributes and texts are read first; then one loop over the children
gives each child to its field. Both fill the variables with raw values, and the lines behind them decode those. Wrappers
are read in the same way from variables of their own, which are the empty element `_NOTHING` where there is no wrapper.
At the end the values are put into the object.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any, Final

from lxml import etree

from ..errors import ElementError
from .childreader import ChildrenReader, attribute_name, blame, inside, salvage
from .codegen import Source, label
from .content import Elements, Payload, Payloads
from .declaration import Declaration
from .decoding import Decoder
from .fields import Kind
from .languages import Texts
from .malformed import UNREAD, set_aside
from .markup import Element, copied, is_mixed, language_of, text_of
from .plan import Node, Plan, PlannedField
from .values import GIVEN, MISSING, MIXED, unfrozen_twin

__all__ = ["compile_reader"]

# The number of objects of a class that are kept to be used again, and the length of the text that they are made of.
_MAX_RECALLED: Final = 100
_NOTHING: Final = etree.Element("nothing")


def compile_reader(plan: Plan) -> tuple[Callable[[Element], Any], Callable[[Element], Any]]:
    """Return the functions that read an element, and one that is known to match."""
    return _Reader(plan).functions()


def _wrong(element: Element, declaration: Declaration) -> ElementError:
    name = declaration.tag.rpartition("}")[2]
    if element.tag != declaration.tag:
        return ElementError(f"expected {declaration.tag}, got {str(element.tag)[:200]}", name)
    key = next(key for key, value in declaration.fixed.items() if element.get(key) != value)
    return ElementError(f"expected {declaration.fixed[key]!r}, got {str(element.get(key))[:200]!r}", f"{name}/@{key}")


class _Reader:
    """The lines of the two functions, as far as they are written."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._declaration = plan.declaration
        self._source = Source(
            cls=plan.declaration.cls,
            declaration=plan.declaration,
            ElementError=ElementError,
            Elements=Elements,
            Payload=Payload,
            Payloads=Payloads,
            Texts=Texts,
            text_of=text_of,
            is_mixed=is_mixed,
            language_of=language_of,
            copied=copied,
            blame=blame,
            salvage=salvage,
            aside=set_aside,
            inside=inside,
            wrong=_wrong,
            missing=MISSING,
            keep=object.__setattr__,
            nothing=_NOTHING,
            attribute=Element.get,
            repeat=repeat,
        )
        self._is_lenient = any(field.is_lenient for field in plan.fields)
        self._is_mixed = any(node.is_mixed for node in plan.root.walk())
        self._decoder = Decoder(self._source, plan.declaration)
        self._children = ChildrenReader(self._source, self._decoder)

    def functions(self) -> tuple[Callable[[Element], Any], Callable[[Element], Any]]:
        plan, declaration, source = self._plan, self._declaration, self._source
        checks = [f"element.tag != {declaration.tag!r}"]
        checks += [f"element.get({key!r}) != {value!r}" for key, value in declaration.fixed.items()]
        source.add(0, "def read(element):")
        source.add(1, f"if {' or '.join(checks)}:")
        source.add(2, "raise wrong(element, declaration)")
        source.add(1, "return load(element)")
        source.add(0, "")
        source.add(0, "def load(element):")
        if self._is_lenient:
            source.add(1, "unread = None")
        if self._is_mixed:
            source.add(1, "mixed = None")
        if declaration.is_plain and any(field.bit for field in plan.fields):
            source.add(1, "given = 0")
        self._read_node(plan.root)
        self._make()
        if declaration.sole_attribute is not None:
            source.add(1, f"if text is not None and len(text) < {_MAX_RECALLED} and len(recalled) < {_MAX_RECALLED}:")
            source.add(2, "recalled[text] = made")
        source.add(1, "return made")
        names = source.compile(label("reader", declaration.cls))
        return names["read"], names["load"]

    def _read_node(self, node: Node) -> None:
        """Write the lines that read the fields of a node, and those of the wrappers in it."""
        source, element = self._source, node.variable
        for field in node.fields:
            if field.kind is Kind.ATTR:
                source.add(1, f"v_{field.field} = {element}.get({attribute_name(field.keys[0])!r})")
                if self._declaration.sole_attribute is not None:
                    self._recall(field)
                self._decoder.decode(field, f"{node.path}/@{field.name}")
            elif field.kind is Kind.TEXT:
                path = f"{node.path}/text()"
                text = f"text_of({element})"
                if node.is_mixed:
                    source.add(1, f"if is_mixed({element}):")
                    source.add(2, "mixed = Payload(copied(element))")
                if not node.is_root:
                    text = f"None if {element} is nothing else {text}"
                elif not field.takes_empty:
                    text += " or None"
                source.add(1, f"v_{field.field} = {text}")
                self._decoder.decode(field, path)
            elif field.kind is Kind.REST_ATTRS:
                taken = {*self._declaration.fixed, *(other.keys[0] for other in node.fields if other.kind is Kind.ATTR)}
                items = f"for key, value in element.items() if key not in {source.bind(frozenset(taken))}"
                source.add(1, f"v_{field.field} = {{key: value {items}}}")
        self._children.read(node)
        for wrapper in node.wrappers:
            self._read_node(wrapper)

    def _recall(self, field: PlannedField) -> None:
        """Do not make again what was made before of the same text.

        An element with a single attribute says nothing else, and the objects are frozen. Most lists in XMPP are of such
        elements, and most of them repeat: features, groups, addresses.
        """
        self._source.names["recalled"] = self._declaration.recalled
        self._source.add(1, f"text = v_{field.field}")
        self._source.add(1, "made = recalled.get(text)")
        self._source.add(1, "if made is not None:")
        self._source.add(2, "return made")

    def _make(self) -> None:
        """Make the object of the values that were read."""
        add, plan = self._source.add, self._plan
        if self._declaration.is_plain:
            # All values are checked: fill a twin that is not frozen yet, several times faster than the constructor.
            add(1, f"made = {self._source.bind(unfrozen_twin(self._declaration.cls))}()")
            for field in plan.fields:
                add(1, f"made.{field.field} = v_{field.field}")
            if any(field.bit for field in plan.fields):
                add(1, f"made.{GIVEN} = given")
            add(1, "made.__class__ = cls")
        else:
            arguments = ", ".join(f"{field.field}=v_{field.field}" for field in plan.fields)
            add(1, "try:")
            add(2, f"made = cls({arguments})")
            add(1, "except ElementError:")
            add(2, "raise")
            add(1, "except ValueError as exc:")
            add(2, f"raise ElementError(str(exc), {plan.name!r}) from exc")
        if self._is_lenient:
            add(1, "if unread is not None:")
            add(2, f"keep(made, {UNREAD!r}, {{field: tuple(values) for field, values in unread.items()}})")
        if self._is_mixed:
            add(1, "if mixed is not None:")
            add(2, f"keep(made, {MIXED!r}, mixed)")
