"""A further method that the application passes in: that of older clients, in `docs/examples/older_omemo.py`.

Its library is under another licence, so it need not be installed.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.im.omemo.devices import JULIET, ROMEO, phone, serving
from trioxmpp.im.omemo import Encrypted, omemo_2
from trioxmpp.protocol.elements import omemo as elements

pytest.importorskip("oldmemo")

PATH = Path(__file__).parents[3] / "docs" / "examples" / "older_omemo.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("older_omemo", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OLDER = load()


async def test_two_older_clients_talk(autojump_clock: Any) -> None:
    methods = [OLDER.older_omemo]
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", methods=methods) as a,
        phone(server, f"{JULIET}/b", methods=methods) as b,
    ):
        sealed = await a.say("one", JULIET)
        assert sealed.get(OLDER.Encrypted) is not None
        await b.wait(1)
        await b.say("two", ROMEO)
        await a.wait(1)
        await a.say("three", JULIET)
        await b.wait(2)
        assert (a.heard, b.heard) == ([("two", "Encrypted")], [("one", "Encrypted"), ("three", "Encrypted")])
        mark = b.entries[0].encryption
        assert isinstance(mark, Encrypted)
        assert (mark.method, mark.device.fingerprint) == (OLDER.NS, a.omemo.own.fingerprint)


async def test_a_client_of_both_versions_reaches_devices_of_either(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", methods=[omemo_2, OLDER.older_omemo]) as a,
        phone(server, f"{JULIET}/new") as new,
        phone(server, f"{JULIET}/old", methods=[OLDER.older_omemo]) as old,
        phone(server, f"{JULIET}/both", methods=[omemo_2, OLDER.older_omemo]) as both,
    ):
        sealed = await a.say("to all", JULIET)
        newer, older = sealed.get(elements.Encrypted), sealed.get(OLDER.Encrypted)
        assert {key.rid for keys in newer.header.keys for key in keys.keys} == {new.omemo.own.id, both.omemo.own.id}
        assert [key.rid for key in older.header.keys] == [old.omemo.own.id]
        for one in (new, old, both):
            await one.wait(1)
            assert [text for text, kind in one.heard if kind == "Encrypted"] == ["to all"]
        await old.say("from the old one", ROMEO)
        await new.say("from the new one", ROMEO)
        await a.wait(2)
        assert a.texts == ["from the old one", "from the new one"]
