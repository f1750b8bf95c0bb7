"""Unconfirmed messages: the archive is asked whether the server has them, before they are sent again.

The archive (XEP-0313) keeps each message that we sent, with the id that we gave it. It is asked for the messages since
the first unconfirmed one was sent, less some time for clocks that differ; and in the end for the newest page, in case
they differ by more. A message that is found will not be sent again. One that the archive does not have, or has not
shown within some pages and seconds, is sent again: at least once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import trio

from ...errors import StanzaError
from ...jid import JID
from ...protocol import ns
from ...protocol.elements.disco import InfoQuery
from ...protocol.elements.mam import Result
from ...protocol.elements.rsm import Page
from ...protocol.elements.stanza_ids import OriginId
from ...protocol.stanza import Message
from ...stream.core import StreamCore
from ..archive import ArchivePage, archive_page
from ..session import Session
from .outbox import JournalEntry, OutboxJournal

__all__ = ["reconcile"]

_logger = logging.getLogger(__name__)

#: Seconds, while there is a link, after which what is in doubt is sent again, whatever the archive may have to say.
PATIENCE = 30.0

#: Messages that are asked for at once, and pages that are read at most. Servers may give smaller pages.
PAGE = 100
PAGES = 20

#: Two clocks differ by less than this, as a rule.
SLACK = timedelta(minutes=5)


async def reconcile(session: Session, core: StreamCore, outbox: OutboxJournal) -> None:
    """Ask what became of the unconfirmed messages, and have the rest sent again. Whatever goes wrong, raise nothing."""
    state = core.session
    count = len(outbox.unconfirmed)
    try:
        try:
            await _ask_patiently(session, outbox)
            left = len(outbox.unconfirmed)
            _logger.info("%d of %d unconfirmed messages have arrived; the others are sent again", count - left, count)
        except StanzaError as exc:
            _logger.warning("the archive does not say what became of %d unconfirmed messages: %s", count, exc)
        except ConnectionError:
            raise
        except Exception:
            _logger.exception("could not ask what became of %d unconfirmed messages", count)
        outbox.reconciled(state)
    except ConnectionError as exc:  # the session is over, or the client: the next one will ask
        _logger.debug("could not ask what became of %d unconfirmed messages: %s", count, exc)
    finally:
        outbox.stop_waiting(state)


async def _ask_patiently(session: Session, outbox: OutboxJournal) -> None:
    """Ask, and ask again if the link broke before the answer. Raises StanzaError if there is no answer."""
    while True:
        with trio.move_on_after(PATIENCE):
            return await _ask(session, outbox)
        if session.linked:
            raise StanzaError(f"no answer in {PATIENCE:g} seconds")
        await session.wait_linked()


async def _ask(session: Session, outbox: OutboxJournal) -> None:
    ours = session.jid.bare
    info = await session.request(InfoQuery(), to=ours)
    if ns.MAM in info.features:
        await _ArchiveLookup(session, outbox, ours).run()


class _ArchiveLookup:
    """Looks into the archive of `ours`, our own account, for unconfirmed messages."""

    def __init__(self, session: Session, outbox: OutboxJournal, ours: JID) -> None:
        self._session = session
        self._outbox = outbox
        self._ours = ours
        self._wanted: dict[tuple[object, ...], list[JournalEntry]] = {}
        for entry in outbox.unconfirmed:
            written = entry.written
            assert isinstance(written, Message)
            for key in self._keys(written):
                self._wanted.setdefault(key, []).append(entry)

    async def run(self) -> None:
        """Look, until all is found or there is nothing more to look into."""
        since = min((entry.sent for entry in self._outbox.unconfirmed if entry.sent is not None), default=None)
        if since is not None:
            now = time.time()  # no message was sent after this, whatever the clock said then
            await self._search(datetime.fromtimestamp(min(since / 1e6, now), UTC).replace(microsecond=0) - SLACK)
        if self._outbox.unconfirmed:
            await self._look_into(Page(max=PAGE, before=""), None)

    async def _search(self, start: datetime) -> None:
        after: str | None = None
        for _ in range(PAGES):
            page = await self._look_into(Page(max=PAGE, after=after), start)
            if page.fin.complete or page.last is None or page.last == after or not self._outbox.unconfirmed:
                return
            after = page.last
        _logger.info("the archive has more than %d pages of messages; that is enough", PAGES)

    async def _look_into(self, page: Page, start: datetime | None) -> ArchivePage:
        """Read one page, and take note of the messages in it that we sent."""
        others = {(entry.stanza.to or self._ours).bare for entry in self._outbox.unconfirmed}
        with_ = others.pop() if len(others) == 1 and others != {self._ours} else None
        return await archive_page(
            self._session, page, with_=with_, start=start, patience=2 * PATIENCE, on_result=self._found
        )

    def _found(self, result: Result) -> None:
        archived = result.forwarded.message
        if archived is not None and archived.from_ is not None and archived.from_.bare == self._ours:
            for key in self._keys(archived):
                for entry in self._wanted.get(key, ()):
                    self._outbox.arrived(entry)

    def _keys(self, message: Message) -> Iterator[tuple[object, ...]]:
        """Return keys that are equal if two messages are the same: of an id, the recipient, and the text.

        Compare the body too: ids chosen by the application may repeat.
        """
        same = (message.to or self._ours).bare, *sorted(message.bodies.values())
        origin = message.get(OriginId)
        if message.id is not None:
            yield "id", message.id, *same
        if origin is not None:
            yield "origin-id", origin.id, *same
