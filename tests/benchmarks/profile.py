"""Where the time goes: ``python -m tests.benchmarks.profile [inbound | outbound | flood ...]``, 100,000 stanzas each.

``websocket-inbound`` and the like are the same over WebSocket.

A function's own samples include the C functions that it calls: the parser is in the function that feeds it.
"""

from __future__ import annotations

import json
import sys

from . import traffic
from .harness import BUILD, CLIENTS, MANAGED, WEBSOCKET, Kind, Server, ask, blast, log_in
from .tables import table

PROFILE = Kind("trioxmpp", (sys.executable, str(CLIENTS / "client_profile.py")))
NUMBER = 100_000
PLACES = 20


def main() -> None:
    laps = traffic.write(BUILD)
    path = BUILD / "profile.json"
    with Server() as server:
        for name in sys.argv[1:] or ("inbound", "outbound", "flood", "websocket-inbound", "websocket-outbound"):
            what = name.removeprefix("websocket-")
            role, option = (MANAGED, "") if what == name else (WEBSOCKET, "websocket")
            with PROFILE.start(server.ports[role], what, "serve", 1, option, path) as client:
                log_in(server, client, what)
                for number, sample in ((NUMBER // 10, False), (NUMBER, True)):
                    if sample:
                        ask(server, client, "sample", 1)
                    if what == "inbound":
                        measured = blast(server, client, laps["mix-sm"], number // traffic.LAP, traffic.LAP)
                    else:
                        measured = ask(server, client, "out" if what == "outbound" else what, number)
                ask(server, client, "report", PLACES)
            seen = json.loads(path.read_text())
            rows = [[f"{own:.1%}", f"{below:.1%}", place] for place, own, below in seen["top"]]
            title = f"{name}, {measured.cpu_us:.1f} us of CPU each, of which {seen['samples']} samples"
            print("\n" + table(title, ["itself", "with callees", "function"], rows))


if __name__ == "__main__":
    main()
