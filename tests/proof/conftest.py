"""How long the proof takes, and what it says about itself at the end."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest

PROOF = bool(os.environ.get("TRIOXMPP_PROOF"))

# `make proof` looks elsewhere each time, and says where: TRIOXMPP_PROOF_SEED=... looks there again.
SEED = int(os.environ.get("TRIOXMPP_PROOF_SEED") or random.SystemRandom().getrandbits(32))

# For planted defects: that something is found is enough, it need not be made small.
hypothesis.settings.register_profile(
    "planted",
    deadline=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if PROOF and item.path.parent == Path(__file__).parent and hasattr(getattr(item, "obj", None), "hypothesis"):
            hypothesis.seed(SEED)(item.obj)


@dataclass
class Tally:
    """How much was tried."""

    programs: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    failed: dict[str, int] = field(default_factory=dict)
    """The number of the first program at which something did not hold."""

    happened: Counter[str] = field(default_factory=Counter)
    """The outcomes of the programs, which show that they lead anywhere."""

    @contextmanager
    def program(self, machine: str, steps: int) -> Iterator[None]:
        """Count a program of this number of steps."""
        self.programs[machine] += 1
        self.steps[machine] += steps
        try:
            yield
        except BaseException:
            self.failed.setdefault(machine, self.programs[machine])
            raise


TALLY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TALLY] = Tally()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    return pytestconfig.stash[TALLY]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, None)
    if tally is None or not tally.programs:
        return
    seed = f", seed {SEED}" if PROOF else ""
    total = f"{tally.programs.total():,} programs, {tally.steps.total():,} steps{seed}"
    terminalreporter.section("proof of stream management")
    terminalreporter.write_line(total)
    for machine, programs in sorted(tally.programs.items()):
        found = f"; the first to fail was number {tally.failed[machine]}" if machine in tally.failed else ""
        terminalreporter.write_line(f"{machine}: {programs:,} programs, {tally.steps[machine]:,} steps{found}")
    happened = ", ".join(f"{count:,} {what}" for what, count in sorted(tally.happened.items()))
    terminalreporter.write_line(f"what happened: {happened}")
