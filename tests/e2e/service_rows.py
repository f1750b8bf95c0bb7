"""The rows of the table of services in docs/servers.md: what is tested, by the files of tests that show it."""

from __future__ import annotations

from typing import Final

__all__ = ["ROWS", "row_of"]

ROWS: Final[dict[str, tuple[str, ...]]] = {
    "contacts and subscriptions (RFC 6121)": ("im/test_roster.py",),
    "presence (RFC 6121)": ("im/test_presence.py",),
    "capabilities (XEP-0115, XEP-0390)": ("xep/test_caps.py",),
    "blocking (XEP-0191)": ("im/test_blocking.py",),
    "rooms: entering, speaking, occupants (XEP-0045)": ("xep/muc/test_room.py", "xep/muc/test_cancelling.py"),
    "rooms: owners, moderators, invitations": ("xep/muc/test_affairs.py",),
    "rooms: refusals of each kind": ("xep/muc/test_refusals.py",),
    "rooms: coming back, self-ping (XEP-0410)": ("xep/muc/test_healing.py",),
    "rooms: what occupants forge": ("xep/muc/test_attacks.py",),
    "bookmarks (XEP-0402)": ("im/test_bookmarks.py",),
    "history of the account (XEP-0313)": (
        "xep/test_mam.py", "xep/test_result_pages.py", "im/test_timeline_on_servers.py",
    ),
    "history of a room": ("im/test_room_timeline.py",),
    "conversations: receipts, corrections, reactions": ("im/test_conversations_on_a_timeline.py",),
    "private talks in rooms": ("im/test_private_talks.py",),
    "what was displayed, over all clients (XEP-0490)": ("im/test_displayed.py", "im/test_reading_together.py"),
    "encryption (XEP-0384)": (
        "im/omemo/test_omemo_devices.py", "im/omemo/test_omemo_talking.py", "im/omemo/test_omemo_courtesies.py",
    ),
    "nodes of services and accounts (XEP-0060)": ("xep/test_pubsub.py",),
    "personal nodes (XEP-0163)": ("xep/test_pep.py",),
    "avatars (XEP-0084), nicks (XEP-0172)": ("im/test_avatars.py", "xep/test_nick.py"),
    "cards (XEP-0054, XEP-0292)": ("xep/test_vcard.py",),
    "files by upload (XEP-0363)": ("xep/test_upload_on_servers.py",),
    "files from client to client (XEP-0047, XEP-0065)": ("xep/test_bytestreams.py",),
    "commands between clients (XEP-0050)": ("xep/test_commands.py",),
    "registration, passwords (XEP-0077)": ("xep/test_accounts.py",),
    "push (XEP-0357)": ("xep/test_push.py",),
    "reports of spam (XEP-0377)": ("xep/test_reports.py",),
    "external services (XEP-0215)": ("xep/test_extdisco.py",),
    "administration (XEP-0133)": ("xep/test_administration.py",),
    "ping, time, version": ("xep/test_basics.py",),
}  # fmt: skip


def row_of(path: str) -> str | None:
    """Return the row that a file of tests is in; None if it is in none."""
    return next((row for row, paths in ROWS.items() if path in paths), None)
