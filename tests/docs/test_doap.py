"""That `docs/trioxmpp.doap` and the page about compliance say what the code has."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from lxml import etree

from tests.bench import NOT_ON_REAL_SERVERS
from tests.sources import MODULES, ROOT, tree_of

XEP = "{https://linkmauve.fr/ns/xmpp-doap#}"
RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
#: The calls of a test that runs in memory only.
IN_MEMORY = ("bench.embedded()", *[f"has('{each}')" for each in NOT_ON_REAL_SERVERS])
PAGE = ROOT / "docs" / "compliance.md"

#: A number, and those of a list behind it: ``XEP-0085, 0184, 0308``.
CITATION = re.compile(r"XEP-(\d{4}(?:,\s\d{4})*)")

#: Extensions that the code cites without implementing them.
ONLY_CITED = {
    "0078": "passwords of this kind of login are hidden in traces",
    "0091": "its dates are read where XEP-0082 is due",
}


@dataclass
class Row:
    """An extension, as the DOAP file has it."""

    number: str
    status: str
    version: str | None
    module: str
    missing: str


def rows() -> list[Row]:
    found = []
    for each in etree.parse(ROOT / "docs" / "trioxmpp.doap").iter(f"{XEP}SupportedXep"):
        address = re.fullmatch(r"https://xmpp\.org/extensions/xep-(\d{4})\.html", each.find(f"{XEP}xep").get(RESOURCE))
        assert address is not None, etree.tostring(each)
        module, _, missing = each.findtext(f"{XEP}note").partition(": ")
        status, version = each.findtext(f"{XEP}status"), each.findtext(f"{XEP}version")
        found.append(Row(address[1], status, version, module, missing))
    return found


def cited(text: str) -> set[str]:
    return {number for each in CITATION.findall(text) for number in re.split(r",\s", each)}


def cells(heading: str) -> list[list[str]]:
    """The rows of the tables of a page that begin with this heading."""
    found, wanted = [], False
    for line in PAGE.read_text().splitlines():
        parts = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not parts:
            wanted = False
        elif parts[0] == heading:
            wanted = True
        elif wanted and not parts[0].startswith("-"):
            found.append(parts)
    return found


def is_on_real_servers(path: str, test: str) -> bool:
    """Whether a test runs on a real server: it is end-to-end, or for every bench and needs no forgery and no faults."""
    if path.startswith("e2e/"):
        return True
    sources = {each.name: ast.unparse(each) for each in functions(path)}
    in_memory = {name for name, source in sources.items() if any(each in source for each in IN_MEMORY)}
    called = set(re.findall(r"\b(\w+)\(", sources[test])) | {test}
    return "@on_every_bench" in sources[test] and not called & in_memory


def functions(path: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return [each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_list_of_numbers_is_a_citation_of_each() -> None:
    assert cited("(XEP-0085, 0184,\n0308) and XEP-0045 §7, 2026") == {"0085", "0184", "0308", "0045"}


def test_every_extension_that_the_library_has_is_in_the_file() -> None:
    sources = {name: path for name, path in MODULES.items() if not name.startswith("trioxmpp.testing")}
    found = {number: name for name, path in sources.items() for number in cited(path.read_text())}
    listed = {row.number for row in rows()}
    missing = {number: name for number, name in found.items() if number not in listed | ONLY_CITED.keys()}
    assert not missing, f"docs/trioxmpp.doap lacks {missing}"
    assert ONLY_CITED.keys() <= found.keys()
    assert not ONLY_CITED.keys() & listed


def test_every_extension_of_the_services_is_named_by_them_and_in_the_file() -> None:
    services = {name: path for name, path in MODULES.items() if name.startswith(("trioxmpp.xep", "trioxmpp.im"))}
    named = {number for path in services.values() for number in cited(ast.get_docstring(tree_of(path)) or "")}
    assert len(named) > 50
    assert named <= {row.number for row in rows()}


def test_each_row_of_the_file_names_a_module_that_cites_the_extension() -> None:
    wrong = []
    for row in rows():
        inside = [path for name, path in MODULES.items() if f"{name}.".startswith(f"{row.module}.")]
        if not inside:
            wrong.append(f"XEP-{row.number}: there is no module {row.module}")
        elif not any(row.number in cited(path.read_text()) for path in inside):
            wrong.append(f"XEP-{row.number}: {row.module} does not cite it")
        if row.status not in ("complete", "partial"):
            wrong.append(f"XEP-{row.number}: the status is {row.status}")
        if row.status == "partial" and not row.missing:
            wrong.append(f"XEP-{row.number}: partial, and the note does not say what is missing")
        if row.version is not None and not re.fullmatch(r"\d+\.\d+(\.\d+)?", row.version):
            wrong.append(f"XEP-{row.number}: the version is {row.version}")
    assert not wrong, "\n".join(wrong)


def test_the_file_has_each_extension_once_in_order() -> None:
    numbers = [row.number for row in rows()]
    assert numbers == sorted(set(numbers))


def test_the_page_claims_no_extension_that_the_file_lacks() -> None:
    listed = {row.number for row in rows()}
    for feature, _, by, here, *_ in cells("feature"):
        needed = cited(by)
        if here.startswith("yes"):
            # One of two mechanisms is enough for the Web.
            assert needed <= listed or "RFC 7395 or" in by, f"{feature}: {needed - listed} is not in the file"
        else:
            assert not needed <= listed, f"{feature}: is here, as the file says"
    for extension, here in cells("extension"):
        assert here.startswith("yes") == (cited(extension) <= listed), extension


def test_tests_and_modules_of_the_page_exist() -> None:
    features = cells("feature")
    assert len(features) > 25
    for feature, asked, _, here, module, shown, servers in features:
        assert asked in ("both", "advanced"), feature
        if here.startswith("no"):
            continue
        for name in re.findall(r"`(trioxmpp[\w.]*)`", module):
            assert name in MODULES, f"{feature}: there is no module {name}"
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert module, feature
        assert tests, feature
        for path, test in tests:
            assert test in {each.name for each in functions(path)}, f"{feature}: {path} has no {test}"
        real = any(is_on_real_servers(path, test) for path, test in tests)
        assert real == ("Prosody, ejabberd" in servers), f"{feature}: real servers"
        embedded = any(not path.startswith("e2e/") for path, _ in tests)
        assert embedded or "embedded" not in servers, f"{feature}: the embedded server"


def test_modules_that_the_text_of_the_page_names_exist() -> None:
    names = set(re.findall(r"`(trioxmpp\.[\w.]+\w)`", PAGE.read_text())) - {"trioxmpp.doap"}
    assert names <= MODULES.keys()
