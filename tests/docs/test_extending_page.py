"""The extension of docs/extending.md, and its test, run as they stand."""

from __future__ import annotations

import sys
import types

import pytest

from tests.docs.test_pages import load, programs, run
from trioxmpp import Message
from trioxmpp.testing import open_server

PAGE = "docs/extending.md"


@pytest.fixture
def weather():
    extension, _ = programs(PAGE)
    module = types.ModuleType("weather")
    vars(module).update(load(extension, PAGE))
    return module


def test_the_test_of_the_page_passes(weather, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "weather", weather)
    _, test = programs(PAGE)
    run(load(test, PAGE)["test_storms"], None)


def test_the_program_of_the_page_prints_the_weather(weather, capsys) -> None:
    def storms(server, iq):
        server.send(Message(from_="example.test", to=iq.from_, payloads=[weather.Storm(place="Ulm")]))

    async def main() -> None:
        async with open_server() as server:
            server.answer(weather.Query, lambda iq: weather.Report(degrees=18, sky="clear"))
            server.answer(weather.Subscribe, lambda iq: storms(server, iq))
            await weather.main("romeo@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True)

    run(main)
    assert capsys.readouterr().out == "Report(degrees=18, sky='clear')\na storm comes to Ulm\n"
