"""A timeline that has missed many messages: ``catch_up.py MESSAGES``.

The pages are ready-made text, so that the server costs little. CPU time is that of the whole process. Memory is how
much the process has grown from the login to the end.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import trio

import trioxmpp
from trioxmpp.im.timeline import open_timeline
from trioxmpp.protocol.elements.mam import ArchiveQuery, Fin
from trioxmpp.protocol.elements.rsm import Page
from trioxmpp.testing import open_server

MESSAGES = int(sys.argv[1])
PAGE = 250
ROMEO = "romeo@example.test"
RESULT = (
    "<message to='romeo@example.test/orchard' from='romeo@example.test'>"
    "<result xmlns='urn:xmpp:mam:2' queryid='{queryid}' id='{number:024}'><forwarded xmlns='urn:xmpp:forward:0'>"
    "<message xmlns='jabber:client' from='juliet@example.test/balcony' to='romeo@example.test' id='m{number}'"
    " type='chat'>"
    "<body>Art thou not Romeo, and a Montague? {number}</body><origin-id xmlns='urn:xmpp:sid:0' id='m{number}'/>"
    "<markable xmlns='urn:xmpp:chat-markers:0'/></message>"
    "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/></forwarded></result></message>"
)


async def main() -> None:
    async with open_server(accounts={"romeo": "secret"}, archive=True) as server:

        def answer(iq: trioxmpp.IQ) -> Fin:
            query = iq.payload
            first = 0 if query.page.after is None else int(query.page.after) + 1
            end = min(first + PAGE, MESSAGES)
            link = server.sessions[f"{ROMEO}/orchard"].link
            link.write("".join(RESULT.format(queryid=query.queryid, number=number) for number in range(first, end)))
            return Fin(complete=end == MESSAGES, page=Page(first=str(first), last=str(end - 1)))

        server.answer(ArchiveQuery, answer)
        options = {"endpoint": server.endpoint, "allow_plaintext": True, "sm": None}
        async with trioxmpp.connect(f"{ROMEO}/orchard", "secret", **options) as client:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begun, cpu = time.perf_counter(), time.process_time()
            async with open_timeline(client, since=datetime(2026, 1, 1, tzinfo=UTC)) as timeline:
                for _ in range(MESSAGES):
                    await anext(timeline)
            spent, wall = time.process_time() - cpu, time.perf_counter() - begun
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"cpu": spent / MESSAGES * 1e6, "wall": wall / MESSAGES * 1e6, "mib": grown / 1024}))


trio.run(main)
