"""``docs/logging.md``: its programs run, and print what it says."""

from __future__ import annotations

import logging
import re

import pytest

from tests.docs.test_pages import ROOT, load, programs, run

PAGE = "docs/logging.md"
OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def settled(text: str) -> str:
    """`text` without what differs from one run to the next: ids, delays, and what was cut off behind an id."""
    text = re.sub(r"""(id=)("[^"]*"|'[^']*').*""", r"\1", text)
    return re.sub(r"\d+\.\d+ s", "0 s", text)


@pytest.fixture
def logging_restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_programs_print_what_the_page_says(capsys, logging_restored) -> None:
    outputs = OUTPUT.findall((ROOT / PAGE).read_text())
    sources = programs(PAGE)
    assert len(outputs) == len(sources) == 2
    for source, output in zip(sources, outputs, strict=True):
        run(load(source, PAGE)["main"])
        assert settled(capsys.readouterr().out) == settled(output)
        logging.getLogger().handlers.clear()
