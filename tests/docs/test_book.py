"""Rules for each page of the book."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import trioxmpp
from tests.docs.test_pages import load, programs, run
from tests.failures import check_each
from tests.sources import PACKAGE
from trioxmpp import Message, MessageType
from trioxmpp.testing import open_server

needs_all_extras = pytest.mark.skipif(
    importlib.util.find_spec("omemo") is None, reason="the book names all modules, also those of extras"
)

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    """Return the text of a page, without its programs."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_each_page_ends_with_what_to_read_next() -> None:
    def ends(page: Path) -> None:
        assert page.read_text().rstrip().rpartition("\n\n")[2].startswith("Read next: "), "no line: Read next: ..."

    check_each([(page.name, page) for page in PAGES if page.name != "index.md"], ends)


def test_each_page_is_in_the_contents() -> None:
    listed = "\n".join(TOCTREE.findall((DOCS / "index.md").read_text())).split()
    assert [page.stem for page in PAGES if page.stem not in listed] == ["index"]


def test_the_page_of_the_architecture_names_files_that_exist() -> None:
    folder, named = PACKAGE, 0
    for span in re.findall(r"`([a-z0-9_/]+(?:/|\.py))`", text_of(DOCS / "architecture.md")):
        # Names of files without a folder are in the folder that stands before them.
        top = DOCS.parent if span.startswith("tests/") else PACKAGE
        path = top / span if "/" in span else folder / span
        assert path.exists(), span
        folder = path if path.is_dir() else path.parent
        named += 1
    assert named > 40


def exists(dotted: str) -> bool:
    """Return whether a dotted name means something: a module, a thing in it, or an attribute that a class declares."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            if not hasattr(found, name):
                return inspect.isclass(found) and name in _attributes(found)
            found = getattr(found, name)
        return True
    return False


def _attributes(cls: type) -> set[str]:
    """Return the attributes that the source of a class sets on its instances or declares."""
    source = "".join(inspect.getsource(base) for base in cls.__mro__ if base.__module__.startswith("trioxmpp"))
    return {*re.findall(r"\bself\.(\w+)\s*[:=]", source), *re.findall(r"^    (\w+):", source, re.MULTILINE)}


def names_in(page: Path) -> set[str]:
    """Return the dotted names that a page uses. A page about another library has that one's in the first column."""
    text = text_of(page)
    if page.name.startswith("from-"):
        text = re.sub(r"^\| .*? \| ", "| ", text, flags=re.MULTILINE)
    found: set[str] = set()
    for span in (" ".join(each[1].split()) for each in SPAN.findall(text)):
        found.update(re.findall(r"\btrioxmpp(?:\.(?!doap)\w+)+\b(?!/)", span))
        if method := re.match(r"(?:await |async with |with )?client\.(\w+)", span):
            found.add(f"trioxmpp.Client.{method[1]}")
    return found


@needs_all_extras
def test_each_name_of_the_library_in_a_page_exists() -> None:
    def names(page: Path) -> None:
        missing = [name for name in sorted(names_in(page)) if not exists(name)]
        assert missing == []

    check_each([(page.name, page) for page in PAGES if page.name != "seed.md"], names)


def test_a_name_that_does_not_exist_is_found() -> None:
    assert exists("trioxmpp.xep.muc.Room.jid")
    assert exists("trioxmpp.Client.messages")
    assert not exists("trioxmpp.Client.nothing")
    assert not exists("trioxmpp.xep.nothing")


def test_the_page_of_contents_and_the_readme_have_the_same_bot() -> None:
    assert programs("docs/index.md") == programs("README.md")


@pytest.mark.parametrize("page", ["docs/from-slixmpp.md", "docs/from-aioxmpp.md"])
def test_the_bot_beside_that_of_another_library_answers(page: str) -> None:
    (source,) = programs(page)
    main = load(source, page)["main"]

    async def both() -> None:
        import trio

        async with (
            open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server,
            trio.open_nursery() as nursery,
        ):
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            nursery.start_soon(lambda: main("romeo@example.test", "secret", **options))
            async with (
                trioxmpp.connect("juliet@example.test", "secret", **options) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                await server.until(lambda: len(server.sessions) == 2)
                await juliet.send(Message(to="romeo@example.test", type=MessageType.CHAT, body="Romeo?"))
                assert (await anext(inbox)).body == "Romeo?"
            nursery.cancel_scope.cancel()

    run(both)


# --- the tools of the build


def tool(name: str) -> Any:
    """Import a module of docs/_ext, as Sphinx does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_ext"))
        try:
            return importlib.import_module(name)
        finally:
            sys.modules.pop(name, None)


@needs_all_extras
def test_a_page_has_a_section_for_each_public_module_of_a_package() -> None:
    text = tool("public_modules").expand("# All\n\n<!-- modules of trioxmpp.im -->\n")
    for name in ("roster", "presence", "timeline", "blocking"):
        assert f"## `trioxmpp.im.{name}`" in text
    assert ".. autofunction:: trioxmpp.im.roster.open_roster\n" in text
    assert ".. autoclass:: trioxmpp.im.roster.Roster\n   :members:\n" in text
    assert ".. autodata:: trioxmpp.im.omemo.TrustRule\n" in text  # the type of a function is not a function


def test_the_names_of_other_projects_become_an_inventory(tmp_path: Path) -> None:
    import zlib

    inventories = tool("inventories")
    (tmp_path / "x.txt").write_text("https://x.example/\npage.html class x.A x.B\npage.html module x\n")
    assert inventories.mapping(tmp_path, tmp_path / "made") == {
        "x": ("https://x.example/", str(tmp_path / "made/x.inv"))
    }
    data = (tmp_path / "made" / "x.inv").read_bytes()
    head, body = data.split(b"zlib.\n", 1)
    assert head.startswith(b"# Sphinx inventory version 2\n# Project: x\n")
    assert zlib.decompress(body).decode().splitlines() == [
        "x.A py:class 1 page.html#$ -",
        "x.B py:class 1 page.html#$ -",
        "x py:module 1 page.html#module-$ -",
    ]


OBJECTS = {
    "trioxmpp.connect": "function",
    "trioxmpp.Client": "class",
    "trioxmpp.Client.send": "method",
    "trioxmpp.Message": "class",
    "trioxmpp.xep.muc.Room": "class",
    "trioxmpp.xep.muc.Room.say": "method",
    "trioxmpp.xep.muc.destroy": "function",
    "trioxmpp.xep.muc.Affiliation": "class",
    "trioxmpp.xep.pubsub.Affiliation": "class",
    "trioxmpp.xep.pubsub.create": "function",
    "trioxmpp.im.roster.open_roster": "function",
    "trioxmpp.stream.Dispatcher": "class",
    "trioxmpp.stream.Dispatcher.subscribe": "method",
}
ROOMS = {"open_room": "trioxmpp.xep.muc.open_room"}


@pytest.mark.parametrize(
    ("name", "called", "imported", "around", "meaning"),
    [
        ("Client", False, {}, [], "trioxmpp.Client"),
        ("client.send", True, {}, [], "trioxmpp.Client.send"),
        ("trioxmpp.client.client.Client.send", False, {}, [], "trioxmpp.Client.send"),
        ("connect", False, {}, [], "trioxmpp.connect"),
        ("send", False, {}, [], None),
        ("send", True, {}, ["trioxmpp.Client"], "trioxmpp.Client.send"),
        ("open_roster", False, {}, [], "trioxmpp.im.roster.open_roster"),
        ("room.say", True, {}, [], None),
        ("room.say", True, ROOMS, [], "trioxmpp.xep.muc.Room.say"),
        ("destroy", False, ROOMS, [], "trioxmpp.xep.muc.destroy"),
        ("create", True, ROOMS, [], None),
        ("pubsub.create", True, {"pubsub": "trioxmpp.xep.pubsub"}, [], "trioxmpp.xep.pubsub.create"),
        ("Affiliation", False, {}, [], None),
        ("Affiliation", False, ROOMS, [], "trioxmpp.xep.muc.Affiliation"),
        ("client.messages.subscribe", True, {}, [], "trioxmpp.stream.Dispatcher.subscribe"),
        ("Nothing", False, {}, [], None),
    ],
)
def test_a_name_in_a_text_means_one_public_object(
    name: str, called: bool, imported: dict[str, str], around: list[str], meaning: str | None
) -> None:
    assert tool("meanings").Names(OBJECTS).find(name, called, imported, around) == meaning


def test_the_imports_of_a_program_are_read() -> None:
    source = "import trio\nimport os.path\nimport a.b as c\nfrom x.y import z, w as v\nfrom . import no\n"
    assert tool("meanings").imports(source) == {"trio": "trio", "os": "os", "c": "a.b", "z": "x.y.z", "v": "x.y.w"}
    assert tool("meanings").imports("not a program") == {}
