"""Faults of a link, as a plan, and a stream that carries the plan out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import trio

__all__ = ["Direction", "Faults", "FaultyStream"]

Direction: TypeAlias = Literal["in", "out", "both"]
"""A direction as the server sees it: bytes of the client come *in*, bytes for the client go *out*."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """The faults of a link. The default has none.

    Give it to all later links, ``server.faults = Faults(delay=0.2)``, or to the next one only,
    ``server.plan(Faults(cut_in=500))``. The methods of `Link` harm a link that exists.

    Directions are the server's: *in* is from the client. Bytes are counted in XML, so that a cut lies in the middle
    of a stanza even under TLS; with `below_tls` they are counted on the wire. Seconds are on trio's clock.
    """

    cut_in: int | None = None
    """The link breaks when this many bytes have come in. These are handled, but nothing answers the last of them."""
    cut_out: int | None = None
    """The link breaks when this many bytes have gone out, even in the middle of a stanza."""
    abruptly: bool = True
    """Whether a cut is a reset (TCP's RST), or an end (FIN), without a stream footer in either case."""
    black_hole_in: int | None = None
    """After this many bytes, all bytes that come in vanish, and so does the end of the link."""
    black_hole_out: int | None = None
    """After this many bytes, all bytes that go out vanish."""
    delay: float = 0.0
    """The delay of each segment in each direction, in seconds."""
    one_byte: bool = False
    """Every byte is a segment of its own, in both directions."""
    below_tls: bool = False
    """Whether the fields above count bytes on the wire instead of bytes of XML."""

    silent: bool = False
    """The server accepts the link, and never writes to it."""
    garbage: bytes | None = None
    """Bytes to write once, right before the first output of the server after `garbage_after` bytes."""
    garbage_after: int = 0
    refuse_tls: bool = False
    """STARTTLS is offered and then refused, with ``<failure/>``."""
    refuse_login: str | None = None
    """Every login fails with this condition (RFC 6120 §6.5), for example ``temporary-auth-failure``."""
    refuse_sm: bool = False
    """Stream management is offered, and ``<enable/>`` refused."""
    refuse_resume: Literal["with-h", "without-h", "error"] | None = None
    """A resumption fails and the session is gone. "with-h": as for an expired session, whose count the server
    remembers. "without-h": as for a session that the server does not know. "error": the session stays, and each request
    to resume it ends the stream (*internal-server-error*), also one that came with a login."""


class _Course:
    """The faults of one direction of a stream, by the number of bytes that have passed."""

    def __init__(self, cut: int | None = None, hole: int | None = None) -> None:
        self.passed = 0
        self.cut = math.inf if cut is None else cut
        self.hole = math.inf if hole is None else hole
        self.stalled = False

    @property
    def swallowed(self) -> bool:
        return self.passed >= self.hole

    @property
    def over(self) -> bool:
        return self.passed >= self.cut

    def admit(self, data: bytes) -> bytes:
        """Count `data`, and return the part that gets through."""
        end = min(self.cut, self.hole) - self.passed
        self.passed = int(min(self.passed + len(data), self.cut))
        return data if end >= len(data) else data[: max(0, int(end))]


class FaultyStream(trio.abc.Stream):
    """A stream with faults, by a plan or on demand.

    `cut` is called without arguments when the plan breaks the link; it must break it.
    """

    def __init__(self, stream: trio.abc.Stream, faults: Faults, cut: Callable[[], None]) -> None:
        self._stream = stream
        self._cut = cut
        self._delay = faults.delay
        self._one_byte = faults.one_byte
        self._garbage = faults.garbage
        self._garbage_after = faults.garbage_after
        self._in = _Course(faults.cut_in, faults.black_hole_in)
        self._out = _Course(faults.cut_out, faults.black_hole_out)

    @property
    def received(self) -> int:
        """The number of bytes that have come in, including those that a black hole swallowed."""
        return self._in.passed

    @property
    def sent(self) -> int:
        """The number of bytes that have gone out, including those that a black hole swallowed."""
        return self._out.passed

    @property
    def mute(self) -> bool:
        """Whether nothing gets out, not even the end of the link."""
        return self._out.swallowed

    def put_on(self, stream: trio.abc.Stream) -> None:
        """Continue on another stream underneath: the same one with TLS on it."""
        self._stream = stream

    def black_hole(self, direction: Direction) -> None:
        """From now on all bytes in that direction vanish. There is no way back: TCP never loses bytes in the middle."""
        for course in self._courses(direction):
            course.hole = course.passed

    def cut_after(self, count: int, direction: Direction) -> None:
        """Break, as by the plan, when `count` more bytes have passed in that direction; 0 means 1."""
        for course in self._courses(direction):
            course.cut = course.passed + max(count, 1)

    def stall(self, direction: Direction) -> None:
        """From now on nothing is read or written in that direction; the buffers in between fill up."""
        for course in self._courses(direction):
            course.stalled = True

    def _courses(self, direction: Direction) -> list[_Course]:
        return {"in": [self._in], "out": [self._out], "both": [self._in, self._out]}[direction]

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream.receive_some`."""
        while True:
            if self._in.over:
                self._break()
            try:
                await self._wait_out(self._in)
                data = bytes(await self._stream.receive_some(1 if self._one_byte else max_bytes))
            except trio.BrokenResourceError:
                if not self._in.swallowed:
                    raise
                data = b""
            if not data:
                if self._in.swallowed:
                    await trio.sleep_forever()
                return data
            await self._wait_out(self._in)  # the test may have stalled the link meanwhile
            if self._delay:
                await trio.sleep(self._delay)
            if data := self._in.admit(data):
                return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream.send_all`."""
        whole = bytes(data)
        if self._garbage is not None and self._out.passed >= self._garbage_after:
            whole, self._garbage = self._garbage + whole, None
        step = 1 if self._one_byte else max(len(whole), 1)
        for segment in [whole[i : i + step] for i in range(0, max(len(whole), 1), step)]:
            await self._wait_out(self._out)
            if self._delay:
                await trio.sleep(self._delay)
            admitted = self._out.admit(segment)
            if admitted or not segment:  # sending nothing on a closed stream is an error, too
                await self._stream.send_all(admitted)
            if self._out.over:
                self._break()
        await trio.lowlevel.checkpoint()

    async def _wait_out(self, course: _Course) -> None:
        if course.stalled:
            await trio.sleep_forever()

    def _break(self) -> None:
        self._cut()
        raise trio.BrokenResourceError("the link was cut, as planned")

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream.wait_send_all_might_not_block`."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream underneath."""
        await self._stream.aclose()
