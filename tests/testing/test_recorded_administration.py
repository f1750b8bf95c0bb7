"""Administration, push notifications, external services and reports, beside recordings of real servers."""

from __future__ import annotations

from tests.bench import EXTERNAL
from tests.testing.dialogs import clients, play, scenes
from tests.testing.extras import ACCOUNTS, ADMINISTRATOR, STEPS
from trioxmpp.testing import Dialect, open_server

RECORDINGS = {
    "prosody-0.12.3": Dialect.PROSODY_0_12,
    "prosody-13.0.1": Dialect.PROSODY_13_0_1,
    "prosody-13.0.6": Dialect.PROSODY_13,
    "ejabberd-23.01": Dialect.EJABBERD_23,
    "ejabberd-24.12": Dialect.EJABBERD_24,
    "ejabberd-26.07": Dialect.EJABBERD_26,
}
#: The words of forms for people, and the marks of fields that must be filled in.
NOT_COMPARED = frozenset({"{x:data}title", "{x:data}instructions", "{x:data}required"})


async def test_the_embedded_server_answers_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        async with open_server(accounts=ACCOUNTS, dialect=dialect) as server:
            server.administration.serve(ADMINISTRATOR)
            server.external_services.serve(*EXTERNAL)
            server.push.serve()
            if dialect.takes_reports:
                server.blocking.take_reports()
            players = await clients(server, "a", "b", "c", "d")
            found = await play(players, STEPS, dict(scenes("extras", version)), NOT_COMPARED)
            differences += [f"{version} {difference}" for difference in found]
            assert bool(server.blocking.reports) is dialect.takes_reports
    assert not differences, "\n".join(differences)
