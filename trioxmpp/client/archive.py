"""One page of an archive (XEP-0313): the query, the messages that answer it, and the ``<fin/>`` behind them.

An archive answers with messages, and any stranger can send a message that looks like such a result. So a result is
believed only if it comes from the archive that was asked, has the id of this query, and arrives before its ``<fin/>``.
It is taken out of the stream at `Stage.ARCHIVE`: no service and no subscription sees it as a message of now. Results
that no open query takes are dropped one stage later and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import trio

from .. import xml
from ..errors import ElementError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.mam import Fin, Result, query
from ..protocol.elements.rsm import Page
from ..protocol.stanza import Message
from ..record import record
from ..stream.ids import new_id
from ..stream.inbound.stages import Stage
from .session import Session

__all__ = ["PAGE", "PATIENCE", "ArchivePage", "archive_page", "is_archive_result", "sent_by_archive"]

_logger = logging.getLogger(__name__)

#: The messages that one query asks for. Servers have limits of their own, of 50 to 250.
PAGE = 250

#: Seconds, while there is a link, after which an archive that does not answer is given up.
PATIENCE = 60.0

#: An archive that sends more than this many times the messages that a query asked for is cut short.
EXCESS = 4

_RESULT = f"{{{ns.MAM}}}result"


@record
class ArchivePage:
    """The answer to one query: `results`, in the order of the archive, and its `fin`.

    `malformed` is the number of results that cannot be read, and `forged` of those that were not believed. `cut` tells
    that the archive sent far more than was asked for; the rest was not kept.
    """

    results: tuple[Result, ...]
    fin: Fin
    malformed: int = 0
    forged: int = 0
    cut: bool = False

    @property
    def first(self) -> str | None:
        """The id before which the page that precedes this one ends."""
        rsm = self.fin.page
        first = None if rsm is None else rsm.first
        return first or (self.results[0].id if self.results else None)

    @property
    def last(self) -> str | None:
        """The id after which the next page begins."""
        rsm = self.fin.page
        last = None if rsm is None or self.cut else rsm.last
        return last or (self.results[-1].id if self.results else None)

    @property
    def count(self) -> int | None:
        """The number of all messages that match the query, if the archive says it."""
        return None if self.fin.page is None else self.fin.page.count


def is_archive_result(message: Message) -> bool:
    """Return whether `message` looks like an archived message, from whichever sender."""
    return _result_in(message) is not None


def _result_in(message: Message) -> Any:
    """Return the first payload that looks like an archived message, or None."""
    for payload in message.payloads:
        if (payload.tag == _RESULT) if payload.__class__ is xml.Element else isinstance(payload, Result):
            return payload
    return None


def _read(payload: Any, message: Message) -> Result | None:
    """Return an archived message, or None if it is malformed and no other payload is one."""
    try:
        return payload if isinstance(payload, Result) else xml.parse(Result, payload)
    except ElementError:
        return message.get(Result)  # logs what is wrong


def sent_by_archive(message: Message, archive: JID, ours: JID) -> bool:
    """Return whether an `archive` itself sent `message`; `ours` is the bare JID of our account.

    A message without a sender is from the server in the name of our account (RFC 6120 §8.1.2.1).
    """
    return message.from_ == archive or (message.from_ is None and archive == ours)


class _Collector:
    """Takes the results of one query out of the stream, and drops what only looks like a result."""

    def __init__(
        self,
        archive: JID,
        ours: JID,
        queryid: str | None,
        limit: int,
        on_result: Callable[[Result], object] | None,
    ) -> None:
        self._archive = archive
        self._ours = ours
        self._queryid = queryid
        self._limit = limit
        self._on_result = on_result
        self.results: list[Result] = []
        self.malformed = self.forged = self.excess = 0

    def take(self, message: Message) -> Message | None:
        """At `Stage.ARCHIVE`: keep a result of this query, pass on everything else."""
        payload = _result_in(message)
        if payload is None or not sent_by_archive(message, self._archive, self._ours):
            return message
        result = _read(payload, message)
        if result is None:
            self.malformed += 1
        elif result.queryid != self._queryid:
            return message
        elif len(self.results) >= self._limit:
            self.excess += 1
        else:
            self.results.append(result)
            if self._on_result is not None:
                self._on_result(result)
        return None

    def drop(self, message: Message) -> Message | None:
        """One stage later: drop a result that no open query has taken."""
        if not is_archive_result(message):
            return message
        self.forged += 1
        _logger.debug("dropped an archived message that was not asked for, from %s", message.from_)
        return None

    def answer(self, fin: Fin) -> ArchivePage:
        """Return the page that `fin` ends."""
        cut = self.excess > 0
        if cut:
            _logger.warning(
                "the archive %s sent more than %d messages; the rest is dropped", self._archive, self._limit
            )
        return ArchivePage(tuple(self.results), fin, self.malformed, self.forged, cut)

    @contextmanager
    def collecting(self, session: Session) -> Iterator[None]:
        """A block during which it sees what arrives."""
        with session.at_stage(Stage.ARCHIVE, self.take), session.at_stage(Stage.CARBON, self.drop):
            yield


async def archive_page(
    session: Session,
    page: Page | None = None,
    *,
    archive: JID | None = None,
    with_: JID | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    patience: float = PATIENCE,
    on_result: Callable[[Result], object] | None = None,
) -> ArchivePage:
    """Ask an archive for one page, and return it. `archive` is that of a room, or None for that of our account.

    `page` says which one (XEP-0059); None asks for the first `PAGE` messages. `with_`, `start` and `end` narrow the
    messages down to those exchanged with an address, and to a span of time. Never ask for the archive of another user:
    some servers answer such a query from our own archive. `on_result` is called, by the reader, with each result as it
    arrives: for a caller to whom one message is worth something even if the page never ends.

    A link that breaks costs nothing but time. Raises `XMPPError` if the archive refuses, `ErroneousStanza` if it gives
    an answer that cannot be understood, TimeoutError if it does not answer within `patience` seconds while there is a
    link, and `SessionLost` with the session. Cancelling drops what is still to come.
    """
    page = page or Page(max=PAGE)
    ours = session.jid.bare
    asked = ours if archive is None else archive.bare
    limit = EXCESS * (PAGE if page.max is None else max(page.max, 1))
    while True:
        # A new id each time: late results of a query that was given up are not those of the next one.
        question = query(new_id(), page, with_=with_, start=start, end=end)
        collector = _Collector(asked, ours, question.queryid, limit, on_result)
        with collector.collecting(session), trio.move_on_after(patience):
            fin = await session.request(question, to=asked)
            return collector.answer(fin)
        if session.linked:
            raise TimeoutError(f"the archive {asked} has not answered in {patience:g} seconds")
        await session.wait_linked()
