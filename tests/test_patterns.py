"""The regular expressions of the library mean the same on each Python that it supports."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import pytest

from tests.sources import MODULES

# With Python 3.11.2, which Debian 12 has, `(?:ab+c)*+` matches four letters of "abcab", and not three.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+")


#: Asks Python whether it can rely on it.
CHECKED = {"trioxmpp.protocol.skipping._TOKEN"}


def patterns() -> Iterator[tuple[str, str]]:
    for name in MODULES:
        if name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:  # of an extra
            continue
        for variable, value in vars(module).items():
            if isinstance(value, re.Pattern):
                text = value.pattern
                yield f"{name}.{variable}", text.decode("latin-1") if isinstance(text, bytes) else text


def test_no_group_is_repeated_without_going_back() -> None:
    found = dict(patterns())
    assert len(found) > 30
    possessive = {name: text for name, text in found.items() if POSSESSIVE_GROUP.search(text)}
    assert not possessive.keys() - CHECKED


@pytest.mark.parametrize("text", [r"(?:a+b)*+", r"(a)?+", r"(a|b){2,3}+"])
def test_a_possessive_group_is_found(text: str) -> None:
    assert POSSESSIVE_GROUP.search(text)


@pytest.mark.parametrize("text", [r"(?:a++b)*", r"\)*+", r"(a)+b"])
def test_other_repetitions_are_not(text: str) -> None:
    assert not POSSESSIVE_GROUP.search(text)
