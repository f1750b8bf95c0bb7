"""The library's sources, parsed once, and what the tests of the architecture read from them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "trioxmpp"
SOURCES = {path.relative_to(ROOT): path for path in sorted(PACKAGE.rglob("*.py"))}

BESIDE = "testing"
"""The part of the package that stands beside the floors."""


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def module_of(source: Path) -> str:
    """The dotted name of a source below the repository."""
    return ".".join(source.with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(source): path for source, path in SOURCES.items()}


def imports(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every name that a file imports, wherever in the file, as (line, absolute name); under TYPE_CHECKING as well."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *filter(None, [node.module])])
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)


def imported_modules(tree: ast.Module, module: str, modules: Iterable[str], *, is_package: bool) -> set[str]:
    """The modules among `modules` that a file imports, or imports names of."""
    known = set(modules)
    found = set()
    for _, name in imports(tree, module, is_package=is_package):
        target = name if name in known else name.rpartition(".")[0]
        if target in known:
            found.add(target)
    return found - {module}


@functools.cache
def import_graph() -> Mapping[str, set[str]]:
    """Which module of the library imports which, typing included."""
    return {
        module: imported_modules(tree_of(path), module, MODULES, is_package=path.name == "__init__.py")
        for module, path in MODULES.items()
    }


def folder_graph(graph: Mapping[str, set[str]], packages: Iterable[str]) -> dict[str, set[str]]:
    """The same for folders: a folder imports another one if one of its own files does."""
    known = set(packages)

    def folder(module: str) -> str:
        return module if module in known else module.rpartition(".")[0]

    found: dict[str, set[str]] = {}
    for module, targets in graph.items():
        here = folder(module)
        found.setdefault(here, set()).update({folder(target) for target in targets} - {here})
    return found


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.add(frozenset(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(node: ast.AST) -> set[int]:
    """The lines that docstrings take: of `node`, of all within, and the strings that follow an attribute."""
    lines: set[int] = set()
    for inner in ast.walk(node):
        for statement in getattr(inner, "body", []) if isinstance(inner, Documented) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str()), end_lineno=int(end)):
                    lines.update(range(statement.lineno, end + 1))
    return lines


def code_lines(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, last: int = 0) -> int:
    """How many lines a definition or a file of `last` lines has, without any docstring in it."""
    first, end = (1, last) if isinstance(node, ast.Module) else (node.lineno, node.end_lineno or node.lineno)
    return len(set(range(first, end + 1)) - docstrings(node))
