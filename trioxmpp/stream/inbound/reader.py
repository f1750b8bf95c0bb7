"""The reader: the only task that reads from an XML stream. It never waits for the application.

A consumer may wait, in its own loop, for a reply that the reader has yet to read. But between two reads, and when an
inbox is full, the reader lets the consumers that get on take what waits, for a bounded time (`turns`). It does the same
for the writer while many answers wait to be written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from ... import xml
from ...errors import ElementError, ErroneousStanza, StreamCondition, StreamError
from ...protocol import framing, ns, sm
from ...protocol.stanza import IQ, Message, Presence, parse_skipped, parse_stanza
from ...protocol.streamevents import Event, Skipped, StreamFooter, StreamHeader
from ..link import CLOSING, STOPPED, Link
from ..outbound.writer import DONE, Writer
from ..xmlstream import FEATURES, STREAM_ERROR
from .notices import Notices
from .router import Router

__all__ = ["Reader"]

#: While stanzas of this number of octets wait to be written, the writer gets turns.
WRITER_BRIM = 32768

_logger = logging.getLogger(__name__)


class Reader:
    """Reads the stanzas of a session from one XML stream, and takes each element for what it is.

    The inbound counter moves when a stanza is processed. A stanza that was parsed but not processed when the link ended
    is discarded uncounted, so that the server sends it again. A stanza that was passed over is processed, too: the
    server would send it again for ever. An element that we do not know is ignored.
    """

    def __init__(self, link: Link, router: Router, writer: Writer, logger: logging.Logger = _logger) -> None:
        self._logger = logger
        self._link = link
        self._session = link.session
        self._router = router
        self._writer = writer
        self._notices = Notices(logger, router.losses)

    async def run(self) -> None:
        """Read until the server closes the stream. Raises ConnectionError for every other end."""
        receive, turns, outgoing = self._link.xmlstream.receive, self._router.turns, self._session.outgoing
        while not await self._take(await receive()):
            if outgoing.octets >= WRITER_BRIM:
                turns.wanted(outgoing)
            if turns.filling:
                await turns.give()

    async def _take(self, events: Sequence[Event]) -> bool:
        """Act on what came with one read; True if there is nothing more to read."""
        link, turns = self._link, self._router.turns
        octets, others = link.xmlstream.octets
        for event in events:
            if link.state is STOPPED:
                return True
            if isinstance(event, xml.Element) and event.tag in ns.STANZA_TAGS:
                try:
                    stanza: Message | Presence | IQ | ErroneousStanza | None = parse_stanza(event)
                except ErroneousStanza as problem:
                    stanza = problem
                self._stanza(event, stanza, octets)
            elif self._process(event):
                return True
            if turns.urgent:
                await turns.give()
            octets = others
        return False

    def _process(self, event: Event) -> bool:
        """Act on an event other than a stanza; True if it was the server's footer, and we are done."""
        if isinstance(event, StreamFooter):
            if self._link.state is not CLOSING:
                raise ConnectionAbortedError("the server closed the stream")
            return True
        if isinstance(event, StreamHeader):
            raise StreamError(StreamCondition.BAD_FORMAT, "a second stream header", by_us=True)
        if isinstance(event, Skipped):
            self._skipped(event)
        elif event.tag in _NONZAS:
            try:
                _NONZAS[event.tag](self, event)
            except ElementError as exc:
                raise StreamError(StreamCondition.INVALID_XML, str(exc), by_us=True) from exc
        elif event.tag == FEATURES and self._link.xmlstream.features_due:
            self._link.xmlstream.features_due = False
        elif self._link.state is not CLOSING:
            self._notices.element(str(event.tag), "it was not expected")
        return False

    def _skipped(self, event: Skipped) -> None:
        """Deal with an element that was passed over."""
        if event.tag == STREAM_ERROR:
            raise StreamError(
                StreamCondition.UNDEFINED_CONDITION, f"a stream error that we could not take: {event.reason}"
            )
        if event.is_stanza:
            self._stanza(event, parse_skipped(event), event.octets)
        else:
            self._notices.element(event.tag, event.reason)

    def _stanza(
        self, element: xml.Element | Skipped, stanza: Message | Presence | IQ | ErroneousStanza | None, octets: int
    ) -> None:
        """Take a stanza of this number of octets where it belongs, and count it as handled."""
        session, management = self._session, self._session.sm
        if management is not None:
            if self._writer.state is DONE:
                return  # our last <a/> does not cover it: the server keeps it, and would deliver it twice
            if not session.handled.arrived(management):
                return  # the server repeats a stanza that the application still has
        try:
            if isinstance(stanza, ErroneousStanza):
                self._refuse(element, stanza)
            elif stanza is not None:
                self._router.route(stanza, session, octets)
        finally:
            if management is not None:
                session.handled.processed()

    def _refuse(self, element: xml.Element | Skipped, problem: ErroneousStanza) -> None:
        """Deal with a stanza that cannot be taken. One that is not counted comes again, and again: it has no line."""
        if not isinstance(element, Skipped):
            self._router.refuse(problem, self._session)
            return
        self._notices.stanza(element)
        if problem.partial is not None:
            self._router.refuse(problem, self._session, is_logged=True)

    def _request(self, element: xml.Element) -> None:
        if self._session.sm is None:
            self._logger.warning("the server asks how much we handled, but the stream is not managed")
            return
        self._session.handled.asked(self._link.control)

    def _ack(self, element: xml.Element) -> None:
        management = self._session.sm
        if management is None:
            self._logger.warning("the server acknowledges stanzas, but the stream is not managed")
            return
        self._session.outgoing.acked(management.acked_by(element))

    def _enabled(self, element: xml.Element) -> None:
        self._link.sm_enabled(element)

    def _failed(self, element: xml.Element) -> None:
        self._link.sm_failed(element)

    def _stream_error(self, element: xml.Element) -> None:
        raise framing.parse_stream_error(element)


#: The methods that take an element that is no stanza, by its tag.
_NONZAS: Mapping[object, Callable[[Reader, xml.Element], None]] = {
    sm.TAG_REQUEST: Reader._request,
    sm.TAG_ACK: Reader._ack,
    sm.TAG_ENABLED: Reader._enabled,
    sm.TAG_FAILED: Reader._failed,
    STREAM_ERROR: Reader._stream_error,
}
