"""The demo on real servers."""

from __future__ import annotations

import json

import pytest

from tests.e2e.kinds import PACKAGED
from trioxmpp.cli import main


@pytest.mark.parametrize("server_kind", list(PACKAGED), indirect=True)
def test_nothing_is_lost_or_doubled_on_a_real_server(server_kind, capsys):
    status = main(["demo", "--json", "--server", server_kind.name])
    summary = json.loads(capsys.readouterr().out)
    assert status == 0, summary
    assert (summary["lost"], summary["doubled"], summary["resumptions"]) == (0, 0, 3)
    assert summary["tokens"] == {"acked": summary["sent"]}
