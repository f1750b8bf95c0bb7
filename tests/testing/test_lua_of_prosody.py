"""Which Lua runs a Prosody that was unpacked into a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from trioxmpp.testing.servers.prosody import PROGRAM, lua_version
from trioxmpp.testing.servers.tree import Tree


@pytest.mark.parametrize(
    ("first", "version"),
    [("#!/usr/bin/env lua5.4", "5.4"), ("#!/usr/bin/lua5.2", "5.2"), ("#!/usr/bin/env lua", "5.5"), ("", "5.5")],
)
def test_the_script_of_the_server_names_it(tmp_path: Path, first: str, version: str) -> None:
    for name in (PROGRAM, "usr/bin/lua5.4", "usr/bin/lua5.5"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{first}\n-- needs lua5.1 or newer\n")
    assert lua_version(Tree(tmp_path)) == version
