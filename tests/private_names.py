"""Which code touches a private name of a class that another file defines.

Python does not say what `x._name` belongs to. `reaches` finds the class of `x` where the source tells it: `self` and
`cls`, parameters and attributes with an annotation, and values that a constructor made. Where it does not, a name that
the file itself defines nowhere is a foreign one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Reach", "assignments", "reaches"]

# Underscored names that the standard library and lxml document for users.
DOCUMENTED = {"_replace", "_asdict", "_fields", "_make", "_field_defaults", "_value_", "_name_", "_missing_"}
DOCUMENTED |= {"_generate_next_value_", "_getframe", "_Element", "_ElementTree"}


class Reach(NamedTuple):
    """One access to a private name of another file's class."""

    module: str
    line: int
    expression: str
    name: str
    owner: str
    """The class, or "?" where the source does not tell it."""


@dataclass
class _Class:
    module: str
    name: str
    bases: list[ast.expr]
    private: set[str] = field(default_factory=set)
    """Private names that the class itself defines."""
    attributes: dict[str, ast.expr] = field(default_factory=dict)
    """Its attributes whose class the source tells: an annotation, or the call of a constructor."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def reaches(trees: Mapping[str, ast.Module]) -> Iterator[Reach]:
    """Every reach in a library, given as syntax trees by dotted module names."""
    return (reach for file in _files(trees) for reach in file.reaches())


def assignments(trees: Mapping[str, ast.Module]) -> Iterator[tuple[str | None, str]]:
    """Every attribute that is assigned or deleted from outside, as (dotted class or None if it is not known, name)."""
    return (each for file in _files(trees) for each in file.assignments())


def _files(trees: Mapping[str, ast.Module]) -> Iterator[_File]:
    classes = {(module, cls.name): cls for module, tree in trees.items() for cls in _classes(module, tree)}
    names = {module: _names(module, tree, classes) for module, tree in trees.items()}
    return (_File(module, tree, classes, names) for module, tree in trees.items())


def _classes(module: str, tree: ast.Module) -> Iterator[_Class]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            cls = _Class(module, node.name, node.bases)
            for statement in node.body:
                _define(cls, statement)
            yield cls


def _define(cls: _Class, statement: ast.stmt) -> None:
    """Note what one statement of a class body defines."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            cls.private.add(name)
            cls.attributes[name] = annotation
        case ast.Assign():
            for target in statement.targets:
                cls.private.update(node.id for node in ast.walk(target) if isinstance(node, ast.Name))
                if isinstance(target, ast.Name) and target.id == "__slots__":
                    slots = [n.value for n in ast.walk(statement.value) if isinstance(n, ast.Constant)]
                    cls.private.update(str(slot) for slot in slots)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            cls.private.add(statement.name)
            if any(ast.unparse(each).endswith("property") for each in statement.decorator_list) and statement.returns:
                cls.attributes[statement.name] = statement.returns
            _define_in_method(cls, statement)


def _define_in_method(cls: _Class, method: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Note the attributes that a method sets on `self`."""
    parameters = _parameters(method)
    for node in ast.walk(method):
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        match node:
            case ast.Assign():
                targets, value = node.targets, node.value
            case ast.AnnAssign():
                targets, value = [node.target], node.annotation
        for target in targets:
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
            elif isinstance(target, ast.Tuple):
                pairs = [(element, None) for element in target.elts]
            for one, of in pairs:
                match one:
                    case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                        cls.private.add(name)
                        if isinstance(of, ast.Name) and of.id in parameters:
                            of = parameters[of.id]
                        if of is not None:
                            cls.attributes.setdefault(name, of)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {each.arg: each.annotation for each in arguments if each.annotation is not None}


def _names(module: str, tree: ast.Module, classes: Mapping[tuple[str, str], _Class]) -> dict[str, _Class]:
    """The classes that a file knows, by the names it has for them."""
    found: dict[str, _Class] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = (node.module or "").split(".")[-1]
            for alias in node.names:
                same = [cls for (_, name), cls in classes.items() if name == alias.name]
                near = [cls for cls in same if cls.module.split(".")[-1] == source] or same
                if len(near) == 1:
                    found[alias.asname or alias.name] = near[0]
    return found | {name: cls for (where, name), cls in classes.items() if where == module}


class _File:
    """The reaches of one file."""

    def __init__(
        self,
        module: str,
        tree: ast.Module,
        classes: Mapping[tuple[str, str], _Class],
        names: Mapping[str, Mapping[str, _Class]],
    ) -> None:
        self.module, self.tree, self.names = module, tree, names
        own = [cls for (where, _), cls in classes.items() if where == module]
        self.defined = {name for cls in own for name in cls.private}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.defined.add(node.id)

    def reaches(self) -> Iterator[Reach]:
        for node, inside, local in self.attributes(self.tree, None, {}):
            if is_private(node.attr) and (owner := self.foreign(node, inside, local)) is not None:
                yield Reach(self.module, node.lineno, ast.unparse(node), node.attr, owner)

    def assignments(self) -> Iterator[tuple[str | None, str]]:
        """Attributes of other objects than `self` that are assigned or deleted: class (None: unknown) and name."""
        for node, inside, local in self.attributes(self.tree, None, {}):
            if isinstance(node.ctx, ast.Store | ast.Del) and ast.unparse(node.value) not in {"self", "cls"}:
                cls = self.class_of(node.value, inside, local)
                owners = [each for each in self.ancestry(cls) if node.attr in each.private] if cls is not None else []
                owner = owners[0] if owners else cls
                yield f"{owner.module}.{owner.name}" if owner is not None else None, node.attr

    def attributes(
        self, node: ast.AST, inside: _Class | None, local: dict[str, ast.expr]
    ) -> Iterator[tuple[ast.Attribute, _Class | None, dict[str, ast.expr]]]:
        """The attributes below a node: `inside` is the class around, `local` tells the classes of variables."""
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.ClassDef():
                    yield from self.attributes(child, self.names[self.module].get(child.name), local)
                    continue
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield from self.attributes(child, inside, local | _parameters(child) | _variables(child))
                    continue
                case ast.Attribute():
                    yield child, inside, local
            yield from self.attributes(child, inside, local)

    def foreign(self, node: ast.Attribute, inside: _Class | None, local: dict[str, ast.expr]) -> str | None:
        """The foreign class whose name this is, "?" if it is not known; None if the name is the file's own."""
        cls = self.class_of(node.value, inside, local)
        if cls is not None:
            owners = [each for each in self.ancestry(cls) if node.attr in each.private]
            if owners:
                return None if owners[0].module == self.module else owners[0].name
        return None if node.attr in self.defined else "?"

    def ancestry(self, cls: _Class) -> Iterator[_Class]:
        yield cls
        for base in cls.bases:
            parent = self.named(base, cls.module)
            if parent is not None and parent is not cls:
                yield from self.ancestry(parent)

    def class_of(self, value: ast.expr, inside: _Class | None, local: dict[str, ast.expr]) -> _Class | None:
        match value:
            case ast.Name(id="self" | "cls"):
                return inside
            case ast.Name(id=name) if name in local:
                return self.told(local[name], self.module, inside, local)
            case ast.Name():
                return self.named(value, self.module)
            case ast.Attribute(value=of, attr=name):
                cls = self.class_of(of, inside, local)
                for each in self.ancestry(cls) if cls is not None else ():
                    if name in each.attributes:
                        return self.told(each.attributes[name], each.module, each, {})
            case ast.Call(func=function):
                return self.named(function, self.module)
        return None

    def told(self, of: ast.expr, module: str, inside: _Class | None, local: dict[str, ast.expr]) -> _Class | None:
        """The class that an annotation names or a constructor makes."""
        match of:
            case ast.Call(func=function):
                return self.named(function, module)
            case ast.Attribute():
                without = {name: value for name, value in local.items() if value is not of}
                return self.class_of(of, inside, without) if module == self.module else None
            case _:
                return self.named(of, module)

    def named(self, annotation: ast.expr, module: str) -> _Class | None:
        match annotation:
            case ast.Name(id=name) | ast.Constant(value=str(name)):
                return self.names[module].get(name.partition("[")[0].partition(" |")[0])
            case ast.Subscript(value=of):
                return self.named(of, module)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self.named(left, module) or self.named(right, module)
        return None


def _variables(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr]:
    """Variables that are assigned once, with an annotation or from something whose class can be told."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                found[name] = annotation
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() | ast.Attribute() as value):
                found.setdefault(name, value)
            case ast.Assign(targets=[ast.Tuple(elts=elements)], value=ast.Tuple(elts=values)):
                for element, value in zip(elements, values, strict=False):
                    if isinstance(element, ast.Name) and isinstance(value, ast.Call | ast.Attribute):
                        found.setdefault(element.id, value)
    return found
