"""A history of messages in SQLite: what to keep of each message, when it is done, and how to read backwards.

The first call begins the history, and later ones add what was missed. With a peer, they print the whole conversation.

XMPP_PASSWORD=secret python history.py romeo@example.org history.db [juliet@example.org]
"""

import sqlite3
from contextlib import closing
from datetime import datetime

import trio

import trioxmpp
from trioxmpp import JID, Message
from trioxmpp.im.conversation import about, is_lasting
from trioxmpp.im.provenance import Account, Occupant, Room
from trioxmpp.im.timeline import CaughtUp, Entry, NoArchive, Source, open_timeline

# One row for each message as it came, the corrections and retractions, too: who may change which message is for the
# reader to decide. `changes` is the id of the message that a row changes. `position` is the order of the timeline;
# older messages, which the archive gives later, go below. `sender` is the verified one, not the `from` of the message.
SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    position INTEGER PRIMARY KEY, archive_id TEXT UNIQUE, peer TEXT NOT NULL, sender_kind TEXT NOT NULL,
    sender TEXT NOT NULL, by_us INTEGER NOT NULL, sent TEXT NOT NULL, id TEXT, changes TEXT, text TEXT,
    xml TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS message_by_peer ON message (peer, position);
"""

KINDS = {"account": Account, "occupant": Occupant, "room": Room}


def row_of(entry):
    message, sender = entry.message, entry.sender
    kind = type(sender).__name__.lower()
    address = sender.room.replace(resource=sender.nick) if isinstance(sender, Occupant) else sender.jid
    return (
        entry.archive_id, str(entry.peer), kind, str(address), entry.by_us, entry.sent.isoformat(), message.id,
        about(message), message.body, message.serialise(),
    )  # fmt: skip


def entry_of(row):
    archive_id, peer, kind, address, by_us, sent, *_, text = row
    jid = JID.parse(address)
    sender = Occupant(jid.bare, jid.resource or "") if kind == "occupant" else KINDS[kind](jid)
    message, when = Message.deserialise(text), datetime.fromisoformat(sent)
    return Entry(message, Source.ARCHIVE, JID.parse(peer), sender, bool(by_us), when, archive_id, False)


class History:
    """The messages of an account in a database. Each method is one transaction, in a thread."""

    def __init__(self, path):
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(SCHEMA)
        self._lock = trio.Lock()  # a connection is for one thread at a time

    def close(self):
        self._db.close()

    async def keep(self, entry):
        """Store an entry, if it is worth that; return False if it was stored before.

        A process that was killed is given its last entries again.
        """
        return not is_lasting(entry.message) or bool(await self._run(self._add, [entry], False))

    async def stored(self, peer, before=None, size=20):
        """Return the last entries with a peer, or the last before one of them, the oldest first."""
        return await self._run(self._read, str(peer), before, size)

    async def page(self, timeline, peer, before=None, size=20):
        """Return the entries before one: from the store, and when that has no more, from the archive."""
        if page := await self.stored(peer, before, size):
            return page
        async for older in timeline.before(peer, before, size=size):
            if page := await self._run(self._add, [each for each in older if is_lasting(each.message)], True):
                return page
        return []

    # --- in the thread

    async def _run(self, function, *args):
        def transaction():
            with self._db:
                return function(*args)

        async with self._lock:
            return await trio.to_thread.run_sync(transaction)

    def _find(self, row):
        """Return the position of a message: the same archive id, or the same sender, id and text."""
        archive_id, peer, kind, sender, _, _, id, _, text, _ = row
        query = (
            "SELECT position FROM message WHERE archive_id = ? OR "
            "(peer = ? AND sender_kind = ? AND sender = ? AND id = ? AND text IS ?)"
        )
        return self._db.execute(query, (archive_id, peer, kind, sender, id, text)).fetchone()

    def _add(self, entries, below):
        """Add entries above or below all others; return those that were not there."""
        lowest, highest = self._db.execute(
            "SELECT COALESCE(MIN(position), 0), COALESCE(MAX(position), 0) FROM message"
        ).fetchone()
        position, added = (lowest - len(entries) if below else highest + 1), []
        for entry in entries:
            row = row_of(entry)
            if (found := self._find(row)) is None:
                self._db.execute(f"INSERT INTO message VALUES (?{', ?' * len(row)})", (position, *row))
                added.append(entry)
                position += 1
            elif entry.archive_id is not None:
                # A message of ours has no archive id until the archive gives it.
                self._db.execute(
                    "UPDATE message SET archive_id = ? WHERE position = ? AND archive_id IS NULL",
                    (entry.archive_id, *found),
                )
        return added

    def _read(self, peer, before, size):
        found = None if before is None else self._find(row_of(before))
        query = (
            "SELECT archive_id, peer, sender_kind, sender, by_us, sent, id, changes, text, xml FROM message "
            "WHERE peer = ? AND (? IS NULL OR position < ?) ORDER BY position DESC LIMIT ?"
        )
        limit = None if found is None else found[0]
        rows = self._db.execute(query, (peer, limit, limit, size)).fetchall()
        return [entry_of(row) for row in reversed(rows)]


class Kept:
    """A timeline whose entries are stored before they are given, each once over all processes.

    An entry is done when the next one is asked for, or when the block of the timeline is left. So a message that was
    taken must be stored even if the task is cancelled just then.
    """

    def __init__(self, timeline, history):
        self.timeline, self.history = timeline, history

    def __aiter__(self):
        return self

    async def __anext__(self):
        async for entry in self.timeline:
            with trio.CancelScope(shield=True):
                if await self.history.keep(entry):
                    return entry
        raise StopAsyncIteration

    async def page(self, peer, before, size):
        """Return the entries before one, for a conversation."""
        return await self.history.page(self.timeline, peer, before, size)


async def main(jid, password, path, peer=None, **options):
    with closing(History(path)) as history:
        async with (
            trioxmpp.connect(jid, password, **options) as client,
            open_timeline(client) as timeline,
            timeline.events() as events,
            trio.open_nursery() as nursery,
        ):

            async def store():
                async for _ in Kept(timeline, history):
                    pass

            nursery.start_soon(store)
            async for event in events:
                if isinstance(event, CaughtUp | NoArchive):
                    break
            pages = []
            while peer is not None and (page := await history.page(timeline, peer, pages[0][0] if pages else None)):
                pages.insert(0, page)
            for entry in (each for page in pages for each in page):
                if entry.message.body is not None:
                    print("me" if entry.by_us else entry.peer, entry.message.body, sep=": ")
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trioxmpp.run(main)
