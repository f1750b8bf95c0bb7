"""Reports that are made of the numbers: pictures, tables for the documentation, and the list of slower rows."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import guard, plots
from tests.benchmarks.harness import Unavailable
from tests.benchmarks.results import Results


@pytest.fixture
def results() -> Results:
    results = Results(versions={"trioxmpp": "1 < 2"}, notes=["a note & more"])
    for own, bare in ((30, 20), (33, 22), (60, 30)):
        results.add("inbound-mix-sm", "trioxmpp", cpu=own, held=5, held_cpu=4)
        results.add("inbound-mix-sm", "bare limit", cpu=bare)
        results.add("inbound-mix-sm", "trioxmpp async for", cpu=own * 1.1)
        results.add("ping", "trioxmpp", p50=own)
        results.add("ping", "bare limit", p50=bare)
    results.add("room-join", "trioxmpp", cpu=50, memory=1500, held=30, held_cpu=25)
    results.add("room-join", "slixmpp", cpu=290, memory=11000)
    for number in range(10):
        results.add("growth", "trioxmpp", cpu=20, mib=50 + number)
    return Results.of_json(json.loads(json.dumps(results.json())))


def test_the_page_has_a_panel_for_each_scenario_and_needs_nothing_else(results: Results) -> None:
    page = plots.page(results)
    drawn = page.count("<svg")
    panels = [ElementTree.fromstring(text + "</svg>") for text in page.split("</svg>")[:-1] if "<svg" in text[:5]]
    assert drawn >= 6
    assert all(panel.tag.endswith("svg") for panel in panels)
    for text in ("inbound, mix, SM", "TCP, p50", "join of 5,000, each", "by CPU time", "1 &lt; 2", "a note &amp; more"):
        assert text in page, text
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("HTTP", "")


def test_a_bar_that_would_dwarf_the_others_is_cut_and_says_so(results: Results) -> None:
    panel = plots.panel("costs", plots.bars_of(results, "room-join", "cpu"))
    assert "»" not in panel
    for microseconds in (55, 60):
        results.add("room-join", f"peer {microseconds}", cpu=microseconds)
    results.add("room-join", "aioxmpp", cpu=9000)
    assert "9,000 »" in plots.panel("costs", plots.bars_of(results, "room-join", "cpu"))


def test_the_tables_of_the_documentation_are_written_between_their_comments(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    begin, end = "<!-- bench: {} -->\n".format, "\n<!-- end -->\n"
    path.write_text(f"# A\n\n{begin('Upper floors: memory')}old{end}\nB\n\n{begin('No such')}kept{end}")
    assert plots.write_docs(results, path) == ["No such"]
    text = path.read_text()
    assert "| room of 5,000: octets an occupant | - | 1500 (1500-1500) | 11000 (11000-11000) |" in text
    assert "old" not in text
    assert "kept" in text
    assert plots.write_docs(results, path) == ["No such"]
    assert path.read_text() == text


def test_the_guard_names_what_became_slower_by_more_than_a_tenth(results: Results) -> None:
    now = {change.name: change for change in guard.compare(results, {})}
    assert {name: round(change.now.median, 3) for name, change in now.items()} == {
        "inbound-mix-sm cpu": 1.5,
        "inbound-mix-sm trioxmpp async for cpu": 1.65,
        "ping p50": 1.5,
    }
    assert not any(change.is_slower for change in now.values())  # there is nothing to compare with
    baseline = {"inbound-mix-sm cpu": 1.37, "ping p50": 1.36, "inbound-mix-sm trioxmpp async for cpu": 2.0}
    changes = guard.compare(results, baseline)
    assert [(change.name, change.is_slower) for change in changes] == [
        ("ping p50", True),
        ("inbound-mix-sm cpu", False),
        ("inbound-mix-sm trioxmpp async for cpu", False),
    ]


def test_the_guard_stores_a_baseline_and_compares_with_it(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, baseline = tmp_path / "bench.json", tmp_path / "baseline.json"
    monkeypatch.setattr(guard, "BASELINE", baseline)
    monkeypatch.setattr(guard, "ROOT", tmp_path)
    path.write_text(json.dumps(results.json()))
    monkeypatch.setattr("sys.argv", ["guard", str(path), "--store"])
    guard.main()
    assert json.loads(baseline.read_text())["ping p50"] == 1.5
    monkeypatch.setattr("sys.argv", ["guard", str(path)])
    guard.main()
    assert "SLOWER" not in capsys.readouterr().out
    for values in results.numbers["ping"]["trioxmpp"].values():
        values[:] = [2 * value for value in values]
    path.write_text(json.dumps(results.json()))
    with pytest.raises(SystemExit, match=r"slower by more than 10%: ping p50"):
        guard.main()
    assert "+100%" in capsys.readouterr().out


def test_without_a_compiler_the_rest_is_measured_and_the_page_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unavailable(*_: object) -> None:
        raise Unavailable("as root: apt-get install --no-install-recommends gcc libc6-dev")

    monkeypatch.setattr(bench, "_server", unavailable)
    arguments = ["bench", "--rounds", "1", "--only", "streams", "--only", "idle", "--only", "resume"]
    for name in ("slixmpp", "aioxmpp", "nbxmpp", "xmpp.js", "libstrophe"):
        arguments += ["--without", name]
    monkeypatch.setattr("sys.argv", arguments)
    options = bench._options()
    results = Results()
    bench._run(results, set(options.only), options)
    (note,) = results.notes
    assert note == (
        "without streams, idle, which need a compiler: as root: apt-get install --no-install-recommends gcc libc6-dev"
    )
    assert results.values("resume-classic", "trioxmpp", "trips")
