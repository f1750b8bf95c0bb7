"""A disk without room for a change: the caller is told, and the store stays whole."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sources import ROOT

# The limit of the process on the size of its files stands for the end of the disk. It is the real thing: the system
# writes the octets that fit, and refuses the others.
PROGRAM = """
import os, resource, sys
import trio
from tests.client.test_store import CHANGE, CHANGED, TICKET
from trioxmpp import FileStore, StoreError

def room(path, octets):
    size = resource.RLIM_INFINITY if octets is None else os.path.getsize(path) + octets
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def fails(function, *args):
    try:
        await function(*args)
    except StoreError as exc:
        print(exc)
    else:
        raise AssertionError("there was room")

async def main(path):
    store = FileStore(path)
    await store.save(TICKET)
    await store.write_notes("kind", {"first": "1"})
    writes = {path + ".notes": lambda: store.write_notes("kind", {"second": "2"}), path: lambda: store.update(CHANGE)}
    for file, write in writes.items():
        size = os.path.getsize(file)
        room(file, 20)
        await fails(write)
        assert os.path.getsize(file) == size, "half a line is left"
        room(file, None)
        await write()
    await store.aclose()
    again = FileStore(path)
    assert await again.load() == CHANGED
    assert await again.read_notes("kind") == {"first": "1", "second": "2"}

trio.run(main, sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")
def test_a_change_without_room_is_told_and_can_be_written_later(tmp_path) -> None:
    path = tmp_path / "session"
    command = [sys.executable, "-c", PROGRAM, str(path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("File too large") == 2, ran.stdout
    assert str(path) in ran.stdout.splitlines()[-1]
