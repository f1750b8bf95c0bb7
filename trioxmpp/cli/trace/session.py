"""The session that is traced, and the stanzas that are sent in it by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

from ... import IQ, Client, Event, IQType, Message, Presence
from ...client.events import in_words
from ...errors import StanzaError
from ...stream.bare import bare
from ..account import Account, network_errors_told
from ..errors import OutputClosed
from .printer import Line, Printer
from .typed import Incomplete, Lines, TypedError, read_stanza

__all__ = ["trace"]

#: Seconds for the answers to the requests that were sent by hand, when the input has ended.
ANSWERED_WITHIN = 10.0


async def trace(account: Account, printer: Printer, lines: Lines | None, *, hint: str | None = None) -> None:
    """Log in, and print all that is sent and received; send what `lines` give, until they end.

    `hint` is printed when the first line can be given. Without `lines` it goes on until it is cancelled, which logs
    out. Raises a CommandError if there is no session.
    """
    await _Trace(printer, hint).run(account, lines)


class _Trace:
    """One run of the command."""

    def __init__(self, printer: Printer, hint: str | None) -> None:
        self._printer = printer
        self._hint = hint
        self._began = trio.current_time()
        self._scope = trio.CancelScope()
        self._is_output_closed = False

    async def run(self, account: Account, lines: Lines | None) -> None:
        """See `trace`."""
        with network_errors_told(), self._scope:
            async with account.connect(trace=self._show, services=[self._hears_events]) as client:
                if lines is None:
                    await trio.sleep_forever()
                else:
                    await self._send_typed(client, lines)
        if self._is_output_closed:
            raise OutputClosed

    def _show(self, kind: Line, text: str) -> None:
        """Print a line. The stream calls this, which logs our exceptions: so this cancels the command instead."""
        try:
            self._printer(kind, trio.current_time() - self._began, text)
        except OutputClosed:
            self._is_output_closed = True
            self._scope.cancel(reason="the reader of the output has left")

    @asynccontextmanager
    async def _hears_events(self, client: Client) -> AsyncIterator[None]:
        def hear(event: Event) -> None:
            self._show("note", in_words(event))

        with client.on_event.context_connect(hear):
            yield

    async def _send_typed(self, client: Client, lines: Lines) -> None:
        if self._hint is not None:
            self._show("note", self._hint)
        typed = ""
        with bare():
            async with trio.open_nursery() as nursery:
                while (line := await lines.line()) is not None:
                    typed += line + "\n"
                    try:
                        stanza = read_stanza(typed)
                    except Incomplete:
                        if line.strip():
                            continue
                        if typed.strip():
                            self._show("note", "given up: the stanza was not complete")
                    except TypedError as exc:
                        self._show("note", f"not sent: {exc}")
                    else:
                        self._send(client, stanza, nursery)
                    typed = ""
                nursery.cancel_scope.deadline = trio.current_time() + ANSWERED_WITHIN
        with trio.move_on_after(ANSWERED_WITHIN):
            await client.drain()

    def _send(self, client: Client, stanza: Message | Presence | IQ, nursery: trio.Nursery) -> None:
        """Send a stanza. The answer to a request is waited for in `nursery`."""
        if isinstance(stanza, IQ) and stanza.type in (IQType.GET, IQType.SET):
            nursery.start_soon(self._request, client, stanza)
            return
        try:
            client.enqueue(stanza)
        except (ValueError, ConnectionError, RuntimeError) as exc:
            self._show("note", f"not sent: {exc}")

    async def _request(self, client: Client, iq: IQ) -> None:
        """Send a request, and wait for the answer, which the trace shows."""
        try:
            with suppress(StanzaError):
                await client.send(iq)
        except (ValueError, ConnectionError, RuntimeError) as exc:
            self._show("note", f"not sent, or not answered: {exc}")
