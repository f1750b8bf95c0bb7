"""``make bench-report``: a page of pictures, and tables, from what ``make bench`` has measured.

    python -m tests.benchmarks.plots [RESULTS.json] [--docs]

It writes ``build/bench.html``, which a browser shows alone. Each panel is one scenario: bars are medians, thin lines
go from the lowest to the highest round, and a red line is what is to be reached. With ``--docs`` the tables of
``docs/performance.md`` are written anew: those between the comments ``<!-- bench: TITLE -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from . import report, upper
from .floors import SCENARIOS as UPPER
from .harness import ROOT
from .results import Results, Spread, parse_with_results
from .streams import SCENARIOS, WEBSOCKET_SCENARIOS

COLOURS = {
    "bare limit": "#9a9a9a",
    "trioxmpp": "#1668b8",
    "trioxmpp async for": "#6aa8dd",
    "slixmpp": "#c9772b",
    "aioxmpp": "#a8507a",
    "nbxmpp": "#6d8a3c",
    "xmpp.js": "#8a6fc0",
    "libstrophe": "#4f8f8b",
}
OTHER = "#777777"
WIDTH, LABEL, ROW, TOP = 380, 120, 20, 30
#: Of a client whose bar would make those of all others too short to compare, the bar is cut at this many times theirs.
CUT = 6

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>trioxmpp: benchmarks</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1240px; padding: 0 1rem; color: #222; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }}
.panels {{ display: flex; flex-wrap: wrap; gap: 14px 20px; }}
svg {{ background: #fafafa; border: 1px solid #e4e4e4; }}
table {{ border-collapse: collapse; font-size: 13px; }} td, th {{ padding: 2px 12px 2px 0; text-align: left; }}
tr.no td:last-child {{ color: #b00020; font-weight: 600; }}
</style>
<h1>What a stanza costs</h1>
<p>{versions}</p>
<p>Bars are medians over the rounds; thin lines go from the lowest to the highest. Shorter is better.</p>
{body}
</html>
"""


@dataclass(frozen=True)
class Bar:
    """One bar of a panel."""

    label: str
    spread: Spread


def panel(title: str, bars: list[Bar], digits: int = 1, limit: float | None = None, label: int = LABEL) -> str:
    """Return one panel as SVG: horizontal bars with their values, and perhaps a line at `limit`.

    `label` is the room for the labels.
    """
    ordered = sorted(bar.spread.median for bar in bars)
    longest = min(max(bar.spread.high for bar in bars), CUT * ordered[len(ordered) // 2] or 1) or 1
    longest = max(longest, 2 * (limit or 0))
    width = WIDTH - LABEL + label
    room = WIDTH - LABEL - 62
    height = TOP + ROW * len(bars) + 8
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<text x="10" y="19" font-size="13" font-weight="600">{escape(title)}</text>',
    ]
    for index, bar in enumerate(bars):
        pieces += _bar(bar, label, TOP + ROW * index, room / longest, room, digits)
    if limit is not None:
        x = label + limit * room / longest
        pieces.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{height - 6}" stroke="#c00020"/>')
    return "".join([*pieces, "</svg>"])


def _bar(bar: Bar, left: int, y: int, scale: float, room: float, digits: int) -> Iterator[str]:
    spread, colour = bar.spread, COLOURS.get(bar.label, OTHER)
    length = min(spread.median * scale, room)
    is_cut = spread.median * scale > room
    bold = ' font-weight="700"' if bar.label == "trioxmpp" else ""
    text = f'<text x="{left - 6}" y="{y + 13}" font-size="11" text-anchor="end"{bold}>{escape(bar.label)}</text>'
    yield text
    yield f'<rect x="{left}" y="{y + 3}" width="{length:.1f}" height="{ROW - 7}" fill="{colour}"/>'
    low, high = (min(value * scale, room) for value in (spread.low, spread.high))
    if high - low > 1 and not is_cut:
        yield (
            f'<line x1="{left + low:.1f}" y1="{y + 9.5}" x2="{left + high:.1f}" y2="{y + 9.5}" stroke="#222" '
            'stroke-width="1" opacity="0.65"/>'
        )
    end = left + (room if is_cut else max(length, high)) + 5
    shown = f"{spread.median:,.{digits if spread.median < 1000 else 0}f}{' »' if is_cut else ''}"
    yield f'<text x="{end:.1f}" y="{y + 13}" font-size="11"{bold}>{shown}</text>'


def curve(title: str, values: list[float], unit: str) -> str:
    """Return a panel with one line, from the first tenth of a run to the last."""
    height, top = 150, max(values) * 1.1 or 1
    step = (WIDTH - 70) / max(len(values) - 1, 1)
    points = [(40 + index * step, height - 20 - value / top * (height - 60)) for index, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">'
        f'<text x="10" y="19" font-size="13" font-weight="600">{escape(title)}</text>'
        f'<polyline points="{line}" fill="none" stroke="{COLOURS["trioxmpp"]}" stroke-width="2"/>'
        f'<line x1="40" y1="{height - 20}" x2="{WIDTH - 30}" y2="{height - 20}" stroke="#bbb"/>'
        f'<text x="40" y="{points[0][1] - 7:.1f}" font-size="11">{values[0]:.1f} {unit}</text>'
        f'<text x="{WIDTH - 30}" y="{points[-1][1] - 7:.1f}" font-size="11" text-anchor="end">{values[-1]:.1f} {unit}'
        "</text></svg>"
    )


def bars_of(results: Results, scenario: str, quantity: str, scale: float = 1) -> list[Bar]:
    """The bars of all that were measured in a scenario."""
    found = []
    for client in results.numbers.get(scenario, {}):
        if (spread := results.spread(scenario, client, quantity)) is not None:
            found.append(Bar(client, spread.scaled(scale)))
    order = [*COLOURS]
    return sorted(found, key=lambda bar: order.index(bar.label) if bar.label in order else len(order))


def groups(results: Results) -> Iterator[tuple[str, list[str]]]:
    """The headings of the page, each with its panels."""
    streams = [(one.name, one.title, "cpu", 1.0) for one in SCENARIOS]
    websocket = [(one.name, one.title, "cpu", 1.0) for one in WEBSOCKET_SCENARIOS]
    for heading, wanted in (
        ("CPU of the client for each stanza or request, microseconds", streams),
        ("The same over WebSocket", websocket),
        ("Round trips one at a time, microseconds of the clock", [("ping", "TCP, p50", "p50", 1.0),
                                                                  ("ping", "TCP, p99", "p99", 1.0),
                                                                  ("websocket-ping", "WebSocket, p50", "p50", 1.0)]),
        ("Connect and leave, milliseconds", [(name, f"{title}, CPU", "cpu", 1e-3)
                                             for name, title in report.CONNECT_SCENARIOS]),
        ("Upper floors: CPU, microseconds (ms: milliseconds)",
         [(name, title + (", ms" if name in upper.LONG else ""), "cpu", 1e-3 if name in upper.LONG else 1.0)
          for name, title in UPPER]),
        ("Memory", [("room-join", "an occupant of a room, octets", "memory", 1.0),
                    ("roster-first", "a contact, octets", "memory", 1.0),
                    ("idle-1000", "an idle session of 1,000, kB", "kib", 1.0)]),
        ("OMEMO for three devices: CPU of a message, microseconds (bare limit: the library alone)",
         [(name, title, "cpu", 1.0) for name, title in upper.OMEMO]),
        ("Upload by HTTP (bare limit: httpx2 alone)", [("upload", "CPU, ms", "cpu", 1e-3),
                                                       ("upload", "growth at most, MiB", "peak", 1.0)]),
    ):  # fmt: skip
        panels = [
            panel(title, bars)
            for name, title, quantity, scale in wanted
            if (bars := bars_of(results, name, quantity, scale))
        ]
        if sizes := results.values("growth", report.OWN, "mib") if heading == "Memory" else []:
            panels.append(curve("while messages arrive, by tenths, resident", sizes, "MB"))
        yield heading, panels
    yield "For how long the loop is held at most, milliseconds", [*_holds(results)]


def _holds(results: Results) -> Iterator[str]:
    for quantity, by in (("held", "by the clock"), ("held_cpu", "by CPU time")):
        bars = [
            Bar(title, spread)
            for name, title in upper.watched()
            if (spread := results.spread(name, report.OWN, quantity)) is not None
        ]
        if bars:
            yield panel(by, bars, limit=upper.HELD, label=2 * LABEL)


def page(results: Results) -> str:
    """Return the whole page."""
    body = [
        f'<h2>{escape(heading)}</h2><div class="panels">{"".join(panels)}</div>'
        for heading, panels in groups(results)
        if panels
    ]
    rows = [
        f'<tr class="{"no" if target.reached is False else ""}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in target.row())
        + "</tr>"
        for target in report.targets(results)
        if target.measured is not None
    ]
    body.append(f"<h2>To be reached</h2><table>{''.join(rows)}</table>")
    body.append("".join(f"<p>{escape(note)}</p>" for note in results.notes))
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return PAGE.format(versions=escape(versions), body="\n".join(body))


def write_docs(results: Results, path: Path) -> list[str]:
    """Write the tables between the comments of `path` anew; return the titles of those that were not measured."""
    tables, missing = {table.title: table for table in report.tables(results)}, []

    def written(match: re.Match[str]) -> str:
        table = tables.get(match[1])
        if table is None:
            missing.append(match[1])
            return match[0]
        return f"<!-- bench: {match[1]} -->\n\n{table.markdown()}\n\n<!-- end -->"

    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"<!-- bench: (.+?) -->.*?<!-- end -->", written, text, flags=re.DOTALL), encoding="utf-8")
    return missing


def main() -> None:
    """Write the page; with ``--docs`` the tables, too."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.plots", description="Pictures of a benchmark.")
    parser.add_argument("--docs", action="store_true", help="write the tables of docs/performance.md anew")
    options, results = parse_with_results(parser)
    path = ROOT / "build" / "bench.html"
    path.write_text(page(results), encoding="utf-8")
    print(f"pictures: {path.relative_to(ROOT)}")
    if options.docs:
        for title in write_docs(results, ROOT / "docs" / "performance.md"):
            print(f"left as it was, since nothing was measured for it: {title}")


if __name__ == "__main__":
    main()
