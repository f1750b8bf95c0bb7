"""Ids that an attacker cannot guess."""

from __future__ import annotations

import os
import re
import secrets

__all__ = ["new_id"]

_BYTES, _AT_ONCE = 15, 64
_CUT = re.compile(".{20}").findall
_drawn: list[str] = []


def new_id() -> str:
    """Return an id that an attacker cannot guess: 120 random bits, in characters of an NMTOKEN (RFC 6120 §8.1.3)."""
    if not _drawn:
        # One system call for many.
        text = secrets.token_urlsafe(_BYTES * _AT_ONCE)
        _drawn.extend(_CUT(text))
    return _drawn.pop()


if hasattr(os, "register_at_fork"):  # or parent and child would go on with the same ones
    os.register_at_fork(after_in_child=_drawn.clear)
