"""Messages of a WebSocket as a client writes them (RFC 6455 §5.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["text_frames"]


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
