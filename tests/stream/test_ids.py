"""Ids: an attacker cannot guess them, and none comes twice."""

from __future__ import annotations

import re
import subprocess
import sys

from trioxmpp.stream.ids import new_id

IN_PARENT_AND_CHILD = """
import os
from trioxmpp.stream.ids import new_id

new_id()
reads, writes = os.pipe()
if os.fork():
    os.close(writes)
    with open(reads) as pipe:
        of_child = set(pipe.read().split())
    assert len(of_child) == 200 and not of_child & {new_id() for _ in range(200)}
else:
    os.write(writes, " ".join(new_id() for _ in range(200)).encode())
    os._exit(0)
"""


def test_an_id_is_a_name_token_of_120_bits_and_comes_once() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch("[A-Za-z0-9_-]{20}", id) for id in ids)


def test_parent_and_child_of_a_fork_draw_different_ids() -> None:
    subprocess.run([sys.executable, "-c", IN_PARENT_AND_CHILD], check=True, timeout=60)
