"""Our features and identities, as others learn them by service discovery (XEP-0030).

Services and applications enter features, identities and forms for as long as a block of theirs runs. The ledger answers
disco#info and disco#items from the first session on; and, since every client should, it answers a ping (XEP-0199), and
asks for name and version (XEP-0092) and for the time (XEP-0202), unless the application has a handler of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ..errors import StanzaCondition, XMPPCancelError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.disco import Identity, Info, InfoQuery, Item, Items, ItemsQuery
from ..protocol.elements.entity_time import Time, TimeQuery
from ..protocol.elements.forms import DataForm
from ..protocol.elements.ping import Ping
from ..protocol.elements.version import Version, VersionQuery
from ..protocol.stanza import IQ, IQType
from ..stream.inbound.requests import RequestHandlers
from ..stream.signal import Signal

__all__ = ["DEFAULT_IDENTITY", "Offers"]

Describe = Callable[[JID], Info]
List = Callable[[JID], Sequence[Item]]

DEFAULT_IDENTITY = Identity(category="client", type="bot")

_ALWAYS = (
    ns.DISCO_INFO,
    "http://jabber.org/protocol/disco#items",
    "jabber:iq:version",
    "urn:xmpp:ping",
    "urn:xmpp:time",
)

#: How many earlier states are answered for: another client may ask about the capabilities that it has just seen.
REMEMBERED = 3


class Offers:
    """The ledger of features, identities and forms of one client. Calling it enters something for a block."""

    def __init__(self, identity: Identity, software: Version) -> None:
        self.on_change: Signal[()] = Signal()
        """Emitted after each change."""
        self.version: int = 0
        """Grows with each change."""
        self._features: dict[str, int] = {}
        self._identities: list[Identity] = [identity]
        self._forms: list[DataForm] = []
        self._described: dict[str, Describe] = {}
        self._listed: dict[str, List] = {}
        self._states: list[tuple[tuple[str, ...], Info]] = []
        """Earlier answers, each with the nodes by which it was announced; the newest last."""
        self._software = software

    def answer(self, requests: RequestHandlers, *, at: JID | None = None) -> None:
        """Answer by `requests`, for as long as that exists; with `at`, only what is asked of that address of ours."""
        handlers: dict[type[Any], Callable[[IQ], Any]] = {
            InfoQuery: self._answer_info,
            ItemsQuery: self._answer_items,
            Ping: _answer_ping,
            TimeQuery: _answer_time,
            VersionQuery: self._answer_software,
        }
        for query, handler in handlers.items():
            requests.fallback(IQType.GET, query, handler if at is None else _only_at(at, handler))
        self._features.update(dict.fromkeys(_ALWAYS, 1))

    @contextmanager
    def __call__(
        self, *features: str, identity: Identity | None = None, form: DataForm | None = None
    ) -> Iterator[None]:
        """A block during which we have these features, and this identity and form. The same may be entered twice."""
        for feature in features:
            self._features[feature] = self._features.get(feature, 0) + 1
        if identity is not None:
            self._identities.append(identity)
        if form is not None:
            self._forms.append(form)
        self._changed()
        try:
            yield
        finally:
            for feature in features:
                self._features[feature] -= 1
                if not self._features[feature]:
                    del self._features[feature]
            if identity is not None:
                self._identities.remove(identity)
            if form is not None:
                self._forms.remove(form)
            self._changed()

    @contextmanager
    def node(self, node: str, *, info: Describe | None = None, items: List | None = None) -> Iterator[None]:
        """A block during which `node` has this answer to disco#info, and these items.

        Both functions are called with the address of the requester, and may raise `XMPPError`. Without `info`, the node
        is not described; without `items`, it lists nothing. ValueError if the node is taken.
        """
        if node in self._described or node in self._listed:
            raise ValueError(f"the node {node} is taken")
        if info is not None:
            self._described[node] = info
        self._listed[node] = items or _no_items
        try:
            yield
        finally:
            self._described.pop(node, None)
            del self._listed[node]

    @property
    def info(self) -> Info:
        """The answer to disco#info now, without a node."""
        return Info.of(sorted(self._features), self._identities, forms=self._forms)

    def remember(self, *nodes: str) -> None:
        """Answer questions for these nodes with what we offer now (XEP-0115 §6.2, XEP-0390 §6.1).

        At most `REMEMBERED` states are kept, each with all of its nodes.
        """
        self._states = [state for state in self._states if state[0] != nodes]
        self._states.append((nodes, self.info))
        del self._states[:-REMEMBERED]

    def _changed(self) -> None:
        self.version += 1
        self.on_change.emit()

    def _answer_info(self, iq: IQ) -> Info:
        query: Any = iq.payload
        if query.node is None:
            return self.info
        describe = self._described.get(query.node)
        if describe is not None and iq.from_ is not None:
            return describe(iq.from_)
        info = next((info for nodes, info in self._states if query.node in nodes), None)
        if info is None:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        return Info.of(
            [feature.var for feature in info.feature_elements], info.identities, node=query.node, forms=info.forms
        )

    def _answer_items(self, iq: IQ) -> Items:
        query: Any = iq.payload
        if query.node is None:
            return Items()
        listed = self._listed.get(query.node)
        if listed is None or iq.from_ is None:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        return Items(node=query.node, items=tuple(listed(iq.from_)))

    def _answer_software(self, iq: IQ) -> Version:
        return self._software


def _no_items(requester: JID) -> Sequence[Item]:
    return ()


def _only_at(address: JID, handler: Callable[[IQ], Any]) -> Callable[[IQ], Any]:
    """Return a handler that knows nothing of our other addresses: which of them exist is for the application to say."""

    def answer(iq: IQ) -> Any:
        if iq.to != address:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return handler(iq)

    return answer


def _answer_ping(iq: IQ) -> None:
    """Answer a ping with an empty result (XEP-0199 §4)."""


def _answer_time(iq: IQ) -> Time:
    # In UTC: the offset would tell where we are (XEP-0202 §5).
    return Time(tzo=UTC, utc=datetime.now(UTC))
