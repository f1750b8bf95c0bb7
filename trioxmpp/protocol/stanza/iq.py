"""IQs: requests and their answers (RFC 6120 §8.2.3)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, overload

from ... import xml
from ...errors import XMPPError
from ...jid import JID
from .base import Stanza
from .request import Get, Set
from .types import IQType

__all__ = ["IQ", "ReplyKey", "reply_key"]

#: The peer that answers, and the id (RFC 6120 §8.1.3).
ReplyKey = tuple[JID | None, str, JID | None]

_ERROR, _RESULT = IQType.ERROR, IQType.RESULT
_REQUESTS = (IQType.GET, IQType.SET)


class IQ(Stanza):
    """A request or its answer (RFC 6120 §8.2.3).

    `payload` is the one child of a request, the child of a result or None, and None for an error.
    """

    __slots__ = ("type",)
    NAME: ClassVar[str] = "iq"
    TYPES: ClassVar[type[enum.Enum]] = IQType
    KINDS: ClassVar[Mapping[str | None, Any]] = {member.value: member for member in IQType}
    NEEDS_ID: ClassVar[bool] = True
    type: IQType

    @overload
    def __init__(
        self,
        *,
        type: Literal[IQType.GET],
        payload: Get[Any] | xml.Element,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        type: Literal[IQType.SET],
        payload: Set[Any] | xml.Element,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        type: Literal[IQType.RESULT],
        payload: xml.Declared | xml.Element | None = None,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        type: IQType,
        payload: None = None,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
        error: XMPPError | None = None,
    ) -> None: ...
    def __init__(
        self,
        *,
        type: IQType,
        payload: Any = None,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
        error: XMPPError | None = None,
    ) -> None:
        if type.__class__ is not IQType:
            raise TypeError(f"type must be an IQType, not {type!r}")
        payloads = () if payload is None else (payload,)
        Stanza.__init__(self, to, from_, id, lang, payloads, error)
        self.type = type

    @classmethod
    def request(
        cls,
        payload: Get[Any] | Set[Any],
        *,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
    ) -> IQ:
        """Return the request with this payload: a get or a set, as its class says.

        Raises TypeError unless that class derives from `Get` or `Set`.
        """
        kind: Any = getattr(payload, "IQ_TYPE", None)
        if kind is None:
            raise TypeError(f"{payload!r:.200} is no request: it derives neither from Get[...] nor from Set[...]")
        return IQ(type=kind, payload=payload, to=to, from_=from_, id=id)

    @property
    def payload(self) -> Any:
        """The payload: a typed object, XML not yet parsed, or None. That of an error is None (RFC 6120 §8.3.1)."""
        payloads = self.payloads
        return payloads[0] if payloads and self.type is not _ERROR else None

    @payload.setter
    def payload(self, value: Any) -> None:
        self.payloads = [] if value is None else [value]

    def make_result(self, payload: Any = None) -> IQ:
        """Return the result that answers this request. Raises ValueError if this IQ is not a request."""
        self._refuse_answer()
        return IQ(to=self.from_, from_=self.to, id=self.id, type=IQType.RESULT, payload=payload)

    def make_error(self, error: XMPPError) -> IQ:
        """Return the error that answers this request. Raises ValueError if this IQ is not a request."""
        self._refuse_answer()
        return IQ(to=self.from_, from_=self.to, id=self.id, type=IQType.ERROR, error=error)

    def _refuse_answer(self) -> None:
        if self.type not in _REQUESTS:
            raise ValueError(f"an IQ of type {self.type.value} must not be answered (RFC 6120 §8.2.3)")

    def validate(self) -> int:
        """Check that this IQ may be sent and can be written, as `Stanza.validate` does."""
        size = super().validate()
        number = len(self._payloads or ())
        if self.type in _REQUESTS and number != 1:
            raise ValueError("an IQ of type get or set has exactly one payload (RFC 6120 §8.2.3)")
        if self.type is _RESULT and number > 1:
            raise ValueError("an IQ of type result has at most one payload (RFC 6120 §8.2.3)")
        return size


def reply_key(peer: JID | None, id: str, local_jid: JID | None, own: JID | None = None) -> ReplyKey:
    """Return the key that a request *to* `peer` and its reply *from* `peer` share, and that no other reply has.

    `own` is the address of ours that asks, and that the reply is *to*, where many share a stream: a component's.

    Only our own bare JID and an absent address are aliases: a server may answer a request to either with either
    (RFC 6120 §8.1.2.1). Our own full JID, our server's domain and all other addresses stand for themselves.
    """
    # Part by part: to compare two addresses costs several times as much.
    if (
        peer is not None
        and peer.resource is None
        and local_jid is not None
        and peer.domain == local_jid.domain
        and peer.local == local_jid.local
    ):
        peer = None
    return peer, id, own
