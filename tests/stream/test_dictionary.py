"""A peer that invents names does not fill our memory (F16). In a process of its own: libxml2 never forgets a name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": ".", "MALLOC_ARENA_MAX": "1"}  # each arena would keep some memory

#: Reads 18 megabytes of stanzas with new names, and then as many more as asked for; prints what these added.
SOAK = """
import gc, sys
from pathlib import Path
from trioxmpp import xml
from trioxmpp.protocol.framing import Framing, header
from trioxmpp.protocol.websocket import DocumentFraming
from trioxmpp.stream.dictionary import read_bounded

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def stanza(n):
    return b"<message xmlns='jabber:client'><n%015d xmlns='urn:%020d' a%d='1'/></message>" % (n, n, n)

how, warm, octets, count, number, before = sys.argv[1], 18 << 20, (18 + int(sys.argv[2])) << 20, 0, 0, 0
framing = DocumentFraming() if how == "websocket" else Framing()
if how != "websocket":
    framing.feed(header(to=None) + b"<message/>")
size = {"bulk": 200, "few": 8, "websocket": 1}[how]
kept = None
while count < octets:
    data = b"".join(stanza(n) for n in range(number, number + size))
    events, error = read_bounded(framing, framing.feed, data)
    assert error is None and len(events) == size
    assert events[-1][0].tag == "{urn:%020d}n%015d" % (number + size - 1, number + size - 1)
    assert xml.serialise(events[-1][0]).startswith("<n")
    number, count, kept = number + size, count + len(data), events[0]
    if count > warm and not before:
        before = resident()
print(resident() - before)
"""


#: Reads stanzas of 150 kB with new names, cut into reads of 64 KiB, behind as many names as a thread may have.
CUT = """
from trioxmpp.protocol.framing import Framing, header
from trioxmpp.stream import dictionary

framing = Framing()
framing.feed(header(to=None) + b"<message/>")
def new(name):
    return b"<x%s xmlns='urn:%s' a%s=''/>" % (name, name, name)
def stanza(n):
    names = (b"%d-%d" % (n, index) for index in range(3000))
    return b"<message xmlns='jabber:client'>" + b"".join(map(new, names)) + b"</message>"
data, got, start = b"".join(map(stanza, range(90))), 0, 0
for start in range(0, len(data), 65536):
    events, error = dictionary.read_bounded(framing, framing.feed, data[start : start + 65536])
    assert error is None, error
    for element in events:
        assert len(element) == 3000 and element[2999].tag == "{urn:%d-2999}x%d-2999" % (got, got)
        got += 1
print(got)
"""


def test_a_stanza_of_new_names_may_be_cut_into_several_reads():
    """Each of them is read in a thread of its own, and none goes on with what another one began."""
    done = subprocess.run(
        [sys.executable, "-c", CUT], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 90


@pytest.mark.parametrize(("how", "megabytes"), [("bulk", 12), ("few", 6), ("websocket", 2)])
def test_new_names_without_end_are_bounded(how, megabytes):
    command = [sys.executable, "-c", SOAK, how, str(megabytes)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < megabytes * 500_000  # one and a half octets stay for each, if nothing is done


def test_the_names_of_honest_peers_are_few():
    """So what they send is never read in the slow way."""
    from trioxmpp.stream.dictionary import Names

    names, stanza = Names(), b"<message from='a%d@b'><body>Hi a=%d</body><x%d xmlns='urn:x:%d' y='%d'/></message>"
    for n in range(20_000):
        assert not names.exhausted(stanza % (n, n, n % 300, n % 300, n))
