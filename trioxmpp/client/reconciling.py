"""Messages of which nobody knows whether the server has them: its archive is asked before they are sent again.

The archive (XEP-0313) keeps what we have sent with the id that we gave it. It is asked for what was exchanged since the
first of these messages was sent, less some time for clocks that differ, and in the end for the newest page, in case
they differ by more. What is in it will not be sent again. What it does not have, or has not shown within some pages and
seconds, is: at least once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import trio

from ..errors import StanzaError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.disco import InfoQuery
from ..protocol.elements.mam import Fin, Result, query
from ..protocol.elements.rsm import Page
from ..protocol.elements.stanza_ids import OriginId
from ..protocol.stanza import Message
from ..stream.ids import new_id
from ..stream.session import Session
from .client import Client
from .store.entries import Entry
from .store.recorder import Recorder

__all__ = ["reconcile"]

logger = logging.getLogger(__name__)

#: Seconds, while there is a link, after which what is in doubt is sent again, whatever the archive may have to say.
PATIENCE = 30.0

#: So many messages are asked for at once, in so many pages at most. Servers may have their own idea of a page.
PAGE = 100
PAGES = 20

#: Two clocks differ by less than this, as a rule.
SLACK = timedelta(minutes=5)


async def reconcile(client: Client, recorder: Recorder) -> None:
    """Ask what became of what is in doubt, and have the rest sent again. Whatever goes wrong, it raises nothing."""
    session = client.stream._session
    doubts = len(recorder.in_doubt)
    try:
        try:
            await _ask_patiently(client, recorder, session)
            left = len(recorder.in_doubt)
            logger.info("%d of %d messages in doubt have arrived; the others are sent again", doubts - left, doubts)
        except StanzaError as exc:
            logger.warning("the archive does not say what became of %d messages in doubt: %s", doubts, exc)
        except ConnectionError:
            raise
        except Exception:
            logger.exception("could not ask what became of %d messages in doubt", doubts)
        recorder.settled(session)
    except ConnectionError as exc:  # the session is over, or the client: it is for the next one to ask
        logger.debug("nobody can be asked what became of %d messages in doubt: %s", doubts, exc)
    finally:
        recorder.abandoned(session)


async def _ask_patiently(client: Client, recorder: Recorder, session: Session) -> None:
    """Ask, and ask again if there was no link to hear the answer on. Raises StanzaError if there is none."""
    async with client.events() as events:
        while True:
            with trio.move_on_after(PATIENCE):
                return await _ask(client, recorder)
            if client.suspended is None:
                raise StanzaError(f"no answer in {PATIENCE:g} seconds")
            while client.suspended is not None and session.ended is None:
                await anext(events)
            if session.ended is not None:
                raise session.ended


async def _ask(client: Client, recorder: Recorder) -> None:
    ours = client.jid.bare
    info = await client.request(InfoQuery(), to=ours)
    if ns.MAM in info.features:
        await _Search(client, recorder, ours).run()


class _First:
    """The order of a filter that comes before all others, whatever they are sorted by."""

    def __lt__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return False


class _Search:
    """Looks into the archive of `ours`, our own account, for messages that are in doubt."""

    def __init__(self, client: Client, recorder: Recorder, ours: JID) -> None:
        self._client = client
        self._recorder = recorder
        self._ours = ours
        self._queryid = new_id()
        self._wanted: dict[tuple[object, ...], list[Entry]] = {}
        for entry in recorder.in_doubt:
            written = entry.written
            assert isinstance(written, Message)
            for key in self._keys(written):
                self._wanted.setdefault(key, []).append(entry)

    async def run(self) -> None:
        """Look, until all is found or there is nothing more to look into."""
        # What comes out of an archive is no message that comes now, for anybody.
        with self._client.stream.service_inbound_message_filter.context_register(self._take, _First()):
            since = min((entry.sent for entry in self._recorder.in_doubt if entry.sent is not None), default=None)
            if since is not None:
                now = time.time()  # which no message was sent after, whatever the clock said then
                await self._search(datetime.fromtimestamp(min(since / 1e6, now), UTC).replace(microsecond=0) - SLACK)
            if self._recorder.in_doubt:
                await self._page(Page(max=PAGE, before=""), None)

    async def _search(self, start: datetime) -> None:
        after: str | None = None
        for _ in range(PAGES):
            fin = await self._page(Page(max=PAGE, after=after), start)
            last = None if fin.page is None else fin.page.last
            if fin.complete or last is None or last == after or not self._recorder.in_doubt:
                return
            after = last
        logger.info("the archive has more than %d pages of messages; that is enough", PAGES)

    async def _page(self, page: Page, start: datetime | None) -> Fin:
        others = {(entry.stanza.to or self._ours).bare for entry in self._recorder.in_doubt}
        with_ = others.pop() if len(others) == 1 and others != {self._ours} else None
        return await self._client.request(query(self._queryid, page, with_=with_, start=start), to=self._ours)

    def _take(self, message: Message) -> Message | None:
        """A filter for inbound messages: take what comes out of the archive, and nothing else."""
        if message.from_ is not None and message.from_ != self._ours:
            return message  # anybody can send what looks like a result
        result = message.get(Result)
        if result is None or result.queryid != self._queryid:
            return message
        archived = result.forwarded.message
        if archived is not None and archived.from_ is not None and archived.from_.bare == self._ours:
            for key in self._keys(archived):
                for entry in self._wanted.get(key, ()):
                    self._recorder.arrived(entry)
        return None

    def _keys(self, message: Message) -> Iterator[tuple[object, ...]]:
        """What two messages have in common if they are the same: an id, the recipient, and the text.

        The text, because who gives ids of his own may give one twice.
        """
        same = (message.to or self._ours).bare, *sorted(message.bodies.values())
        origin = message.get(OriginId)
        if message.id is not None:
            yield "id", message.id, *same
        if origin is not None:
            yield "origin-id", origin.id, *same
