"""That the benchmarks of the upper floors still run, and count what they say they count."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import crowds, floors, report, upper
from tests.benchmarks.floors import Peer
from tests.benchmarks.harness import BARE, OWN
from tests.benchmarks.results import Results

pytest.importorskip("httpx2")


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with floors.peer(Results()) as peer:
        yield peer


@pytest.fixture
def own() -> tuple[str, str, str]:
    return floors.takers([])[1]


def test_both_clients_do_each_scenario(peer: Peer, tmp_path: Path) -> None:
    results, file = Results(), tmp_path / "file"
    file.write_bytes(bytes(1_000_000))
    for taker in floors.takers([]):
        for scenario, number in (("roster", 1), ("disco", 1), ("caps", 1), ("archive", 1000), ("component", 2000)):
            floors.run(results, peer, taker, scenario, number)
        floors.run(results, peer, taker, "upload", 1, file, peer.ca)
    assert results.notes == []
    wanted = {name for name, _ in floors.SCENARIOS} - {"disco-hash", "room-join", "room-changes", "room-churn"}
    for name in (*wanted, "upload"):
        for client in (BARE.name, OWN.name):
            (cpu,) = results.values(name, client)
            assert cpu > 0, (name, client)
    assert results.values("caps", OWN.name, "questions") == [crowds.PROGRAMS]
    assert {table.title for table in upper.tables(results)} >= {"Upload by HTTP", "Upper floors: memory"}
    verdicts = {target.title: target.reached for target in report.targets(results)}
    assert verdicts["500 presences with 40 hashes: questions"] is True
    assert verdicts["join of a room of 5,000: CPU over slixmpp's"] is None


def test_a_large_room_is_joined_and_the_time_of_a_far_archive_is_told(peer: Peer, own: tuple[str, str, str]) -> None:
    results = Results()
    floors.run(results, peer, own, "room", 1)
    floors.run(results, peer, own, "archive:0.01", 1000)
    assert results.values("room-join", OWN.name, "objects")[0] > 0
    assert results.values("archive-far", OWN.name, "trips")[0] > 1


def test_a_client_that_fails_is_left_out_unless_it_is_our_own(peer: Peer, own: tuple[str, str, str]) -> None:
    results = Results()
    floors.run(results, peer, ("slixmpp", sys.executable, "floors_bare.py"), "nonsense", 1)
    assert results.notes == ["slixmpp failed in nonsense: KeyError: 'nonsense'"]
    with pytest.raises(ChildProcessError, match="nonsense: KeyError"):
        floors.run(results, peer, own, "nonsense", 1)
