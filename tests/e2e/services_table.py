"""Writes the tables of services in docs/servers.md, out of what `record_services.py` has written down of runs.

python -m tests.e2e.services_table build/services.json [...]
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from tests.e2e.service_rows import ROWS
from tests.e2e.table import order, rewrite

BEGIN, END = "<!-- make services-table -->\n", "<!-- until here: services -->\n"


def main(records: list[Path]) -> str | None:
    """Rewrite the page; return what stands against it."""
    found = [outcome for record in records for outcome in json.loads(record.read_text())]
    for each in found:
        if each["outcome"] == "failed":
            return f"{each['test']} failed with {each['server']}"
        if each["row"] is None:
            return f"{each['test']} is in no row of tests/e2e/service_rows.py"
    rewrite(BEGIN, tables(found), END)
    return None


def tables(found: list[dict[str, str]]) -> str:
    servers = sorted({each["server"] for each in found}, key=order)
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    missing: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in found:
        counts[each["row"], each["server"]][each["outcome"]] += 1
        if each["outcome"] == "skipped":
            missing[each["test"], _without_server(each["reason"])].append(each["server"])
    text = f"\n| | {' | '.join(servers)} | shown by |\n|---|{'---|' * len(servers)}---|\n"
    for row, paths in ROWS.items():
        cells = [_cell(counts[row, server]) for server in servers]
        text += f"| {row} | {' | '.join(cells)} | {', '.join(f'`{path}`' for path in paths)} |\n"
    text += "\n| not tested | on | since |\n|---|---|---|\n"
    for (test, reason), where in sorted(missing.items()):
        text += f"| `{test}` | {', '.join(sorted(where, key=order))} | {reason} |\n"
    return text + "\n"


def _cell(counts: Counter[str]) -> str:
    """The number of tests that passed and, in brackets, of those about what the server does not have."""
    passed, skipped = str(counts["passed"] or "-"), counts["skipped"]
    return f"{passed} (*{skipped}*)" if skipped else passed


def _without_server(reason: str) -> str:
    """The reason as it is for all servers: "Prosody 13.0.7 does not have moderation" has its subject in a column."""
    return re.sub(r"^(prosody|ejabberd)[- ]?[\d.]* ", "it ", reason, flags=re.IGNORECASE)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
