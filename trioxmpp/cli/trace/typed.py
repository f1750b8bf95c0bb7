"""XML that a person types: read without blocking other tasks, line by line, until a stanza is complete."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from typing import Protocol
from xml.parsers import expat

import trio

from ... import xml
from ...errors import ElementError, ErroneousStanza
from ...protocol import ns
from ...protocol.stanza import IQ, Message, Presence, parse_stanza

__all__ = ["Incomplete", "Lines", "StandardInput", "TypedError", "read_stanza"]

#: Octets of the longest stanza that can be typed.
MAX_TYPED = 1 << 18


class TypedError(ValueError):
    """The text is not a stanza."""


class Incomplete(ValueError):
    """The text is the beginning of a stanza."""


class Lines(Protocol):
    """A place that lines come from."""

    async def line(self) -> str | None:
        """Wait for the next line; None at the end."""
        ...


class StandardInput:
    """The lines of standard input.

    Python's own file is not used: a thread that waits in it when the process ends would crash the interpreter. The
    descriptor stays in blocking mode, since a terminal shares that with other processes.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._pending = b""
        self._has_ended = False

    async def line(self) -> str | None:
        """Wait for the next line; None at the end. Cancelling loses nothing, but on Windows one line."""
        await trio.lowlevel.checkpoint()
        while b"\n" not in self._pending and not self._has_ended:
            data = await self._read()
            self._pending += data
            self._has_ended = not data or len(self._pending) > MAX_TYPED
        line, newline, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace") if line or newline else None

    async def _read(self) -> bytes:
        if os.name != "posix":
            return await trio.to_thread.run_sync(os.read, self._descriptor, 4096, abandon_on_cancel=True)
        try:
            await trio.lowlevel.wait_readable(self._descriptor)
        except OSError as exc:
            if exc.errno != errno.EPERM:  # a regular file, which is always readable
                raise
        return os.read(self._descriptor, 4096)


def read_stanza(text: str) -> Message | Presence | IQ:
    """Return the stanza that was typed; its namespace and its id need not be given.

    Raises Incomplete if more has to come, TypedError if it is not a stanza.
    """
    if len(text) > MAX_TYPED:
        raise TypedError(f"longer than {MAX_TYPED:,} characters")
    _check_complete(text)
    try:
        around = xml.fromstring(f"<x xmlns='{ns.CLIENT}'>{text}</x>")
        if len(around) != 1:
            raise TypedError("one stanza at a time")
        if not around[0].get("id"):
            around[0].set("id", secrets.token_urlsafe(9))  # an IQ must have one, and each answer names it
        stanza = parse_stanza(around[0])
    except (ElementError, ErroneousStanza, ValueError) as exc:
        raise TypedError(str(exc)) from exc
    if stanza is None:
        raise TypedError("only <message/>, <presence/> and <iq/> can be sent by hand")
    return stanza


def _check_complete(text: str) -> None:
    """Raise Incomplete if an element is open at the end, TypedError if it cannot be XML."""
    depth = elements = 0

    def opened(*_: object) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1

    def closed(*_: object) -> None:
        nonlocal depth
        depth -= 1

    text = text.strip()
    if text and not text.startswith("<"):  # which expat says only when more comes
        raise TypedError("a stanza begins with <")
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    try:
        parser.Parse(text, False)
    except expat.ExpatError as exc:
        raise TypedError(expat.errors.messages.get(exc.code, "no XML")) from exc
    if depth or not elements:
        raise Incomplete
