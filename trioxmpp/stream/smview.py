"""The state of stream management as attributes of the stream, by their names in the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..protocol.sm import StreamManagement
from .session import Sent, Session
from .token import StanzaToken

__all__ = ["SMView"]

T = TypeVar("T")


class _SMAttribute(Generic[T]):
    """An attribute that exists only while stream management is on; reading it raises RuntimeError otherwise."""

    def __init__(self, read: Callable[[StreamManagement[Sent]], T], doc: str) -> None:
        self._read = read
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, stream: SMView | None, owner: type | None = None) -> T:
        if stream is None:
            result: Any = self  # what documentation tools look at
            return result  # type: ignore[no-any-return]
        management = stream._session.sm
        if management is None:
            raise RuntimeError(f"{self._name}: stream management is not enabled")
        return self._read(management)

    def __set__(self, stream: SMView, value: object) -> None:
        raise AttributeError(f"{self._name} is read-only")


class SMView:
    """What a `StanzaStream` tells about stream management (XEP-0198)."""

    @property
    def _session(self) -> Session:
        raise NotImplementedError

    @property
    def sm_enabled(self) -> bool:
        """Whether stream management is on. While it is off, the other sm attributes raise RuntimeError."""
        return self._session.sm is not None

    sm_outbound_base = _SMAttribute(lambda sm: sm.base, "The last count of stanzas that the server reported.")
    sm_inbound_ctr = _SMAttribute(lambda sm: sm.handled, "How many stanzas we handled, modulo 2**32.")
    sm_unacked_count = _SMAttribute(lambda sm: len(sm.unacked), "How many stanzas are sent but not acknowledged.")
    sm_id = _SMAttribute(lambda sm: sm.granted.id, "The id by which the server knows the session, or None.")
    sm_max = _SMAttribute(lambda sm: sm.granted.max, "For how many seconds the server keeps a lost session, or None.")
    sm_location = _SMAttribute(
        lambda sm: sm.granted.location, "Host and port (or None) where the server prefers us to resume, or None."
    )
    sm_resumable = _SMAttribute(lambda sm: sm.resumable, "Whether the server lets us resume the session.")
    sm_unacked_list: _SMAttribute[list[StanzaToken]] = _SMAttribute(
        lambda sm: [token for token, _ in sm.unacked], "A copy of the list of tokens that are not acknowledged yet."
    )
