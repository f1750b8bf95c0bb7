"""The parser alone, and what is made of its elements by hand, without a network: ``limits.py PLAIN.xml MIX.xml``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.argv[1:1] = ["0", "limits", "serve", "1"]  # what the module of the bare client expects to be called with

from client_bare import FIRST_LEVEL, HEADER, MESSAGE, PRESENCE, READ, read_message, read_presence  # noqa: E402
from lxml import etree  # noqa: E402

LAP = 1000
LAPS = 8


def run(lap: bytes, construct: bool) -> float:
    """Microseconds of CPU time per stanza."""
    parser = etree.XMLPullParser(("end",), tag=FIRST_LEVEL)
    parser.feed(HEADER)
    kept: Any = None
    last: Any = None
    count = 0
    begun = time.process_time()
    for _ in range(LAPS):
        for start in range(0, len(lap), READ):
            parser.feed(lap[start : start + READ])
            for _, element in parser.read_events():
                if element.getparent().getparent() is not None:
                    continue
                count += 1
                if construct and element.tag == MESSAGE:
                    kept = read_message(element)
                elif construct and element.tag == PRESENCE:
                    kept = read_presence(element)
                if last is not None:
                    last.getparent().remove(last)
                last = element
    spent = time.process_time() - begun
    del kept
    assert count == LAP * LAPS, count
    return spent / count * 1e6


for scenario, path in zip(("inbound", "inbound-mix"), sys.argv[5:7], strict=True):
    lap = Path(path).read_bytes()
    for client, construct in (("parser alone", False), ("parser, by hand", True)):
        run(lap, construct)
        print(json.dumps([scenario, client, run(lap, construct)]))
