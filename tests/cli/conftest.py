"""A town in memory for the doctor, under a virtual clock."""

from __future__ import annotations

import pytest
import trio

from tests.cli.doctor_helpers import Town


@pytest.fixture
async def town(autojump_clock, nursery):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    return Town(nursery)
