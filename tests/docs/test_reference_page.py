"""Every public name of a package that users import from is in the reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_book import tool
from tests.failures import check_each

pytest.importorskip("omemo", reason="the reference has all modules, also those of extras")

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([DOCS / "reference.md", *(DOCS / "reference").glob("*.md")])

# The packages that users import from. Of trioxmpp.cli there is only the command.
PACKAGES = (
    "trioxmpp",
    "trioxmpp.xml",
    "trioxmpp.stream",
    "trioxmpp.protocol.stanza",
    "trioxmpp.fleet",
    "trioxmpp.testing",
    "trioxmpp.testing.servers",
)
# The face for extensions, as soon as it says what is public.
LATER = ("trioxmpp.client",)

DIRECTIVE = re.compile(
    r"^\.\. auto(module|class|function|data|exception|decorator):: (\S+)\n((?:   :.*\n)*)", re.MULTILINE
)


def public(package: str) -> list[str]:
    return list(getattr(importlib.import_module(package), "__all__", ()))


def resolve(dotted: str) -> Any:
    """The object that a directive documents."""
    module, found = dotted, None
    while found is None:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            module = module.rpartition(".")[0]
            assert module, f"there is no {dotted}"
    for name in filter(None, dotted[len(module) :].split(".")):
        found = getattr(found, name)
    return found


def documented(pages: str) -> list[tuple[str, Any]]:
    """The objects that directives document, as (dotted name, object)."""
    found: list[tuple[str, Any]] = []
    for kind, target, options in DIRECTIVE.findall(pages):
        if kind != "module":
            found.append((target, resolve(target)))
            continue
        module = resolve(target)
        members = re.search(r":members:(.*)", options)
        if members is None:
            continue
        listed = [name.strip() for name in members[1].split(",") if name.strip()]
        # Without a list, Sphinx takes what the module says is public, wherever it is defined.
        every = list(getattr(module, "__all__", ()))
        found.append((target, module))
        found += [(f"{target}.{name}", getattr(module, name)) for name in listed or every]
    return found


def everything() -> str:
    expand = tool("public_modules").expand
    return "\n".join(expand(page.read_text()) for page in PAGES)


@pytest.mark.parametrize("package", [*PACKAGES, *(name for name in LATER if public(name))])
def test_each_public_name_is_in_the_reference(package: str) -> None:
    there = documented(everything())
    ids = {id(value) for _, value in there}
    dotted = {name for name, _ in there}

    def is_there(name: str) -> None:
        value = getattr(importlib.import_module(package), name)
        assert f"{package}.{name}" in dotted or id(value) in ids, f"docs/reference lacks {package}.{name}"

    check_each([(name, name) for name in public(package)], is_there)


def test_nothing_is_documented_twice() -> None:
    """Sphinx refuses a second description of one object, since a link to it would be ambiguous."""
    names = [name for name, _ in documented(everything())]
    assert sorted(names) == sorted(set(names))


def test_a_directive_of_what_does_not_exist_is_found() -> None:
    with pytest.raises(AttributeError):
        documented(".. autoclass:: trioxmpp.Nothing\n")


def test_a_module_documents_its_listed_members_or_its_own_public_names() -> None:
    listed = documented(".. automodule:: trioxmpp\n   :members: connect, JID\n")
    assert [name for name, _ in listed] == ["trioxmpp", "trioxmpp.connect", "trioxmpp.JID"]
    own = [name for name, _ in documented(".. automodule:: trioxmpp.client.policy\n   :members:\n")]
    assert "trioxmpp.client.policy.ReconnectPolicy" in own
    assert documented(".. automodule:: trioxmpp.xml\n") == []
