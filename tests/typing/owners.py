"""The owners of nodes that a watch takes, for type checkers. Read, not run; the comments are as in `declared.py`."""

# pyright: strict

from __future__ import annotations

from trioxmpp import Client, xml
from trioxmpp.im.blocking import Blocklist
from trioxmpp.im.bookmarks import Bookmarks
from trioxmpp.im.presence import Presences
from trioxmpp.im.roster import Roster
from trioxmpp.xep.pep import watch
from trioxmpp.xep.pubsub import Node


@xml.element("https://example.org/weather", "report")
class Report:
    celsius: float = xml.attr()


REPORTS = Node("https://example.org/weather", Report)


def watches(client: Client, roster: Roster, presences: Presences, blocklist: Blocklist, bookmarks: Bookmarks) -> None:
    watch(client, REPORTS)
    watch(client, REPORTS, owners=roster)
    watch(client, REPORTS, owners=presences)
    watch(client, REPORTS, owners=blocklist)
    watch(client, REPORTS, owners=bookmarks)
    watch(client, REPORTS, owners=["juliet@example.org", "nurse@example.org"])
    watch(client, REPORTS, owners=lambda jid: jid.domain == "example.org")
    watch(client, REPORTS, owners=5)  # wrong
