"""The architecture, as far as a machine can see it: imports point down, not in circles, and nothing grows too large."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.failures import check_each
from tests.sources import (
    BESIDE,
    MODULES,
    PACKAGE,
    SOURCES,
    circles,
    code_lines,
    folder_graph,
    import_graph,
    imported_modules,
    imports,
    module_of,
    tree_of,
)

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
    "xep": 5,
    "fleet": 5,
    "program": 5,
    "im": 6,
    "cli": 7,
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

# `stream` marries the two.
STRANGERS = {"transport": {"protocol"}}

# An extension is written against the client's face and elements, whatever carries them. A face is a module, and for a
# package its `__init__`; of those in OPEN an extension may import the modules below as well.
FACES = {
    "trioxmpp.client",
    "trioxmpp.client.connect",  # the functions; the modules have the same names
    "trioxmpp.client.supervised",
    "trioxmpp.errors",
    "trioxmpp.jid",
    "trioxmpp.protocol.elements",
    "trioxmpp.protocol.ns",
    "trioxmpp.protocol.stanza",
    "trioxmpp.record",
    "trioxmpp.text",
    "trioxmpp.xml",
}
OPEN = ("trioxmpp.protocol.elements.",)
EXTENSIONS = {"xep": ("xep",), "im": ("im", "xep"), "fleet": ("fleet",)}

# Testing stands beside: it may import everything. Nothing imports it but the command line, whose `demo` has to bring a
# server along to show what the library does.
MAY_IMPORT_TESTING = {"cli", BESIDE}
# The package itself is the view for applications; within it every name comes from where it is defined.
MAY_IMPORT_ROOT = {"cli", BESIDE}

# Each is at home in one place, so that it can be replaced there.
FENCED = {"trio_websocket": {"transport", BESIDE}, "dns": {"transport"}, "precis_i18n": {"jid", "protocol"}}

# Lines of code, without docstrings: documentation shall not be paid for with cohesion.
MAX_FILE, MAX_CLASS, MAX_FUNCTION = 400, 250, 40

# The lists below name what still breaks a rule. They only shrink: a change that mends an entry has to remove it.
BREACHES: set[tuple[str, str]] = set()
TOO_LARGE = {
    "trioxmpp/client/connect.py: connect",
    "trioxmpp/client/supervisor.py: Supervisor",
    "trioxmpp/stream/core.py: StreamCore",
}
CIRCLES: set[frozenset[str]] = set()


def place(name: str) -> str:
    """The part of the package that a name belongs to: "trioxmpp.protocol.sm" to "protocol", "trioxmpp.JID" to ""."""
    first = name.partition("trioxmpp")[2].strip(".").partition(".")[0]
    return first if first in {*FLOORS, BESIDE} else ""


def is_face(name: str) -> bool:
    """Whether an extension may import this name: a face, what its module defines, or a module below an open one."""
    parent = name.rpartition(".")[0]
    return name in FACES or name.startswith(OPEN) or (parent in FACES and name not in MODULES)


def objections(here: str, name: str) -> Iterator[str]:
    """The reasons why a module of the part `here` must not import `name`, a module or a name in one."""
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
    if here in EXTENSIONS and there not in EXTENSIONS[here] and not is_face(name):
        yield "an extension knows only the client's face, elements, stanzas and errors"
    if here in FLOORS and there in FLOORS and FLOORS[there] > FLOORS[here]:
        yield f"floor {FLOORS[here]} does not know floor {FLOORS[there]}"


def points_down(source: Path) -> None:
    module = module_of(source)
    here = place(module)
    if module in {"trioxmpp", "trioxmpp.__main__"}:
        return
    assert here in {*FLOORS, BESIDE}, f"{source} stands on no floor"
    found = [
        f"line {line} imports {name}: {why}"
        for line, name in imports(tree_of(SOURCES[source]), module, is_package=source.name == "__init__.py")
        for why in objections(here, name)
        if (str(source), name) not in BREACHES
    ]
    assert not found, "\n".join(found)


def test_imports_point_down() -> None:
    check_each([(str(source), source) for source in SOURCES], points_down)


def test_no_breach_is_excused_that_is_mended() -> None:
    for file, name in BREACHES:
        source = Path(file)
        module = module_of(source)
        names = {name for _, name in imports(tree_of(SOURCES[source]), module, is_package=False)}
        assert name in names
        assert list(objections(place(module), name))


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
        ("stream", "trioxmpp.Message", False),
        ("client", "trioxmpp.xep.ping", False),
        ("client", "trioxmpp.testing", False),
        ("client", "trio_websocket", False),
        ("xep", "trioxmpp.client", True),
        ("xep", "trioxmpp.client.Client", True),
        ("xep", "trioxmpp.client.client", False),
        ("xep", "trioxmpp.client.client.Client", False),
        ("xep", "trioxmpp.client.store", False),
        ("xep", "trioxmpp.protocol.elements.forms", True),
        ("xep", "trioxmpp.protocol.elements.forms.Form", True),
        ("xep", "trioxmpp.protocol.stanza.Message", True),
        ("xep", "trioxmpp.protocol.stanza.base", False),
        ("xep", "trioxmpp.protocol.ns", True),
        ("xep", "trioxmpp.protocol.sm", False),
        ("xep", "trioxmpp.xml.attr", True),
        ("xep", "trioxmpp.xml.reader", False),
        ("xep", "trioxmpp.jid.JID", True),
        ("xep", "trioxmpp.record.record", True),
        ("xep", "trioxmpp.stream.token", False),
        ("xep", "trioxmpp.transport", False),
        ("xep", "trioxmpp.Message", False),
        ("xep", "trioxmpp.xep.disco", True),
        ("xep", "trioxmpp.im.roster", False),
        ("xep", "trio", True),
        ("im", "trioxmpp.xep.disco", True),
        ("im", "trioxmpp.im.presence", True),
        ("im", "trioxmpp.stream.token", False),
        ("im", "trioxmpp.client.Session", True),
        ("im", "trioxmpp.cli", False),
        ("fleet", "trioxmpp.client.Client", True),
        ("fleet", "trioxmpp.client.supervisor", False),
        ("fleet", "trioxmpp.im.roster", False),
        ("im", "trioxmpp.fleet", False),
        ("cli", "trioxmpp.fleet", True),
        ("cli", "trioxmpp.testing.servers", True),
        ("testing", "trioxmpp.stream", True),
    ],
)
def test_the_rules_mean_what_the_design_says(here: str, name: str, allowed: bool) -> None:
    assert (not list(objections(here, name))) is allowed


def names_imported(text: str, module: str) -> set[str]:
    return {name for _, name in imports(ast.parse(text), module, is_package=False)}


def test_imports_are_found_wherever_they_stand() -> None:
    text = """
from ..client import Client
if TYPE_CHECKING:
    from ..stream.token import StanzaToken
def late():
    import trioxmpp.transport
    from .. import xml
    from . import disco
"""
    assert names_imported(text, "trioxmpp.xep.ping") == {
        "trioxmpp.client.Client",
        "trioxmpp.stream.token.StanzaToken",
        "trioxmpp.transport",
        "trioxmpp.xml",
        "trioxmpp.xep.disco",
    }


def test_no_module_imports_in_a_circle() -> None:
    assert circles(import_graph()) == CIRCLES


def without_the_root(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The root package shows names of all others, and is named by none: it takes no part in circles of folders."""
    return {folder: targets - {"trioxmpp"} for folder, targets in graph.items() if folder != "trioxmpp"}


def without_rooms(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The graph without imports between a folder and a room in it: the two are one subject, told in two sizes."""

    def is_room(one: str, other: str) -> bool:
        return one.startswith(f"{other}.") or other.startswith(f"{one}.")

    return {folder: {target for target in targets if not is_room(folder, target)} for folder, targets in graph.items()}


def test_no_folder_imports_in_a_circle() -> None:
    packages = [module for module, path in MODULES.items() if path.name == "__init__.py"]
    assert not circles(without_rooms(without_the_root(folder_graph(import_graph(), packages))))


def test_a_circle_of_folders_is_found_and_a_room_is_no_circle() -> None:
    assert circles(without_rooms({"p.a": {"p.a.room", "p.b"}, "p.a.room": {"p.a"}, "p.b": set()})) == set()
    assert circles(without_rooms({"p.a": {"p.b"}, "p.b": {"p.a"}})) == {frozenset({"p.a", "p.b"})}


def test_a_circle_is_found_though_it_is_only_for_types() -> None:
    sources = {
        "p.one": "from __future__ import annotations\nif TYPE_CHECKING:\n    from .two import Two",
        "p.two": "def late():\n    from . import three",
        "p.three": "from .one import One",
        "p.four": "from .one import One",
    }
    graph = {
        module: imported_modules(ast.parse(text), module, sources, is_package=False) for module, text in sources.items()
    }
    assert circles(graph) == {frozenset({"p.one", "p.two", "p.three"})}


def large(source: str, tree: ast.Module, lines: int) -> Iterator[tuple[str, int, int]]:
    """The parts of a file that are too large: the name, the lines of code and the limit."""
    if code_lines(tree, lines) > MAX_FILE:
        yield source, code_lines(tree, lines), MAX_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            limit = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
            if code_lines(node) > limit:
                yield f"{source}: {node.name}", code_lines(node), limit


def test_nothing_is_large() -> None:
    found = {
        name: f"{name} has {lines} lines of code, more than {limit}"
        for source, path in SOURCES.items()
        for name, lines, limit in large(str(source), tree_of(path), path.read_text().count("\n"))
    }
    new = [found[name] for name in found.keys() - TOO_LARGE]
    assert not new, "\n".join(new)
    assert not TOO_LARGE - found.keys(), f"no longer too large: {TOO_LARGE - found.keys()}"


def test_a_definition_is_measured_without_the_docstrings_in_it() -> None:
    text = '''
class Example:
    """Two lines
    of documentation."""

    attribute = 1
    """What it is for."""

    def method(self) -> None:
        """Another line."""
        print("""a string
        that is no documentation""")
'''
    tree = ast.parse(text)
    example = tree.body[0]
    assert isinstance(example, ast.ClassDef)
    assert code_lines(example) == 7
    method = example.body[-1]
    assert isinstance(method, ast.FunctionDef)
    assert code_lines(method) == 3


def test_a_function_of_one_line_too_many_is_large() -> None:
    for lines, names in ((MAX_FUNCTION - 1, []), (MAX_FUNCTION, ["f: g"])):
        text = "def g():\n" + "    pass\n" * lines
        assert [name for name, *_ in large("f", ast.parse(text), lines + 1)] == names


def test_modules_that_few_need_are_imported_late() -> None:
    """An application that speaks TCP to a known host pays for neither WebSockets nor DNS, and none for testing."""
    program = "import sys, trioxmpp; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    loaded = set(ran.stdout.split())
    assert not loaded & {"trio_websocket", "dns", "trustme", "rich", "trioxmpp.testing", "trioxmpp.cli"}
