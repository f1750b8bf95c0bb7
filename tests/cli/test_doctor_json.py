"""The findings for machines: one shape, which is the one that the documentation tells."""

from __future__ import annotations

import ast
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.doctor_helpers import SCRAM
from tests.cli.test_doctor_offers import BOTH, CAPS, ESCAPE, EVERYTHING, LIMITS, bindings, hostile
from trioxmpp.cli import main
from trioxmpp.cli.doctor import advice, fault, findings
from trioxmpp.cli.doctor.advice import Advice
from trioxmpp.cli.doctor.advice_texts import advice_texts
from trioxmpp.cli.doctor.json_report import as_json

PAGE = (Path(__file__).parent.parent.parent / "docs" / "doctor.md").read_text()
TOLD = re.findall(r"^\| `([a-z0-9_]+\.[a-z0-9_]+)` \| ([a-z0-9 ]+) \|", PAGE, re.MULTILINE)

KINDS = {str: "text", int: "whole number", float: "number", bool: "boolean"}
CLASSES = [cls for name, cls in vars(findings).items() if name in findings.__all__ and isinstance(cls, type)]


def name_of(cls: type) -> str:
    return "findings" if cls is findings.Diagnosis else cls.__name__.lower()


def kind(hint: Any) -> str:
    """The structure of a value, in words."""
    if isinstance(hint, types.UnionType):
        (some,) = [each for each in typing.get_args(hint) if each is not type(None)]
        return f"{kind(some)} or null"
    if typing.get_origin(hint) in (list, tuple):
        return f"list of {kind(typing.get_args(hint)[0])}"
    if typing.get_origin(hint) is typing.Literal:
        return "text"
    return KINDS[hint] if hint in KINDS else name_of(hint)


def shape() -> dict[str, str]:
    """The keys of every object of the findings, by their classes."""
    of_its_own = {"findings.version": "whole number", "findings.advice": "list of advice", "findings.ok": "boolean"}
    return of_its_own | {
        f"{name_of(cls)}.{name}": kind(hint)
        for cls in [*CLASSES, Advice]
        for name, hint in typing.get_type_hints(cls).items()
    }


def test_the_documentation_tells_every_name_and_no_other():
    assert dict(TOLD) == shape()
    assert len(TOLD) == len(dict(TOLD))


def test_the_documentation_tells_the_version_and_every_word():
    assert f"`version` is {findings.VERSION}" in PAGE
    for word in (*advice_texts(), *findings.STEPS):
        assert f"`{word}`" in PAGE, word


def test_every_fault_has_a_remedy_and_every_remedy_is_of_use():
    sources = [Path(module.__file__).read_text() for module in (fault, advice)]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    used = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used |= {f"slow-{step}" for step in ("resolving", "connecting")}
    assert set(advice_texts()) <= used
    returned = {
        node.value.value for node in nodes if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant)
    }
    assert {word for word in returned if word} <= set(advice_texts())


def check(value: Any, expected: str, where: str) -> None:
    """That `value` is what the documentation says it is, all the way down."""
    if value is None:
        assert expected.endswith(" or null"), where
        return
    expected = expected.removesuffix(" or null")
    types_of = {"text": [str], "whole number": [int], "number": [float], "boolean": [bool]}
    if expected.startswith("list of "):
        assert type(value) is list, where
        for each in value:
            check(each, expected.removeprefix("list of "), where)
    elif expected in types_of:
        assert type(value) in types_of[expected], where
    else:
        told = {path.partition(".")[2]: what for path, what in TOLD if path.startswith(f"{expected}.")}
        assert set(value) == set(told), where
        for name, what in told.items():
            check(value[name], what, f"{where}.{name}")


def valid(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    check(found, "findings", "findings")
    return found


async def test_the_findings_have_the_documented_shape(autojump_clock, town):
    town.offers(SCRAM, EVERYTHING, bindings(*BOTH), LIMITS.format(""), CAPS)
    found = valid(as_json(await town.diagnose()))
    assert found["version"] == findings.VERSION
    assert found["ok"] is True
    assert found["visits"][0]["offer"]["sasl2"]["fast"] == ["HT-SHA-256-ENDP"]
    assert found["visits"][0]["plan"]["mechanism"] == "SCRAM-SHA-256-PLUS"
    assert {each["code"] for each in found["advice"]} == {"srv-missing", "exporter"}


async def test_the_findings_of_a_failure_have_the_documented_shape(autojump_clock, town):
    town.offers(SCRAM, context=town.authority.server("other.test"))
    found = valid(as_json(await town.diagnose()))
    assert found["ok"] is False
    assert found["visits"][0]["fault"] == "certificate-name"
    assert found["visits"][0]["certificate"]["trusted"] is False


async def test_hostile_words_are_written_in_ascii(autojump_clock, town):
    hostile(town)
    text = as_json(await town.diagnose())
    assert text.isascii()
    assert all(char.isprintable() for line in text.split("\n") for char in line)
    assert any(ESCAPE in name for name in valid(text)["visits"][0]["offer"]["mechanisms"])


async def unused_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        return listener.socket.getsockname()[1]


@pytest.mark.parametrize("options", [[], ["--timeout", "5"]])
def test_the_command_prints_it_and_nothing_else(capsys, options):
    port = trio.run(unused_port)
    argv = ["doctor", "example.test", "--json", "--endpoint", f"xmpp://127.0.0.1:{port}", *options]
    assert main(argv) == 1
    found = valid(capsys.readouterr().out)
    assert found["domain"] == "example.test"
    assert "Connection refused" in found["visits"][0]["error"]
    assert found["advice"][0]["whose"] == "admin"
