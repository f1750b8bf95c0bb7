"""That the benchmarks still run: what they measure is for `make bench`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import guard, harness, local, report, traffic
from tests.benchmarks.harness import (
    BARE_WEBSOCKET,
    MANAGED,
    OWN,
    PLAIN_TCP,
    WEBSOCKET,
    Kind,
    Server,
    ask,
    blast,
    log_in,
)
from tests.benchmarks.results import Results


@pytest.fixture
def server() -> Iterator[Server]:
    if harness._compiler() is None:
        pytest.skip("there is no C compiler")
    with Server() as server:
        yield server


@pytest.mark.parametrize(
    ("kind", "role"), [(OWN, PLAIN_TCP), (OWN, MANAGED), (OWN, WEBSOCKET), (BARE_WEBSOCKET, WEBSOCKET)]
)
def test_a_client_does_all_tasks(server: Server, kind: Kind, role: int, tmp_path: Path) -> None:
    laps = traffic.write(tmp_path)
    options = ["serve", 1, "websocket"] if role == WEBSOCKET else []
    with kind.start(server.ports[role], "test", *options, log=tmp_path / "log") as client:
        log_in(server, client, "test")
        inbound = blast(server, client, laps["mix" if role == PLAIN_TCP else "mix-sm"], 1, traffic.LAP)
        outbound = ask(server, client, "out", 200, messages=200)
        requests = ask(server, client, "ping", 20)
        ask(server, client, "flood", 200)
    assert inbound.count == traffic.LAP
    assert all(measured.cpu > 0 and measured.wall > 0 for measured in (inbound, outbound, requests))
    assert len(requests.text.split()) == 3  # done, and the percentiles


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    results = Results()
    for mine, theirs in ((2, 1), (9, 3), (40, 10)):
        results.add("inbound-mix-sm", "trioxmpp", cpu=mine)
        results.add("inbound-mix-sm", "slixmpp", cpu=theirs)
    ratio = results.ratio("inbound-mix-sm", "trioxmpp", "slixmpp")
    assert ratio is not None
    assert (ratio.median, ratio.low, ratio.high) == (3, 2, 4)
    assert "NOT reached" in report.render(results)


def test_encryption_is_measured_beside_the_library_alone() -> None:
    pytest.importorskip("twomemo")
    results = Results()
    local.omemo(results, 1, 5)
    assert results.values("omemo-encrypt", "bare limit")[0] < results.values("omemo-encrypt", OWN.name)[0]
    assert "OMEMO for three devices" in report.render(results)
    assert {name for name, _ in guard.ratios(results)} == {"omemo-encrypt cpu", "omemo-decrypt cpu"}
    (target,) = [each for each in report.targets(results) if each.title.startswith("OMEMO")]
    assert target.measured is not None


def test_measurements_over_websocket_have_tables_of_their_own() -> None:
    results = Results()
    for client, microseconds in (("trioxmpp", 30), ("xmpp.js", 20)):
        results.add("websocket-outbound-sm", client, cpu=microseconds, wall=microseconds)
    text = report.render(results)
    assert "CPU microseconds per stanza or request over WebSocket" in text
    assert "over xmpp.js  1.50" in text
    assert "Memory" not in text
