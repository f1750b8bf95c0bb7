"""Sphinx: each code span that names a public object becomes a link to its description.

The sources of pages and docstrings stay plain text: `` `Client` `` or `` `client.send(...)` ``. A name means, in this
order: what a program of the same page has imported under it; what the class or module around it defines; what a module
that the page imports from has; the one public object of that name; one of Python or trio (``ssl.SSLContext``). A name
that several objects have is left alone. So is a single small word, such as *send*, that no program of the page imports:
it may be an argument, or just a word. A variable is called like its class: `room.say` is a method of `Room`. A page
that has names of another library in the first column of its tables says ``unlinked_first_column: true`` at its top.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

__all__ = ["Names", "imports", "setup"]

_SPAN = re.compile(
    r"^@?(?:await |async with |with )?([A-Za-z_]\w*(?:\.\w+)*)(\(.*\)|\[.*\])?(?: as \w+)?:?$", re.DOTALL
)
_SMALL = re.compile(r"^[a-z]+$")

#: The modules whose names each page may use without importing them.
_NEAR = ("trioxmpp", "trioxmpp.client", "trioxmpp.testing")

#: Attributes and variables that are not called like their class.
_VARIABLES = {
    "client.messages": "trioxmpp.stream.Dispatcher",
    "client.presences": "trioxmpp.stream.Dispatcher",
    "inbox": "trioxmpp.stream.Inbox",
    "talk": "trioxmpp.im.conversation.Conversation",
    "talks": "trioxmpp.im.conversation.Conversations",
    "token": "trioxmpp.StanzaToken",
    "component": "trioxmpp.Component",
}

#: Small words that mean a function wherever they stand.
_FRONT_DOORS = ("connect", "serve")


def imports(program: str) -> dict[str, str]:
    """Return what a program imports: the dotted name of each, by the name that it has there."""
    try:
        tree = ast.parse(program)
    except SyntaxError:
        return {}
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                (name.asname or name.name.partition(".")[0]): (name.asname and name.name) or name.name.partition(".")[0]
                for name in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return found


def _object(dotted: str) -> object | None:
    """Return what a dotted name means to Python; None if it means nothing."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for name in parts[count:]:
            found = getattr(found, name, None)
        return found
    return None


class Names:
    """The names of documented objects. `objects` are their kinds by dotted name."""

    def __init__(self, objects: dict[str, str]) -> None:
        self.objects = objects
        self._by_end: defaultdict[str, list[str]] = defaultdict(list)
        self._by_identity: dict[int, str] = {}
        for dotted in sorted(objects, key=lambda name: (name.count("."), name)):
            parts = dotted.split(".")
            for start in range(1, len(parts)):
                self._by_end[".".join(parts[start:])].append(dotted)
            value = _object(dotted)
            if isinstance(value, type) or callable(value):
                self._by_identity.setdefault(id(value), dotted)

    def dotted(self, value: object) -> str | None:
        """Return the dotted name under which a class or function is described; None if it is not."""
        return self._by_identity.get(id(value)) if isinstance(value, type) or callable(value) else None

    def find(self, name: str, called: bool, imported: dict[str, str], around: list[str]) -> str | None:
        """Return the dotted name of the object that a span means.

        `imported` is what the programs of the page import, `around` are the objects and modules whose description the
        span is in, and `called` is whether it has parentheses.
        """
        head, _, rest = name.partition(".")
        if head in imported:
            return self._documented(f"{imported[head]}.{rest}".rstrip("."))
        if head == "trioxmpp":
            return self._documented(name)
        small, page = (
            _SMALL.match(head),
            {each for value in imported.values() for each in (value, value.rpartition(".")[0])},
        )
        page -= {"trioxmpp", ""}
        owner, _, attribute = name.rpartition(".")
        if owner in _VARIABLES:
            return self._documented(f"{_VARIABLES[owner]}.{attribute}")
        if rest and small:  # a variable is called like its class, and so is an attribute
            return self._first({*_NEAR, *page, *around}, f"{owner.rpartition('.')[2].capitalize()}.{attribute}")
        if small and not called:
            return self._first(page, name) or ("trioxmpp." + name if name in _FRONT_DOORS else None)
        for modules in (around, page, _NEAR):
            if (found := self._first(modules, name)) is not None:
                return found
        return None if small else self._unique(name)

    def _first(self, modules: Iterable[str], name: str) -> str | None:
        """Return the object that one of these modules has by a name."""
        found = {self._documented(f"{module}.{name}") for module in modules} - {None}
        return found.pop() if len(found) == 1 else None

    def _documented(self, full: str) -> str | None:
        if full in self.objects:
            return full
        if (found := self.dotted(_object(full))) is not None:
            return found
        owner, _, attribute = full.rpartition(".")
        documented = self._by_identity.get(id(_object(owner))) if owner else None
        return name if documented and (name := f"{documented}.{attribute}") in self.objects else None

    def _unique(self, end: str) -> str | None:
        """Return the one object whose dotted name ends like this; of several that are one object, the shortest."""
        found = self._by_end.get(end, [])
        if "." not in end:  # no methods: `close` of which class?
            found = [each for each in found if self.objects[each] not in ("method", "attribute", "property")]
        if len({id(_object(each)) for each in found}) > 1:
            public = [each for each in found if each == f"trioxmpp.{end}"]
            return public[0] if public else None
        return found[0] if found else None


class _LinkNames(SphinxPostTransform):
    default_priority = 5

    def run(self) -> None:
        names = _names_of(self.env)
        imported: dict[str, str] = {}
        for block in self.document.findall(nodes.literal_block):
            if block.get("language") in ("python", "py", "default"):
                imported |= imports(block.astext())
        for span in list(self.document.findall(nodes.literal)):
            if (reference := self._reference(span, names, imported)) is not None:
                span.replace_self(reference)

        for reference in self.document.findall(addnodes.pending_xref):
            if reference.get("refdomain") == "py" and "." not in reference["reftarget"]:
                reference["reftarget"] = _in_full(reference, names) or reference["reftarget"]

    def _reference(self, span: nodes.literal, names: Names, imported: dict[str, str]) -> nodes.Node | None:
        parents = list(_parents(span))
        if any(isinstance(each, nodes.reference | nodes.title | addnodes.desc_signature) for each in parents):
            return None
        if any(isinstance(each, addnodes.pending_xref) for each in parents) or self._is_of_another_library(parents):
            return None
        match = _SPAN.match(span.astext())
        if match is None:
            return None
        name, around = match[1], _around(parents)
        dotted = names.find(name, bool(match[2]), imported, around)
        if dotted is None:
            return _external(self.env, span, name)
        if dotted in around[:1]:
            return None  # a description does not link to itself
        entry = self.env.domains["py"].objects[dotted]
        content = span.deepcopy()
        return make_refnode(self.app.builder, self.env.docname, entry.docname, entry.node_id, content, dotted)

    def _is_of_another_library(self, parents: list[nodes.Node]) -> bool:
        """Return whether a node is in the first column of a page that begins with ``unlinked_first_column: true``."""
        if "unlinked_first_column" not in self.env.metadata[self.env.docname]:
            return False
        return any(isinstance(each, nodes.entry) and each.parent.index(each) == 0 for each in parents)


def _in_full(reference: addnodes.pending_xref, names: Names) -> str | None:
    """Return the dotted name of a type in a signature: what the module that defines the described object calls so."""
    described = _object(".".join(filter(None, (reference.get("py:module"), reference.get("py:class")))))
    module = importlib.import_module(getattr(described, "__module__", None) or reference.get("py:module") or "builtins")
    return names.dotted(getattr(module, reference["reftarget"], None))


def _parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while (node := node.parent) is not None:
        yield node


def _around(parents: list[nodes.Node]) -> list[str]:
    """Return the objects and modules whose description a node is in, the innermost first."""
    found: list[str] = []
    for each in parents:
        if isinstance(each, addnodes.desc) and isinstance(each[0], addnodes.desc_signature):
            module, name = each[0].get("module"), each[0].get("fullname")
            if module and name:
                found.append(f"{module}.{name}")
                found += [f"{module}.{name.rpartition('.')[0]}"] if "." in name else []
    if found and parents:
        modules = [each[0].get("module") for each in parents if isinstance(each, addnodes.desc)]
        found += [module for module in modules if module]
    return found


def _external(env, span: nodes.literal, name: str) -> nodes.Node | None:
    """Return a link to the documentation of Python or trio. Of the names without a dot, only exceptions have one."""
    for kind in (
        ("exception",)
        if "." not in name
        else ("class", "function", "exception", "method", "attribute", "data", "module")
    ):
        entry = env.intersphinx_inventory.get(f"py:{kind}", {}).get(name)
        if entry is not None:
            uri = entry.uri if hasattr(entry, "uri") else entry[2]
            reference = nodes.reference("", "", internal=False, refuri=uri, reftitle=name)
            reference += span.deepcopy()
            return reference
    return None


def _names_of(env) -> Names:
    if not hasattr(env.app, "linked_names"):
        objects = env.domains["py"].objects
        env.app.linked_names = Names({dotted: entry.objtype for dotted, entry in objects.items()})
    return env.app.linked_names


def setup(app):
    app.add_post_transform(_LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
