"""That what docs/elements.md shows is what happens."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs" / "elements.md").read_text()
# A program, and what it prints: the indented block behind it.
SHOWN = re.findall(r"^```python\n(.*?)^```\n\n((?:    [^\n]*\n)+)", PAGE, re.MULTILINE | re.DOTALL)


def test_every_program_shows_what_it_prints() -> None:
    assert len(SHOWN) == PAGE.count("```python") > 3


@pytest.mark.parametrize(("program", "output"), SHOWN)
def test_the_programs(program: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(program, "docs/elements.md", "exec"), {"__name__": "__page__"})
    assert capsys.readouterr().out == textwrap.dedent(output)
