"""What goes wrong with a real server."""

from __future__ import annotations

__all__ = ["ServerError"]


class ServerError(RuntimeError):
    """A real server is not installed, or did not start; says what its log says."""
