"""A script: the elements that one side of an XML stream sends and expects, written down by a test."""

from __future__ import annotations

import trio

from .. import xml
from ..protocol.framing import FOOTER, Event, Framing, Skipped, StreamFooter, StreamHeader
from .transcript import explain, fill_in, match, parse_script

__all__ = ["Script", "describe"]


class Script:
    """Says and expects XML on a stream, at either end of it; `ScriptedPeer` is a server's.

    A variable ``$1`` meets any value, and is filled in afterwards; `met` holds its last value. An element without a
    namespace is in ``jabber:client``. An unexpected element raises AssertionError with a readable difference; so does
    silence of `patience` seconds on trio's clock.
    """

    def __init__(self, stream: trio.abc.Stream, *, patience: float = 3600.0) -> None:
        self.patience = patience
        self.met: dict[str, str] = {}
        """The values of the variables: ``script.met["1"]`` for ``$1``."""
        self.wire = stream
        """The stream that the script reads and writes; replace it to put TLS on the link."""
        self._framing = Framing()
        self._unread = b""

    # --- elements

    async def says(self, script: str) -> None:
        """Send some XML in one segment. Raises ValueError if it is not XML, or a variable has no value."""
        text = fill_in(script, self.met)
        parse_script(text)
        await self.says_raw(text.encode())

    async def says_raw(self, data: bytes) -> None:
        """Send these bytes, XML or not, in one segment."""
        await self.wire.send_all(data)

    async def expects(self, script: str, *, within: float | None = None) -> xml.Element:
        """Wait for the next element, compare it with this one, and return it. `within` replaces the usual patience.

        Prefixes, the order of attributes and white space between elements do not matter; all else does. The outermost
        element may have an ``id`` that the script does not mention.
        """
        (expected,) = parse_script(script)
        actual = await self._element(script, within)
        met = match(expected, actual)
        if met is None:
            raise AssertionError(explain(expected, actual))
        self.met.update(met)
        return actual

    async def hears(self, *, within: float | None = None) -> xml.Element:
        """Wait for the next element and return it."""
        return await self._element("an element", within)

    async def expects_nothing(self, seconds: float) -> None:
        """Wait for some seconds in which the other side sends nothing and ends neither stream nor link."""
        with trio.move_on_after(seconds):
            event = await self.next_event()
            raise AssertionError(f"nothing was expected, but {describe(event)}")

    # --- the stream, and the link

    async def expects_header(self) -> StreamHeader:
        """Wait for a stream header, the first one or that of a restart, and return it."""
        self._framing = Framing()
        event = await self._patiently("a stream header", None)
        if not isinstance(event, StreamHeader):
            raise AssertionError(f"a stream header was expected, but {describe(event)}")
        return event

    async def expects_footer(self) -> None:
        """Wait for the stream footer."""
        event = await self._patiently("a stream footer", None)
        if not isinstance(event, StreamFooter):
            raise AssertionError(f"a stream footer was expected, but {describe(event)}")

    async def says_footer(self) -> None:
        """Send the stream footer."""
        await self.says_raw(FOOTER)

    async def expects_end(self) -> None:
        """Wait until the other side closes the link, or breaks it."""
        event = await self._patiently("the end of the link", None)
        if event is not None:
            raise AssertionError(f"the end of the link was expected, but {describe(event)}")

    # --- reading

    async def _element(self, what: str, within: float | None) -> xml.Element:
        event = await self._patiently(what, within)
        if event is None or isinstance(event, (StreamHeader, StreamFooter, Skipped)):
            raise AssertionError(f"{what} was expected, but {describe(event)}")
        return event

    async def _patiently(self, what: str, within: float | None) -> Event | None:
        patience = self.patience if within is None else within
        with trio.move_on_after(patience):
            return await self.next_event()
        raise AssertionError(f"{what} was expected, but nothing came for {patience:g} seconds")

    async def next_event(self) -> Event | None:
        """Return the next header, element or footer; None at the end of the link. Cancelling loses nothing."""
        while True:
            event, self._unread, error = self._framing.feed_one(self._unread)
            if event is not None:
                return event
            if error is not None:
                raise AssertionError(f"the other side sent data that is not XMPP: {error}")
            try:
                self._unread = bytes(await self.wire.receive_some(65536))
            except trio.BrokenResourceError:
                return None
            if not self._unread:
                return None


def describe(event: Event | None) -> str:
    """Return the action of the other side, as part of a sentence."""
    if event is None:
        return "the other side closed the link"
    if isinstance(event, StreamFooter):
        return "the other side ended the stream"
    if isinstance(event, StreamHeader):
        return f"the other side began a stream: {event}"
    if isinstance(event, Skipped):
        return f"the other side sent an element that is not accepted: {event}"
    return f"the other side sent {xml.serialise(event)}"
