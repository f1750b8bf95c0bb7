"""Sphinx: reference pages that have every public module of a package, also those that are new.

A line ``<!-- modules of trioxmpp.xep -->`` in a page stands for one section for each module of the package that says
what is public (``__all__``), with all that it defines.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from types import ModuleType

__all__ = ["expand", "public_modules", "setup"]

_LINE = re.compile(r"^<!-- modules of ([\w.]+)(?: in level (\d))? -->$", re.MULTILINE)


def public_modules(package: str) -> list[ModuleType]:
    """Return the modules of a package that say what is public. A folder counts as one module."""
    root = importlib.import_module(package)
    found = [importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(root.__path__)]
    return [module for module in found if getattr(module, "__all__", None)]


def _own(module: ModuleType) -> list[str]:
    """Return the public names that a module, or the folder that it stands for, defines itself."""
    names = []
    for name in module.__all__:
        value = getattr(module, name)
        defined = module.__name__
        if isinstance(value, type) or inspect.isroutine(value):
            defined = getattr(value, "__module__", defined)
        if defined == module.__name__ or defined.startswith(f"{module.__name__}."):
            names.append(name)
    return names


def _directive(dotted: str, value: object) -> str:
    """Return the directive that describes an object."""
    if isinstance(value, type):
        kind = "exception" if issubclass(value, BaseException) else "class"
        return f".. auto{kind}:: {dotted}\n   :members:\n"
    return f".. auto{'function' if inspect.isroutine(value) else 'data'}:: {dotted}\n"


def _section(module: ModuleType) -> str:
    """Return a heading, the text of the module, and a description of each name that it defines."""
    described = [_directive(f"{module.__name__}.{name}", getattr(module, name)) for name in _own(module)]
    if not described:
        return ""
    text = "".join([f".. automodule:: {module.__name__}\n   :no-inherited-members:\n", *described])
    return f"## `{module.__name__}`\n\n```{{eval-rst}}\n{text}```\n"


def expand(source: str) -> str:
    """Return the text of a page with a section for each module in place of the lines that ask for them."""
    return _LINE.sub(lambda found: "\n".join(filter(None, map(_section, public_modules(found[1])))), source)


def setup(app):
    def read(app, page: str, source: list[str]) -> None:
        source[0] = expand(source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
