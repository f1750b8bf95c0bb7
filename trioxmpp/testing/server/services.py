"""The door for services: IQ requests that the server itself answers, and what disco#info says of it.

A request for the domain, or for the bare JID of an account, is answered here and never reaches a client
(RFC 6121 §8.5.2). Services of the server are users of this door, and so are tests:

- `Services.add` registers a function by the tag of the payload; the server's own services use it.
- `Services.answer` registers one by a typed class: ``Get[Report]`` says kind, tag and answer.

Both may raise `XMPPError`. A function that has to say more after the result calls `Request.reply` itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import trio

from ... import xml
from ...errors import ErroneousStanza, StanzaCondition, XMPPCancelError, XMPPError, XMPPModifyError
from ...protocol.stanza import IQ, IQType, parse_stanza
from .account import Account
from .dialect import Dialect
from .session import ServerSession
from .stanzas import child_tag, error_for, result_for

__all__ = ["At", "Features", "Request", "Services"]

At: TypeAlias = Literal["domain", "account", "others", "unknown"]
"""The addressee of a request: the server, the sender's own account, that of another user, or none that exists."""

Handler: TypeAlias = "Callable[[Request], xml.Element | None]"
Answerer: TypeAlias = Callable[[IQ], Any]

#: The requests of the server that wait for an answer, at most; the oldest is forgotten.
MAX_EXPECTED = 1000

EVERYWHERE: tuple[At, ...] = ("domain", "account", "others")


@dataclass(slots=True)
class Features:
    """The answer of disco#info (XEP-0030) for one address. Tests may change it at any time."""

    identities: list[tuple[str, str, str | None]]
    """Category, type and name of each identity."""
    features: list[str] = field(default_factory=list)
    """Names of features, most of them namespaces."""
    items: list[tuple[str, str | None]] = field(default_factory=list)
    """JID and name of each item."""
    forms: list[xml.Element] = field(default_factory=list)
    """Extended information (XEP-0128)."""


class AddressFeatures:
    """The answers of disco#info for the two kinds of addresses of a domain."""

    def __init__(self, software: str) -> None:
        self.domain: Features = Features([("server", "im", software)])
        """The answer for the server."""
        self.account: Features = Features([("account", "registered", None)])
        """The answer for each account."""


class Request:
    """A request on its way to the function that answers it."""

    def __init__(
        self,
        stanza: xml.Element,
        at: At,
        account: Account | None,
        session: ServerSession | None,
        dialect: Dialect,
        send: Callable[[xml.Element], object],
    ) -> None:
        self.stanza = stanza
        self.payload: xml.Element = stanza[0]
        """The one child."""
        self.kind: str = stanza.get("type", "")
        """"get" or "set"."""
        self.at: At = at
        self.account = account
        """The account that is asked; None for the server."""
        self.session = session
        """The session that asks. None if a component does."""
        self.sender: str = stanza.get("from", "")
        """The full JID that asks."""
        self.replied: bool = False
        """Whether the request has its answer."""
        self._dialect = dialect
        self._send = send

    @property
    def _from(self) -> str | None:
        if (to := self.stanza.get("to")) is not None:
            return to
        return self.account.jid if self.account is not None and self._dialect.signs_for_account else None

    def reply(self, payload: xml.Element | None = None) -> None:
        """Send the result, now."""
        self.replied = True
        self._send(result_for(self.stanza, payload, from_=self._from))

    def refuse(self, error: XMPPError, *, echo: bool = False) -> None:
        """Send the error, now. With `echo`, it repeats the payload whatever the dialect."""
        self.replied = True
        echo = echo or self._dialect.echoes_request
        self._send(
            error_for(
                self.stanza, error.condition, error.TYPE, from_=self._from, echo=echo,
                text=error.text, application=error.application,
            )
        )  # fmt: skip


class Services:
    """The functions that answer requests, by place, kind and tag."""

    def __init__(self, nursery: trio.Nursery, dialect: Dialect) -> None:
        self.features: AddressFeatures = AddressFeatures(dialect.software)
        """The answers of disco#info for the server and for each account."""
        self._nursery = nursery
        self._handlers: dict[tuple[At, str, str], Handler] = {}
        self._offers: list[tuple[At, Callable[[], list[str]]]] = []
        self._items: dict[str, Callable[[Request], list[tuple[str, str | None, str | None]]]] = {}
        self._expected: dict[tuple[str, str], Callable[[xml.Element], None]] = {}

    def add(self, kind: Literal["get", "set"], tag: str, handler: Handler, *at: At) -> None:
        """Have `handler` answer requests with this payload; `at` these places. A later one replaces an earlier one."""
        for place in at:
            self._handlers[place, kind, tag] = handler

    def answer(self, payload_cls: type[Any], function: Answerer, at: tuple[At, ...] = EVERYWHERE) -> None:
        """Have `function` answer requests with a payload of this class, a ``Get[...]`` or a ``Set[...]``.

        It gets the `IQ` and returns the payload of the result, or None, or an awaitable for it, which the server
        awaits in a task of its own. The `XMPPError` that it raises is the answer.
        """
        tag, kind = xml.tag_of(payload_cls), payload_cls.IQ_TYPE
        iq_type: Literal["get", "set"] = "get" if kind is IQType.GET else "set"

        def handler(request: Request) -> xml.Element | None:
            answer = function(_typed(request, payload_cls))
            if isinstance(answer, Awaitable):
                request.replied = True  # the task does it
                self._nursery.start_soon(_await_answer, request, answer)
                return None
            return _element(answer)

        self.add(iq_type, tag, handler, *at)

    def offer(self, at: Literal["domain", "account"], features: Callable[[], list[str]]) -> None:
        """Have disco#info say these features, too, as they are at the time of the question."""
        self._offers.append((at, features))

    def offered(self, at: At) -> list[str]:
        """Return the features that were given by `offer`."""
        return [feature for place, features in self._offers if place == at for feature in features()]

    def serve_items(self, node: str, items: Callable[[Request], list[tuple[str, str | None, str | None]]]) -> None:
        """Have disco#items for this node answered with `items`: JID, name and node of each."""
        self._items[node] = items

    def has_items(self, node: str) -> bool:
        """Return whether there are items for that node."""
        return node in self._items

    def items_of(self, node: str, request: Request) -> list[tuple[str, str | None, str | None]]:
        """Return the items of that node."""
        return self._items[node](request)

    def expect(self, sender: str, id: str, heard: Callable[[xml.Element], None]) -> None:
        """Have `heard` called with the reply to a request that the server itself sent to the full JID `sender`."""
        while len(self._expected) >= MAX_EXPECTED:
            del self._expected[next(iter(self._expected))]
        self._expected[sender, id] = heard

    def hear(self, reply: xml.Element) -> bool:
        """Pass on the reply to a request of the server; return whether it was one."""
        heard = self._expected.pop((reply.get("from", ""), reply.get("id", "")), None)
        if heard is not None:
            heard(reply)
        return heard is not None

    def handle(self, request: Request) -> None:
        """Answer `request`, by an error if nothing is registered for it (RFC 6120 §8.4)."""
        handler = self._handlers.get((request.at, request.kind, str(child_tag(request.stanza))))
        try:
            if handler is None:
                raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
            payload = handler(request)
        except XMPPError as error:
            request.refuse(error)
            return
        if not request.replied:
            request.reply(payload)


async def _await_answer(request: Request, answer: Awaitable[Any]) -> None:
    try:
        payload = _element(await answer)
    except XMPPError as error:
        request.refuse(error)
    else:
        request.reply(payload)


def _typed(request: Request, payload_cls: type[Any]) -> IQ:
    try:
        iq = parse_stanza(request.stanza)
        assert isinstance(iq, IQ)
        iq.payload = xml.parse(payload_cls, request.payload)
    except (ErroneousStanza, ValueError) as exc:
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST, str(exc)) from exc
    return iq


def _element(answer: Any) -> xml.Element | None:
    return None if answer is None else xml.fromstring(xml.serialise(answer, ""))
