"""Try the installed library: `release.py` runs this program in an empty environment, apart from the repository.

python -I installed.py import|talk
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import trio

import trioxmpp
from trioxmpp import Message, MessageType
from trioxmpp.testing import open_server


def import_all() -> None:
    """Import every module of the package."""
    for module in pkgutil.walk_packages(trioxmpp.__path__, "trioxmpp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


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
    import_all()
else:
    trio.run(talk)
