"""Programs of pages are checked at the lines that they have there; ``make types`` runs mypy over them."""

from __future__ import annotations

from pathlib import Path

from tests.docs.typed_programs import complaints, written
from tests.sources import ROOT

PAGE = """# A page

```python
import trio
```

Text.

```python
import trioxmpp

trioxmpp.connect(1)
```
"""


def test_each_program_stands_at_the_lines_of_its_page(tmp_path: Path) -> None:
    page = tmp_path / "from-us.md"
    page.write_text(PAGE)
    files = written([page], tmp_path)
    assert files == {"from_us_1.py": page, "from_us_2.py": page}
    lines = (tmp_path / "from_us_2.py").read_text().splitlines()
    assert lines == [""] * 9 + PAGE.splitlines()[9:12]


def test_a_complaint_names_the_page() -> None:
    output = "build/pages/quickstart_1.py:12: error: no\nSuccess: nothing else\n"
    pages = {"quickstart_1.py": ROOT / "docs" / "quickstart.md"}
    assert list(complaints(output, pages)) == ["docs/quickstart.md:12: error: no", "Success: nothing else"]
