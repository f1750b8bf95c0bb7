"""The first use of a declared class compiles its functions, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# The interpreter reports each call of compile() to an audit hook, with the name of the generated source. A hook cannot
# be removed again, so it gets a process of its own.
PROGRAM = """
import collections, json, sys
from trioxmpp import xml

@xml.element("urn:x", "leaf")
class Leaf:
    value: int = xml.text()
    def __post_init__(self): pass  # objects of this class are made by its constructor

@xml.element("urn:x", "item")
class Item:
    jid: str = xml.attr()
    name: str | None = xml.attr(default=None)
    leaf: Leaf | None = xml.child(default=None)

@xml.element("urn:x", "sole")
class Sole:
    var: str = xml.attr()

@xml.element("urn:x", "alike")
class Alike:
    items: tuple[Item, ...] = xml.children()
    soles: tuple[Sole, ...] = xml.children()

@xml.element("urn:x", "mixed")
class Mixed:
    items: tuple[Item | Sole, ...] = xml.children()

compiled = collections.Counter()
def hook(event, arguments):
    if event == "compile" and str(arguments[1]).startswith("<xml "):
        compiled[arguments[1].rpartition(".")[2].rstrip(">"), arguments[1].split()[1]] += 1
sys.addaudithook(hook)

children = "".join(f"<item jid='{n}'><leaf>{n}</leaf></item><sole var='{n}'/>" for n in range(10_000))
for cls, name in (Alike, "alike"), (Mixed, "mixed"):
    payload = xml.parse(cls, xml.fromstring(f"<{name} xmlns='urn:x'>{children}</{name}>"))
    assert len(payload.items) >= 10_000 and payload.items[0].leaf.value == 0
    xml.serialise(payload)
print(json.dumps({" ".join(key): count for key, count in sorted(compiled.items())}))
"""


def test_ten_thousand_children_of_a_class_never_used_before_compile_its_functions_once() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    counts: dict[str, int] = json.loads(ran.stdout)
    for cls in ("Alike", "Mixed", "Item", "Sole", "Leaf"):
        assert counts.pop(f"{cls} reader") == 1
        assert counts.pop(f"{cls} writer") == 1
    assert set(counts.values()) <= {1}, counts
