"""Which servers there are to test against: as packaged here, and the newer ones that `newer.sh` has unpacked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trioxmpp.testing.servers import SERVERS, RealServer
from trioxmpp.testing.servers.tree import SYSTEM, Tree

#: The folder with the newer ones, one folder each; they are left out if it is not set (`make test-newer` does).
FOLDER = "TRIOXMPP_SERVERS"
TITLES = {"prosody": "Prosody", "ejabberd": "ejabberd"}


@dataclass(frozen=True)
class Kind:
    """A server to be had, by what it is called in the ids of tests; called, it gives one that can be started."""

    label: str
    name: str
    tree: Path | None = None

    @property
    def installed(self) -> bool:
        return SERVERS[self.name].installed(self.tree)

    @property
    def version(self) -> str:
        # ejabberd's are a year and a month.
        width = 2 if self.name == "ejabberd" else 1
        return ".".join(f"{number:0{width if place == 1 else 1}}" for place, number in enumerate(self._numbers))

    @property
    def _numbers(self) -> tuple[int, ...]:
        return SERVERS[self.name]._version(SYSTEM if self.tree is None else Tree(self.tree)) or ()

    @property
    def title(self) -> str:
        return f"{TITLES[self.name]} {self.version}"

    def __call__(self, **settings: Any) -> RealServer:
        return SERVERS[self.name](tree=self.tree, **settings)


def _newer() -> list[Kind]:
    folder = os.environ.get(FOLDER)
    if not folder:
        return []
    found = []
    for path in sorted(Path(folder).resolve().iterdir()):
        name = path.name.partition("-")[0]
        # Which packages it is made of is written down last.
        if name in SERVERS and (path / "packages").exists():
            kind = Kind(path.name, name, path)
            found.append(Kind(f"{name}-{kind.version}", name, path))
    assert found, f"there is no server in {folder}; try: make servers-newer"
    return found


PACKAGED = {name: Kind(name, name) for name in SERVERS}
KINDS = {**PACKAGED, **{kind.label: kind for kind in _newer()}}
