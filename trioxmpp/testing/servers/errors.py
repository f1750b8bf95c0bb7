"""The error of real servers."""

from __future__ import annotations

__all__ = ["ServerError"]


class ServerError(RuntimeError):
    """A real server is not installed, or did not start. The text has the end of its log."""
