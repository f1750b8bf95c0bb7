"""Sphinx: each code span that names a public object becomes a link to its description.

The sources of pages and docstrings stay plain text: `` `Client` `` or `` `client.send(...)` ``. `meanings` says what a
name means; of the names of Python and trio those are linked that ``docs/_inventories`` lists. A page that has names of
another library in the first column of its tables says ``unlinked_first_column: true`` at its top.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from docutils import nodes
from meanings import Names, imports, object_of
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

__all__ = ["setup"]

_SPAN = re.compile(
    r"^@?(?:await |async with |with )?([A-Za-z_]\w*(?:\.\w+)*)(\(.*\)|\[.*\])?(?: as \w+)?:?$", re.DOTALL
)


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
    described = object_of(".".join(filter(None, (reference.get("py:module"), reference.get("py:class")))))
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
