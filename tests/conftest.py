"""Rules for every test: it must not hang. The profiles of hypothesis say how many examples it tries."""

from __future__ import annotations

import functools
import inspect
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import hypothesis
import pytest
import trio
import trio.testing

PROOF = bool(os.environ.get("TRIOXMPP_PROOF"))

# A test that takes this long hangs. Under a virtual clock a deadlock reaches any deadline at once, and a test may
# well live through a year. A program that only keeps its link alive gets there in less than a minute.
# Programs of others, which `make interop` waits for, take their time on a busy machine.
REAL_LIMIT = 3600.0 if PROOF else 240.0 if os.environ.get("TRIOXMPP_INTEROP") else 60.0
VIRTUAL_LIMIT = 400 * 86400.0

# A shell that starts a job in the background has it ignore interrupts. Tests of interrupts need the handler of Python.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines are real time, which tests do not look at. In CI the examples are always the same: a failure is then about
# the change.
hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
hypothesis.settings.register_profile(
    "proof",
    deadline=None,
    max_examples=5000,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("proof" if PROOF else "ci" if os.environ.get("CI") else "dev")


def bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The same coroutine function, but with an end."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        virtual = isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
        with trio.fail_after(VIRTUAL_LIMIT if virtual else REAL_LIMIT):
            await test(*args, **kwargs)

    vars(run)["is_bounded"] = True
    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        given = getattr(item.obj, "hypothesis", None)
        test = given.inner_test if given else item.obj
        if not inspect.iscoroutinefunction(test) or hasattr(test, "is_bounded"):
            continue
        if given:
            given.inner_test = bounded(test)
        else:
            item.obj = bounded(test)
