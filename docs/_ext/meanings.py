"""Which public object a name in a text means. Pure: `linked_names` asks it while Sphinx builds the book.

A name means, in this order: what a program of the same page has imported under it; what the class or module around it
defines; what a module that the page imports from has; the one public object of that name. A name that several objects
have means none. So does a single small word, such as *send*, that no program of the page imports: it may be an
argument, or just a word. A variable is called like its class: `room.say` is a method of `Room`.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterable

__all__ = ["Names", "imports", "object_of"]

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


def object_of(dotted: str) -> object | None:
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
            value = object_of(dotted)
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
        if (found := self.dotted(object_of(full))) is not None:
            return found
        owner, _, attribute = full.rpartition(".")
        documented = self._by_identity.get(id(object_of(owner))) if owner else None
        return name if documented and (name := f"{documented}.{attribute}") in self.objects else None

    def _unique(self, end: str) -> str | None:
        """Return the one object whose dotted name ends like this; of several that are one object, the shortest."""
        found = self._by_end.get(end, [])
        if "." not in end:  # no methods: `close` of which class?
            found = [each for each in found if self.objects[each] not in ("method", "attribute", "property")]
        if len({id(object_of(each)) for each in found}) > 1:
            public = [each for each in found if each == f"trioxmpp.{end}"]
            return public[0] if public else None
        return found[0] if found else None
