"""The architecture, as far as a machine can see it: imports point down, and nothing grows too large."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "trioxmpp"
SOURCES = {path.relative_to(PACKAGE.parent): path for path in sorted(PACKAGE.rglob("*.py"))}

FLOORS = {
    "errors": 0,
    "jid": 0,
    "record": 0,
    "text": 0,
    "xml": 0,
    "protocol": 1,
    "transport": 2,
    "stream": 3,
    "client": 4,
    "im": 5,
    "xep": 5,
    "cli": 6,
}
LOWEST_WITH_IO = FLOORS["transport"]

# Nothing below the line does I/O, looks at a clock or throws dice: such things are arguments there.
IMPURE = {
    "asyncio",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
IMPURE |= {"dns", "trio", "trio_websocket"}

# `stream` marries the two; an extension is written against the client and elements, whatever carries them.
STRANGERS = {
    "transport": {"protocol"},
    "im": {"stream", "transport"},
    "xep": {"stream", "transport"},
}

# Testing stands beside: it may import everything. Nothing imports it but the command line, whose `demo` has to bring a
# server along to show what the library does.
BESIDE = "testing"
MAY_IMPORT_TESTING = {"cli", BESIDE}
# The package itself is the view for applications; within it every name comes from where it is defined.
MAY_IMPORT_ROOT = {"cli", BESIDE}

# Each is at home in one place, so that it can be replaced there.
FENCED = {"trio_websocket": {"transport", BESIDE}, "dns": {"transport"}, "precis_i18n": {"jid", "protocol"}}

MAX_FILE, MAX_CLASS, MAX_FUNCTION = 400, 250, 45


def imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, wherever in the file, as (line, absolute name)."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *filter(None, [node.module])])
            # ``from trioxmpp import xml`` imports trioxmpp.xml, but ``from trioxmpp import Message`` the package.
            for alias in node.names:
                known = name == "trioxmpp" and alias.name in {*FLOORS, BESIDE}
                yield node.lineno, f"{name}.{alias.name}" if known else name


def place(name: str) -> str:
    """The part of the package that a module belongs to: "trioxmpp.protocol.sm" to "protocol", "trioxmpp" to ""."""
    return name.partition("trioxmpp")[2].strip(".").partition(".")[0]


def objections(here: str, name: str) -> Iterator[str]:
    """What is wrong with a module of the part `here` importing `name`."""
    top = name.partition(".")[0]
    if top != "trioxmpp":
        if here in FLOORS and FLOORS[here] < LOWEST_WITH_IO and top in IMPURE:
            yield "below the line there is no I/O, no clock and no chance"
        if top in FENCED and here not in FENCED[top]:
            yield f"only {' and '.join(sorted(FENCED[top]))} may know it"
        return
    there = place(name)
    if there == "" and here not in MAY_IMPORT_ROOT:
        yield "import it from where it is defined"
    if there == BESIDE and here not in MAY_IMPORT_TESTING:
        yield "only the command line's demo may need testing"
    if there in STRANGERS.get(here, ()):
        yield "the two do not know each other"
    if here in FLOORS and there in FLOORS and FLOORS[there] > FLOORS[here]:
        yield f"floor {FLOORS[here]} does not know floor {FLOORS[there]}"


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_imports_point_down(source: Path) -> None:
    module = ".".join(source.with_suffix("").parts).removesuffix(".__init__")
    here = place(module)
    if here in {"", "__main__"}:
        return
    assert here in {*FLOORS, BESIDE}, f"{source} stands on no floor"
    found = [
        f"{source}:{line}: imports {name}: {why}"
        for line, name in imports(SOURCES[source], module)
        for why in objections(here, name)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("here", "name", "allowed"),
    [
        ("protocol", "trioxmpp.xml.model", True),
        ("protocol", "trio", False),
        ("protocol", "time", False),
        ("protocol", "trioxmpp.stream", False),
        ("transport", "trioxmpp.protocol.ns", False),
        ("transport", "trioxmpp.errors", True),
        ("stream", "trioxmpp.transport", True),
        ("stream", "trioxmpp", False),
        ("client", "trioxmpp.xep.ping", False),
        ("client", "trioxmpp.testing", False),
        ("client", "trio_websocket", False),
        ("xep", "trioxmpp.client", True),
        ("xep", "trioxmpp.stream.outbound.token", False),
        ("cli", "trioxmpp.testing.servers", True),
        ("testing", "trioxmpp.stream", True),
    ],
)
def test_the_rules_mean_what_the_design_says(here: str, name: str, allowed: bool) -> None:
    assert (not list(objections(here, name))) is allowed


def length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines without its docstring, decorators not counted."""
    documentation = ast.get_docstring(node, clean=False)
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1 - (documentation.count("\n") + 1 if documentation is not None else 0)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_nothing_is_large(source: Path) -> None:
    text = SOURCES[source].read_text()
    found = []
    if (lines := text.count("\n")) > MAX_FILE:
        found.append(f"{source}: {lines} lines, more than {MAX_FILE}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            limit = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
            if length(node) > limit:
                found.append(f"{source}:{node.lineno}: {node.name} has {length(node)} lines, more than {limit}")
    assert not found, "\n".join(found)


def test_what_few_need_is_imported_late() -> None:
    """An application that speaks TCP to a known host pays for neither WebSockets nor DNS, and none for testing."""
    program = "import sys, trioxmpp; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    loaded = set(ran.stdout.split())
    assert not loaded & {"trio_websocket", "dns", "trustme", "rich", "trioxmpp.testing", "trioxmpp.cli"}
