"""The fuzzers' inputs: those that failed once stay mended, and a few new ones are tried each time."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from tests.fuzz.fuzzing import failure_of, smaller
from tests.fuzz.mutation import MAX_INPUT, Mutator
from tests.fuzz.targets.elements import by_tag
from tests.fuzz.targets.everything import CORPUS, TARGETS, corpus_of

#: Mutations of each target; those that start an event loop or have files are slower.
TRIES = 60
SLOW_TRIES = {
    "proxy": 4,
    "handshake": 20,
    "damaged_database": 4,
    "stored_session": 10,
    "stored_database": 5,
    "stored_notes": 5,
    "stream": 20,
}


def failures(name: str, inputs: Iterable[bytes]) -> list[str]:
    return [f"{data!r:.300}: {exc!r}" for data in inputs if (exc := failure_of(TARGETS[name], data)) is not None]


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_and_no_change_of_it_fails(name: str) -> None:
    corpus = corpus_of(name)
    mutator = Mutator(corpus, random.Random(11))
    found = failures(name, corpus) + failures(name, [mutator.next() for _ in range(SLOW_TRIES.get(name, TRIES))])
    assert not found, "\n".join(found)


def test_every_folder_of_the_corpus_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_the_same_seed_gives_the_same_inputs() -> None:
    one, other = (Mutator([b"<a/>", b"b" * 9000], random.Random(5)) for _ in range(2))
    inputs = [one.next() for _ in range(200)]
    assert inputs == [other.next() for _ in range(200)]
    assert len(set(inputs)) > 150
    assert max(map(len, inputs)) <= MAX_INPUT


def test_a_fault_is_found_and_its_input_made_small() -> None:
    def target(data: bytes) -> None:
        if b"<" in data and b"&" in data:
            raise KeyError("a fault")

    mutator = Mutator([b"<message>hello, world</message>"], random.Random(1))
    failing = next(data for _ in range(5000) if failure_of(target, data := mutator.next()) is not None)
    assert sorted(smaller(target, failing)) == sorted(b"<&")


def test_the_elements_of_every_module_are_among_those_that_are_read() -> None:
    tags = by_tag()
    assert len(tags) > 200
    assert {"{jabber:iq:roster}query", "{urn:xmpp:sm:3}enabled", "{jabber:x:data}x", "{urn:xmpp:mam:2}fin"} <= set(tags)
