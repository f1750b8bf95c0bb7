"""The tables of the upper floors, and what they are to reach."""

from __future__ import annotations

from collections.abc import Iterator

from .floors import SCENARIOS
from .harness import BARE, OWN
from .results import Results, Spread
from .streams import SCENARIOS as STREAMS
from .streams import WEBSOCKET_SCENARIOS
from .tables import Table
from .targets import Target

SLIXMPP = "slixmpp"
#: Scenarios of which one item takes long: their times are told in milliseconds.
LONG = ("roster-first", "roster-later", "disco")
#: CPU of a message of an archive over that of the mix at the bare limit: 75 where that was 16.4.
CAUGHT_UP = 75 / 16.4
#: Milliseconds for which the loop may be held.
HELD = 20


def tables(results: Results) -> Iterator[Table]:
    """Each table of which something was measured."""
    for title, headings, rows in (
        ("Upper floors: CPU microseconds (ms: milliseconds)", _COSTS, [*_costs(results)]),
        ("Upper floors: memory", ["", "bare limit", "trioxmpp", "slixmpp"], [*_memory(results)]),
        ("OMEMO for three devices: CPU microseconds a message", _OMEMO, [*_omemo(results)]),
        ("Upload by HTTP", ["", "httpx2 alone", "trioxmpp", "over httpx2"], [*_upload(results)]),
        ("For how long the loop is held at most, milliseconds", ["", "clock", "CPU"], [*_held(results)]),
    ):
        if rows:
            yield Table(title, headings, rows)


_COSTS = ["", "bare limit", "trioxmpp", "slixmpp", "over slixmpp", "over the limit"]


def _costs(results: Results) -> Iterator[list[str]]:
    for name, title in SCENARIOS:
        if not results.values(name, OWN.name):
            continue
        scale, unit = (1e-3, ", ms") if name in LONG else (1, "")
        spreads = [results.spread(name, client) for client in (BARE.name, OWN.name, SLIXMPP)]
        cells = ["-" if each is None else each.scaled(scale).text() for each in spreads]
        ratios = [results.ratio(name, OWN.name, other) for other in (SLIXMPP, BARE.name)]
        yield [title + unit, *cells, *("-" if ratio is None else ratio.text(2) for ratio in ratios)]


_OMEMO = ["", "the library alone", "trioxmpp", "over the library"]
OMEMO = (("omemo-encrypt", "encrypt"), ("omemo-decrypt", "decrypt"))


def _omemo(results: Results) -> Iterator[list[str]]:
    for name, title in OMEMO:
        spreads = [results.spread(name, client) for client in (BARE.name, OWN.name)]
        ratio = results.ratio(name, OWN.name, BARE.name)
        if any(spreads):
            cells = ["-" if each is None else each.text(0) for each in spreads]
            yield [title, *cells, "-" if ratio is None else ratio.text()]


def _memory(results: Results) -> Iterator[list[str]]:
    for title, name, quantity, digits in (
        ("room of 5,000: octets an occupant", "room-join", "memory", 0),
        ("the same, objects of Python alone", "room-join", "objects", 0),
        ("roster of 10,000: octets a contact", "roster-first", "memory", 0),
        ("archive: growth at most, MiB", "archive", "peak", 1),
        ("component: octets a user in a room", "component-in", "memory", 0),
    ):
        spreads = [results.spread(name, client, quantity) for client in (BARE.name, OWN.name, SLIXMPP)]
        if any(spreads):
            yield [title, *("-" if each is None else each.text(digits) for each in spreads)]


def _upload(results: Results) -> Iterator[list[str]]:
    for title, quantity, scale in (
        ("MB a second", "speed", 1),
        ("CPU, ms", "cpu", 1e-3),
        ("growth at most, MiB", "peak", 1),
        ("cancelled after, ms", "cancel", 1),
    ):
        spreads = [results.spread("upload", client, quantity) for client in (BARE.name, OWN.name)]
        ratio = results.ratio("upload", OWN.name, BARE.name, quantity) if quantity in ("speed", "cpu") else None
        if any(spreads):
            cells = ["-" if each is None else each.scaled(scale).text() for each in spreads]
            yield [title, *cells, "-" if ratio is None else ratio.text(2)]


def _held(results: Results) -> Iterator[list[str]]:
    for name, title in watched():
        clock, cpu = results.spread(name, OWN.name, "held"), results.spread(name, OWN.name, "held_cpu")
        if clock is not None:
            yield [title, clock.text(), "-" if cpu is None else cpu.text()]


def watched() -> Iterator[tuple[str, str]]:
    """Each scenario in which a probe looks."""
    yield from ((scenario.name, scenario.title) for scenario in STREAMS)
    yield from ((scenario.name, f"WebSocket: {scenario.title}") for scenario in WEBSOCKET_SCENARIOS)
    yield from SCENARIOS
    yield "upload", "upload"


def targets(results: Results) -> Iterator[Target]:
    """The targets of the upper floors."""
    join = results.ratio("room-join", OWN.name, SLIXMPP)
    yield Target("join of a room of 5,000: CPU over slixmpp's", join, 0.25)
    occupant = results.spread("room-join", OWN.name, "objects")
    yield Target("octets an occupant", occupant, 1500, digits=0)
    for name, title in (("roster-first", "first"), ("roster-later", "later")):
        ratio = results.ratio(name, OWN.name, SLIXMPP, other_scenario="roster-parse")
        yield Target(f"roster of 10,000, {title}: CPU over slixmpp's parse", ratio, 160 / 150)
    yield Target("1,000 features: CPU over the bare limit", results.ratio("disco", OWN.name, BARE.name), 3)
    questions = results.spread("caps", OWN.name, "questions")
    yield Target("500 presences with 40 hashes: questions", questions, 40, digits=0)
    caught_up = results.ratio("archive", OWN.name, SLIXMPP)
    yield Target("archived message: CPU over slixmpp's", caught_up, 0.3)
    mix = results.ratio("archive", OWN.name, BARE.name, other_scenario="inbound-mix-sm")
    yield Target("archived message: CPU over the bare limit of the mix", mix, round(CAUGHT_UP, 2))
    yield Target("archive: growth", results.spread("archive", OWN.name, "peak"), 40, digits=1, unit=" MiB")
    trips = results.spread("archive-far", OWN.name, "trips")
    yield Target("archive, 100 ms away: time over pages x round trip", trips, 1.2)
    speed = results.ratio("upload", BARE.name, OWN.name, "speed")
    yield Target("upload: speed of httpx2 alone over ours", speed, 1 / 0.8)
    yield Target("upload: CPU over that of httpx2 alone", results.ratio("upload", OWN.name, BARE.name), 1 / 0.8)
    yield Target("upload: growth", results.spread("upload", OWN.name, "peak"), 16, digits=1, unit=" MiB")
    yield Target("upload: cancelled after", results.spread("upload", OWN.name, "cancel"), 1000, digits=1, unit=" ms")
    each = [results.values(name, OWN.name) for name, _ in OMEMO]
    message = Spread.of(map(sum, zip(*each, strict=False))).scaled(1e-3) if all(each) else None
    yield Target("OMEMO, encrypted for three devices and decrypted: CPU", message, 12, unit=" ms")
    yield _longest(results, "held", "the clock")
    yield _longest(results, "held_cpu", "CPU")


def _longest(results: Results, quantity: str, by: str) -> Target:
    """The target of the longest hold, in whichever scenario."""
    holds = [
        (spread.median, title, spread)
        for name, title in watched()
        if (spread := results.spread(name, OWN.name, quantity)) is not None
    ]
    if not holds:
        return Target(f"the loop is held, by {by}", None, HELD)
    _, title, spread = max(holds, key=lambda hold: hold[0])
    return Target(f"the loop is held, by {by}; longest: {title}", spread, HELD, digits=1, unit=" ms")
