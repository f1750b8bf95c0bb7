"""The programs in docs/elements.md print the output that the page shows."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs" / "elements.md").read_text()
# A program, and its output: the indented block behind it.
SHOWN = re.findall(r"^```python\n(.*?)^```\n\n((?:    [^\n]*\n)+)", PAGE, re.MULTILINE | re.DOTALL)


def test_every_program_has_its_output() -> None:
    assert len(SHOWN) == PAGE.count("```python") > 3


@pytest.mark.parametrize(("program", "output"), SHOWN)
def test_a_program_prints_the_output_on_the_page(program: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(program, "docs/elements.md", "exec"), {"__name__": "__page__"})
    assert capsys.readouterr().out == textwrap.dedent(output)
