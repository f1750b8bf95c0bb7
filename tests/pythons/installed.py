"""Try the installed library: `release.py` runs this program in an empty environment, apart from the repository.

python -I installed.py talk
python -I installed.py import [PACKAGE ...]    every module, but for those in these packages
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Collection, Iterable

import trio

import trioxmpp
from trioxmpp import Message, MessageType
from trioxmpp.testing import open_server


def import_all(path: Iterable[str], prefix: str, left_out: Collection[str]) -> None:
    """Import every module of a package, but for those in the packages that are left out."""
    for module in pkgutil.iter_modules(path, prefix):
        if module.name not in left_out and not module.name.endswith("__main__"):
            imported = importlib.import_module(module.name)
            import_all(getattr(imported, "__path__", ()), f"{module.name}.", left_out)


async def talk() -> None:
    """Send a message from one client to another, over the embedded server."""
    async with open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server:
        options: trioxmpp.ConnectOptions = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as romeo,
            trioxmpp.connect("juliet@example.test/balcony", "secret", **options) as juliet,
            juliet.messages.subscribe(MessageType.CHAT) as inbox,
        ):
            await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="She speaks"))
            with trio.fail_after(60):
                assert (await anext(inbox)).body == "She speaks"


if sys.argv[1] == "import":
    import_all(trioxmpp.__path__, "trioxmpp.", sys.argv[2:])
else:
    trio.run(talk)
