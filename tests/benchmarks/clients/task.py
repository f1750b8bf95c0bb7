"""The common part of the clients in Python: their command line, and their tasks.

Usage: ``client.py PORT RESOURCE [serve | connect N | idle N] [option]``. A client says ``up`` once it has imported all
that it needs, and begins when it gets a line. With ``serve`` it does what messages tell it: ``!end`` (of a blast: say
how many stanzas there were), ``!out N`` (send messages), ``!ping N`` (one after the other), ``!flood N`` (100 in
flight); it answers each with a message that begins with ``done``. With ``connect`` it comes and goes N times, with
``idle`` it opens N sessions and waits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

HOST = "127.0.0.1"
DOMAIN = "bench.example"
USER = "bench"
PASSWORD = "secret"
CONTROL = f"control@{DOMAIN}"

PORT = int(sys.argv[1])
RESOURCE = sys.argv[2]
MODE = sys.argv[3] if len(sys.argv) > 3 else "serve"
NUMBER = int(sys.argv[4]) if len(sys.argv) > 4 else 1
OPTION = sys.argv[5] if len(sys.argv) > 5 else ""

JID = f"{USER}@{DOMAIN}/{RESOURCE}"
#: To whom messages are sent.
PEOPLE = [f"montague{number}@{DOMAIN}/street" for number in range(20)]
#: The messages after which a sender lets others have a turn.
TURN = 64
IN_FLIGHT = 100


def up() -> None:
    """Tell that everything is imported, and wait for the word to go."""
    print("up", flush=True)
    sys.stdin.readline()


def body(index: int) -> str:
    """The text of an outgoing message."""
    return f"message {index}: but soft, what light through yonder window breaks"


def percentiles(seconds: Iterable[float]) -> str:
    """The figures of round trips: the median and the 99th percentile, in microseconds."""
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2] * 1e6:.1f} {ordered[int(len(ordered) * 0.99)] * 1e6:.1f}"
