"""The figures of `tests.walks`: how they are found, and the limits that they shall keep."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tests.sources import MODULES, ROOT, tree_of
from tests.standing import OTHER_STATE
from tests.standing import variables as variables_of
from tests.test_private_names import NOT_YET
from tests.walks import Figures, Walk


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The figures of a fresh process: there the login is cold."""
    command = [sys.executable, "-m", "tests.walks", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_each_walk_goes_through_the_floors(figures: dict[str, Any]) -> None:
    """A walk of which nothing was traced would keep every limit."""
    for walk, least in (("inbound", 8), ("outbound", 8), ("login", 30)):
        assert figures[walk]["files"] >= least
        assert figures[walk]["moves"] == figures[walk]["files"] + figures[walk]["returns"]
        assert figures[walk]["calls"] >= figures[walk]["moves"]


# A limit that is reached has to lose its mark: an expected failure that does not happen is a failure here.
@pytest.mark.parametrize(
    ("walk", "figure", "limit"),
    [
        ("inbound", "moves", 24),
        ("outbound", "moves", 36),
        pytest.param("login", "files", 50, marks=pytest.mark.xfail(reason="94 now")),
    ],
)
def test_a_walk_is_short(figures: dict[str, Any], walk: str, figure: str, limit: int) -> None:
    assert figures[walk][figure] <= limit


def test_few_variables_say_where_a_client_stands(figures: dict[str, Any]) -> None:
    variables = figures["variables"]
    assert sum(len(names) for names in variables.values()) <= 20
    assert len(variables) <= 5


def test_no_reason_is_given_for_a_variable_that_is_gone() -> None:
    found = variables_of({module: tree_of(path) for module, path in MODULES.items()})
    known = {*found, *(f"{cls}.{name}" for cls, names in found.items() for name in names)}
    assert OTHER_STATE.keys() <= known


def test_only_friends_reach_for_private_names() -> None:
    assert not NOT_YET


def test_moves_and_returns_of_a_walk_are_counted() -> None:
    walk = Walk()
    walk.calls = [("a.py", "f"), ("a.py", "g"), ("b.py", "h"), ("a.py", "g"), ("c.py", "i"), ("b.py", "h")]
    assert walk.figures() == Figures(calls=6, files=3, moves=5, returns=2)


def variables(text: str, module: str = "trioxmpp.client.example") -> dict[str, set[str]]:
    return variables_of({module: ast.parse(textwrap.dedent(text))})


CLIENT = """
class Client:
    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = trio.Event()
        self.tries = 0
        self.handlers = {}
    def fail(self) -> None:
        self.tries += 1
        self.handlers["x"] = 1
    @property
    def timeout(self): ...
    @timeout.setter
    def timeout(self, value):
        self._timeout = value
"""


def test_an_attribute_that_changes_after_the_constructor_is_a_variable() -> None:
    assert variables(CLIENT) == {"trioxmpp.client.example.Client": {"ended", "tries"}}


def test_an_attribute_that_another_object_assigns_is_a_variable() -> None:
    found = variables(CLIENT + "\ndef rename(client: Client) -> None:\n    client.name = 'x'\n")
    assert found == {"trioxmpp.client.example.Client": {"ended", "name", "tries"}}


def test_objects_of_which_there_are_many_are_not_counted() -> None:
    assert variables(CLIENT, "trioxmpp.client.store.file") == {}
    assert variables(CLIENT, "trioxmpp.protocol.sm") == {}
