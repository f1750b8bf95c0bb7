"""Blocks about nodes may be entered before the application begins: ``connect(services=...)``."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio

import trioxmpp
from tests.dialogs import renewed
from trioxmpp.im.avatars import announced_avatar, open_avatars
from trioxmpp.im.bookmarks import open_bookmarks
from trioxmpp.im.displayed import NODE, open_displayed
from trioxmpp.testing import open_server
from trioxmpp.xep.extdisco import open_external_services
from trioxmpp.xep.nick import NICKS
from trioxmpp.xep.pep import mirrored, watch


async def test_each_block_can_be_a_service(autojump_clock: Any) -> None:
    services = {
        "bookmarks": open_bookmarks,
        "displayed": open_displayed,
        "avatars": open_avatars,
        "announced avatar": announced_avatar,
        "external services": open_external_services,
        "watch": partial(watch, node=NICKS),
        "mirror": partial(mirrored, node=NODE),
    }
    async with open_server() as server:
        for title, service in services.items():
            with trio.fail_after(60):
                async with trioxmpp.connect(
                    "romeo@example.test/1",
                    "secret",
                    endpoint=server.endpoint,
                    allow_plaintext=True,
                    services=[service],
                ) as client:
                    assert client.established, title
                    await renewed(server, client)
