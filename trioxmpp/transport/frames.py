"""Messages of a WebSocket: as a client writes them, and the usual ones that a server writes (RFC 6455 §5.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

__all__ = ["TextFrames", "text_frames"]

# The first octet of a message in one frame; opcodes, and the values of the second octet that announce a longer length.
_TEXT: Final = 0x81
_CONTINUATION: Final = 0x0
_MESSAGES: Final = (0x1, 0x2)
_PING_PONG: Final = (0x9, 0xA)
_TWO_OCTETS: Final = 126
_EIGHT_OCTETS: Final = 127


def text_frames(messages: Sequence[bytes]) -> bytes:
    """Each of `messages`, which are UTF-8, in a frame of its own, one after the other."""
    keys = os.urandom(4 * len(messages))  # one for each, and none that could be guessed (§5.3)
    pieces: list[bytes] = []
    for index, message in enumerate(messages):
        length = len(message)
        if length < 126:
            header = bytes((0x81, 0x80 | length))
        elif length < 1 << 16:
            header = b"\x81\xfe" + length.to_bytes(2, "big")
        else:
            header = b"\x81\xff" + length.to_bytes(8, "big")
        key = keys[4 * index : 4 * index + 4]
        # As numbers: there is no faster way to combine the bits of octets.
        mask = int.from_bytes((key * (length // 4 + 1))[:length], "big")
        pieces += (header, key, (int.from_bytes(message, "big") ^ mask).to_bytes(length, "big"))
    return b"".join(pieces)


class TextFrames:
    """Takes the usual messages out of what a server sends: text, in one frame of at most 65,535 octets.

    All else is passed on as it is, to what reads WebSockets by the book: fragments, control frames, larger messages,
    binary ones, and what breaks a rule. A message that is passed on has its place among the others: it is None in the
    list of them, at the latest when its first octets are passed on. So is whatever ends the WebSocket.

    `longest` bounds the octets of a message that is taken; one that has not come as a whole is kept until then.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._unread = b""
        self._passing = 0  # octets that are still to be passed on, of the frame that is
        self._in_fragments = False  # whether a message has begun and not ended
        self._over = False  # whether a frame ends the WebSocket: from there on, all is passed on

    def feed(self, data: bytes) -> None:
        """Add what the server sent."""
        self._unread += data

    def read(self) -> tuple[list[bytes | None], bytes]:
        """Return messages in order, and octets of one frame to pass on behind them; none, if more has to come first.

        To be called until it returns no octets. The messages are UTF-8.
        """
        messages: list[bytes | None] = []
        data, position, end = self._unread, 0, len(self._unread)
        while not (self._passing or self._over) and end - position >= 2:
            body, length = position + 2, data[position + 1]
            if length == _TWO_OCTETS:
                body += 2
                length = int.from_bytes(data[position + 2 : body])
            if body > end:
                break
            usual = data[position] == _TEXT and not self._in_fragments and length <= self._longest
            if usual and data[position + 1] <= _TWO_OCTETS and (length >= _TWO_OCTETS) is (body - position == 4):
                if body + length > end:
                    break
                message = data[body : body + length]
                if message.isascii() or _is_utf8(message):
                    messages.append(message)
                    position = body + length
                    continue
            if not self._pass_on(data, position, messages):
                break
        size = end - position if self._over else min(self._passing, end - position)
        self._passing -= min(size, self._passing)
        self._unread = data[position + size :]
        return messages, data[position : position + size]

    def _pass_on(self, data: bytes, position: int, messages: list[bytes | None]) -> bool:
        """Decide what the frame at `position` is that is not usual; False if its head has not come as a whole."""
        # An opcode includes the reserved bits: with one of them set, it is unknown.
        opcode, is_final = data[position] & 0x7F, data[position] & 0x80
        is_masked, length = data[position + 1] & 0x80, data[position + 1] & 0x7F
        begins = opcode in _MESSAGES and not self._in_fragments
        goes_on = opcode == _CONTINUATION and self._in_fragments
        if is_masked or not (begins or goes_on or (opcode in _PING_PONG and is_final and length < _TWO_OCTETS)):
            messages.append(None)
            self._over = True
            return True
        body = position + 2 + {_TWO_OCTETS: 2, _EIGHT_OCTETS: 8}.get(length, 0)
        if body > len(data):
            return False
        if body > position + 2:
            length = int.from_bytes(data[position + 2 : body])
        if begins:
            messages.append(None)
        if begins or goes_on:
            self._in_fragments = not is_final
        self._passing = body - position + length
        return True


def _is_utf8(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
