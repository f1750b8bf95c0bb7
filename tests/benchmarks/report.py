"""The tables, and what is to be reached."""

from __future__ import annotations

from collections.abc import Iterator

from . import upper
from .results import Results, Spread
from .roundtrips import ROUND_TRIP, WAYS
from .streams import SCENARIOS, WEBSOCKET_SCENARIOS
from .tables import Table
from .targets import Target

OWN = "trioxmpp"
LIMIT = "bare limit"
PYTHON_PEERS = ("slixmpp", "aioxmpp", "nbxmpp")
STREAM_SCENARIOS = [(scenario.name, scenario.title) for scenario in SCENARIOS]
OVER_WEBSOCKET = [(scenario.name, scenario.title) for scenario in WEBSOCKET_SCENARIOS]
CONNECT_SCENARIOS = [
    ("connect-scram", "TCP, SCRAM-SHA-1"),
    ("connect-tls-plain", "STARTTLS, PLAIN"),
    ("connect-tls-scram", "STARTTLS, SCRAM-SHA-1"),
]


def targets(results: Results) -> Iterator[Target]:
    inbound = "inbound-mix-sm"
    for other, limit, strict in (
        (LIMIT, 1.5, False),
        ("slixmpp", 0.2, False),
        ("xmpp.js", 1, True),
        ("libstrophe", 1.5, False),
    ):
        yield Target(f"inbound, mix, SM: CPU over {other}'s", results.ratio(inbound, OWN, other), limit, strict)
    for other, limit, strict in (("slixmpp", 0.15, False), ("xmpp.js", 0.5, True)):
        yield Target(f"outbound, SM: CPU over {other}'s", results.ratio("outbound-sm", OWN, other), limit, strict)
    for other in (*PYTHON_PEERS, "xmpp.js"):
        yield Target(f"requests: p50 over {other}'s", results.ratio("ping", OWN, other, "p50"), 1, True)
    for other in (*PYTHON_PEERS, "xmpp.js"):
        yield Target(
            f"requests, 100 in flight: wall over {other}'s", results.ratio("flood", OWN, other, "wall"), 1, True
        )
    yield Target("reading 20 children over the parser", results.ratio("read-20-children", OWN, "lxml parser"), 2)
    yield Target("writing 5 fields over lxml's tostring", results.ratio("write-5-fields", OWN, "lxml tostring"), 1)
    yield Target("memory per idle session of 1000", results.spread("idle-1000", OWN, "kib"), 40, digits=1, unit=" kB")
    sizes = results.values("growth", OWN, "mib")
    grown = Spread.of([sizes[-1] - sizes[0]]) if sizes else None
    yield Target("growth over the messages", grown, 1, True, digits=1, unit=" MB")
    yield Target(
        "import beyond trio and lxml, CPU", results.spread("import", OWN, "cpu"), 60, True, digits=1, unit=" ms"
    )
    yield from upper.targets(results)


def render(results: Results) -> str:
    """Everything that was measured, as tables."""
    texts = [piece.text() if isinstance(piece, Table) else piece for piece in _pieces(results)]
    return "\n\n".join(text for text in texts if text)


def tables(results: Results) -> list[Table]:
    """The tables alone."""
    return [piece for piece in _pieces(results) if isinstance(piece, Table)]


def _pieces(results: Results) -> Iterator[Table | str]:
    yield "\n".join(f"{name}: {version}" for name, version in results.versions.items())
    for scenarios, ping, where in (
        (STREAM_SCENARIOS, "ping", ""),
        (OVER_WEBSOCKET, "websocket-ping", " over WebSocket"),
    ):
        each = f"microseconds per stanza or request{where}"
        yield from _by_client(results, scenarios, "cpu", f"CPU {each}: median (low-high)")
        yield from _by_client(results, scenarios, "wall", f"Wall {each}")
        yield from _round_trips(results, ping, where)
        yield from _ratios(results, scenarios, where)
    yield from _by_client(results, CONNECT_SCENARIOS, "cpu", "Connect and leave: CPU milliseconds per cycle", 1e-3, 2)
    yield from _by_client(results, CONNECT_SCENARIOS, "wall", "Connect to ready: wall milliseconds", 1e-3, 2)
    yield from _resuming(results)
    yield from _memory(results)
    yield from _elements(results)
    yield from upper.tables(results)
    yield _server(results)
    yield "\n".join(results.notes)
    judged = list(targets(results))
    if any(target.measured is not None for target in judged):
        yield Table("To be reached", ["", "target", "measured", ""], [target.row() for target in judged])


def _resuming(results: Results) -> Iterator[Table]:
    found = [(way.title, results.spread(f"resume-{name}", OWN, "trips")) for name, way in WAYS.items()]
    rows = [[title, f"{trips.median:g}", f"{trips.median * ROUND_TRIP:.1f}"] for title, trips in found if trips]
    if rows:
        yield Table("Link lost to resumed, over STARTTLS, 100 ms away (virtual time)", ["", "trips", "seconds"], rows)


def _by_client(
    results: Results, scenarios: list[tuple[str, str]], quantity: str, title: str, scale: float = 1, digits: int = 1
) -> Iterator[Table]:
    columns = [pair for pair in scenarios if pair[0] in results.numbers]
    names = dict.fromkeys(client for name, _ in columns for client in results.numbers[name])
    clients = [client for client in names if any(results.values(name, client, quantity) for name, _ in columns)]
    rows = []
    for client in clients:
        row = [client]
        for name, _ in columns:
            spread = results.spread(name, client, quantity)
            row.append(
                "-"
                if spread is None
                else Spread(*(v * scale for v in (spread.median, spread.low, spread.high))).text(digits)
            )
        rows.append(row)
    if rows:
        yield Table(title, ["", *(heading for _, heading in columns)], rows)


def _round_trips(results: Results, ping: str, where: str) -> Iterator[Table]:
    rows = []
    for client in results.numbers.get(ping, {}):
        p50, p99 = results.spread(ping, client, "p50"), results.spread(ping, client, "p99")
        if p50 is not None and p99 is not None:
            rows.append([client, p50.text(0), p99.text(0)])
    title = f"Round trips of requests{where}, one at a time, microseconds"
    if rows:
        yield Table(title, ["", "p50", "p99"], rows)


def _ratios(results: Results, scenarios: list[tuple[str, str]], where: str) -> Iterator[Table]:
    columns = [pair for pair in scenarios if pair[0] in results.numbers]
    clients = dict.fromkeys(client for name, _ in columns for client in results.numbers[name] if client != OWN)
    rows = []
    for client in clients:
        ratios = [results.ratio(name, OWN, client) for name, _ in columns]
        if not any(ratios):
            continue
        rows.append([f"over {client}", *("-" if ratio is None else ratio.text(2) for ratio in ratios)])
    title = f"CPU of {OWN} over that of others{where}: medians of ratios"
    if rows:
        yield Table(title, ["", *(t for _, t in columns)], rows)


def _memory(results: Results) -> Iterator[Table]:
    rows = []
    for scenario, clients in results.numbers.items():
        if scenario.startswith("idle-"):
            for client in clients:
                kib, base = results.spread(scenario, client, "kib"), results.spread(scenario, client, "base")
                assert kib is not None
                assert base is not None
                rows.append([scenario.removeprefix("idle-"), client, f"{kib.median:.1f}", f"{base.median / 1024:.1f}"])
    if rows:
        yield Table("Memory per idle session", ["sessions", "", "kB each", "MB without any"], rows)
    if sizes := results.values("growth", OWN, "mib"):
        cpu = results.values("growth", OWN, "cpu")
        rows = [
            [f"{index + 1}/10", f"{mib:.1f}", f"{us:.1f}"]
            for index, (mib, us) in enumerate(zip(sizes, cpu, strict=True))
        ]
        yield Table(f"{OWN} while messages arrive, by tenths", ["", "resident MB", "CPU us each"], rows)
    rows = []
    for client in results.numbers.get("unacked-queue", {}):
        spreads = [results.spread("unacked-queue", client, quantity) for quantity in ("cpu", "deep", "settle", "held")]
        rows.append([client, *(spread.text() for spread in spreads if spread is not None)])
    if rows:
        headings = ["", "us at first", "us through the queue", "us later", "octets held, each"]
        yield Table("Outbound, SM, nothing acknowledged", headings, rows)


def _elements(results: Results) -> Iterator[Table | str]:
    rows = []
    for scenario in ("read-20-children", "write-5-fields", "write-5-with-date"):
        for client in results.numbers.get(scenario, {}):
            spread = results.spread(scenario, client)
            assert spread is not None
            rows.append([scenario, client, spread.text()])
    if rows:
        yield Table("Single elements, CPU microseconds", ["", "", ""], rows)
    if spread := results.spread("import", OWN, "wall"):
        cpu = results.spread("import", OWN, "cpu")
        assert cpu is not None
        yield f"import of {OWN} beyond trio and lxml: {spread.text()} ms wall, {cpu.text()} ms CPU"


def _server(results: Results) -> str:
    """Is it the clients that are measured? The server must be idle most of the time, against each of them."""
    busy = []
    for name, _ in (*STREAM_SCENARIOS, *OVER_WEBSOCKET):
        for client in results.numbers.get(name, {}):
            shares = zip(results.values(name, client, "server"), results.values(name, client), strict=True)
            if not results.values(name, client, "server-busy"):
                continue
            busy.append((max(results.values(name, client, "server-busy")), max(s / c for s, c in shares), client, name))
    if not busy:
        return ""
    most, of_cpu = max(busy), max(busy, key=lambda entry: entry[1])
    return (
        f"The server was busy for at most {most[0]:.0%} of the time ({most[2]}, {most[3]}), and used at most "
        f"{of_cpu[1]:.0%} of the CPU time that the client did ({of_cpu[2]}, {of_cpu[3]}): "
        + ("it is the clients that were measured." if most[0] < 0.5 else "TOO MUCH, it may have held them up.")
    )
