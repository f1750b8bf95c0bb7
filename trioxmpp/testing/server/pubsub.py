"""Publish-subscribe: personal nodes of accounts (XEP-0163), and a service at a domain of its own (XEP-0060).

Both are a `Board`: an address, with nodes, that answers the same requests. They differ in who may do what, and in who
hears of it; that is in `Personal` and `Public`.
"""

from __future__ import annotations

import copy
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable

from ... import xml
from ...errors import (
    StanzaCondition,
    XMPPAuthError,
    XMPPCancelError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from ...protocol import ns
from .dialect import Dialect
from .forms import form, read_form
from .members import answers_of_members
from .nodes import DEFAULTS, EVENT, PUBSUB, PUBSUB_ERRORS, PUBSUB_OWNER, Node, option
from .services import Request
from .stanzas import build

__all__ = ["Board"]

_ITEM = f"{{{PUBSUB}}}item"
_RETRIEVED = "{http://jabber.org/protocol/rsm}set"


class Board(ABC):
    """The nodes at one address, and the answers to requests about them."""

    def __init__(self, address: str, dialect: Dialect) -> None:
        self.address = address
        self.nodes: dict[str, Node] = {}
        self._dialect = dialect
        self._answers: dict[str, Callable[[Request, xml.Element], xml.Element | None]] = {
            f"set {{{PUBSUB}}}publish": self._publish,
            f"set {{{PUBSUB}}}retract": self._retract,
            f"set {{{PUBSUB}}}create": self._create,
            f"set {{{PUBSUB}}}subscribe": self._subscribe,
            f"set {{{PUBSUB}}}unsubscribe": self._unsubscribe,
            f"get {{{PUBSUB}}}items": self._items,
            f"get {{{PUBSUB_OWNER}}}configure": self._configuration,
            f"set {{{PUBSUB_OWNER}}}configure": self._configure,
            f"set {{{PUBSUB_OWNER}}}delete": self._delete,
            f"set {{{PUBSUB_OWNER}}}purge": self._purge,
            **answers_of_members(self),
        }

    # --- what the two kinds decide

    @abstractmethod
    def may_create(self, sender: str) -> bool:
        """Return whether a bare JID may create nodes."""

    @abstractmethod
    def check_access(self, node: Node, sender: str) -> None:
        """Raise XMPPError if a bare JID may not read a node."""

    @abstractmethod
    def notify(self, node: Node, event: xml.Element, publisher: str | None, *, implicit: bool = True) -> None:
        """Send an event to those that hear of the node; without `implicit` to those only that have subscribed to it."""

    @abstractmethod
    def tell_subscriber(self, jid: str, event: xml.Element) -> None:
        """Send an event to one subscriber."""

    # --- requests

    def answer(self, request: Request) -> xml.Element | None:
        """Answer a request with a ``<pubsub/>``. Raises XMPPError."""
        for action in request.payload:
            if (answer := self._answers.get(f"{request.kind} {action.tag!s}")) is not None:
                return answer(request, action)
        raise XMPPCancelError(StanzaCondition.FEATURE_NOT_IMPLEMENTED)

    def node_of(self, action: xml.Element) -> Node:
        """Return the node that an action names. Raises XMPPError if there is none."""
        if (node := self.nodes.get(action.get("node", ""))) is None:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        return node

    def owned(self, request: Request, action: xml.Element) -> Node:
        """Return the node that an action names. Raises XMPPError unless the sender owns it."""
        node = self.node_of(action)
        if _bare(request) != node.owner:
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        return node

    def _options(self, request: Request, name: str) -> dict[str, str]:
        """Return the settings of a form, by name. Raises XMPPError if the dialect does not know one of them."""
        fields = read_form(request.payload.find(f"{{{PUBSUB}}}{name}"))
        fields.pop("FORM_TYPE", None)
        options = {key.removeprefix("pubsub#"): option(values[0] if values else "") for key, values in fields.items()}
        unknown = options.keys() - self._dialect.node_options
        if unknown and not self._dialect.ignores_options:
            raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, f"Unknown option {min(unknown)!r}")
        return {key: value for key, value in options.items() if key not in unknown}

    # --- publishing

    def _publish(self, request: Request, action: xml.Element) -> xml.Element | None:
        name, sender = action.get("node", ""), _bare(request)
        options = self._options(request, "publish-options")
        node = self.nodes.get(name)
        if node is None:
            if not self.may_create(sender):
                raise XMPPAuthError(StanzaCondition.FORBIDDEN)
            node = self.nodes[name] = Node(name, sender, {**DEFAULTS, **options})
        else:
            self._check_publisher(node, sender)
            for key, value in options.items():
                if option(node.config.get(key, "")) != value:
                    unmet = build(PUBSUB_ERRORS, "precondition-not-met")
                    raise XMPPCancelError(StanzaCondition.CONFLICT, f"Field does not match: {key}", unmet)
        publisher = sender if self._dialect.events_name_publisher else None
        items = [_stored(item, publisher) for item in action.iterchildren(_ITEM)]
        for item in items:
            node.put(item.get("id", ""), item)
        event = build(EVENT, "items", *(_retagged(item, EVENT) for item in items), node=name)
        named = build(PUBSUB, "publish", *(build(PUBSUB, "item", id=item.get("id")) for item in items), node=name)
        self._tell(request, node, event, build(PUBSUB, "pubsub", named))
        return None

    def _check_publisher(self, node: Node, sender: str) -> None:
        allowed = sender == node.owner or node.members.get(sender) in ("publisher", "owner")
        if not allowed and node.config["publish_model"] != "open":
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)

    def _tell(self, request: Request, node: Node, event: xml.Element, result: xml.Element | None) -> None:
        """Notify, and reply, in the order of the dialect."""
        if not self._dialect.event_first:
            request.reply(result)
        self.notify(node, event, request.sender)
        if self._dialect.event_first:
            request.reply(result)

    def _retract(self, request: Request, action: xml.Element) -> xml.Element | None:
        node = self.node_of(action)
        self._check_publisher(node, _bare(request))
        ids = [item.get("id", "") for item in action.iterchildren(_ITEM)]
        if not ids or any(id not in node.items for id in ids):
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        for id in ids:
            del node.items[id]
        if action.get("notify") in ("1", "true") and self._dialect.tells_of_retraction:
            event = build(EVENT, "items", *(build(EVENT, "retract", id=id) for id in ids), node=node.name)
            self._tell(request, node, event, None)
        return None

    def _create(self, request: Request, action: xml.Element) -> xml.Element | None:
        name, sender = action.get("node") or secrets.token_hex(8), _bare(request)
        if not self.may_create(sender):
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        if name in self.nodes:
            raise XMPPCancelError(StanzaCondition.CONFLICT)
        self.nodes[name] = Node(name, sender, {**DEFAULTS, **self._options(request, "configure")})
        return None if action.get("node") else build(PUBSUB, "pubsub", build(PUBSUB, "create", node=name))

    # --- reading

    def _items(self, request: Request, action: xml.Element) -> xml.Element | None:
        node = self.node_of(action)
        self.check_access(node, _bare(request))
        wanted = [item.get("id", "") for item in action.iterchildren(_ITEM)]
        items = [*node.items.values()]
        if wanted:
            items = [node.items[id] for id in wanted if id in node.items]
        page = None
        if (limit := action.get("max_items", "")).isdigit():
            items = items[max(len(items) - int(limit), 0) :]
        elif (rsm := request.payload.find(_RETRIEVED)) is not None and self._dialect.pages_items:
            items, page = _paged(items, rsm)
        return build(PUBSUB, "pubsub", page, build(PUBSUB, "items", *map(copy.deepcopy, items), node=node.name))

    # --- subscriptions

    def _subscribe(self, request: Request, action: xml.Element) -> xml.Element | None:
        node, jid = self.node_of(action), action.get("jid", "")
        if jid.partition("/")[0] != _bare(request):
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST, application=build(PUBSUB_ERRORS, "invalid-jid"))
        state = "pending" if node.config["access_model"] == "authorize" else "subscribed"
        if state == "subscribed":
            self.check_access(node, _bare(request))
        node.subscribers[jid] = state
        subscription = build(PUBSUB, "subscription", node=node.name, jid=jid, subscription=state)
        request.reply(build(PUBSUB, "pubsub", subscription))
        return None

    def _unsubscribe(self, request: Request, action: xml.Element) -> xml.Element | None:
        node, jid = self.node_of(action), action.get("jid", "")
        if node.subscribers.pop(jid, None) is None or jid.partition("/")[0] != _bare(request):
            raise XMPPCancelError(
                StanzaCondition.UNEXPECTED_REQUEST, application=build(PUBSUB_ERRORS, "not-subscribed")
            )
        return None

    # --- the owner's requests

    def _configuration(self, request: Request, action: xml.Element) -> xml.Element | None:
        node = self.owned(request, action)
        # The form has more than what some versions take along with an item.
        values = {f"pubsub#{key}": value for key, value in node.config.items()}
        configure = build(PUBSUB_OWNER, "configure", form("form", f"{PUBSUB}#node_config", values), node=node.name)
        return build(PUBSUB_OWNER, "pubsub", configure)

    def _configure(self, request: Request, action: xml.Element) -> xml.Element | None:
        node = self.owned(request, action)
        fields = read_form(action)
        fields.pop("FORM_TYPE", None)
        for key, values in fields.items():
            node.config[key.removeprefix("pubsub#")] = option(values[0] if values else "")
        if node.is_set("notify_config"):
            self.notify(node, build(EVENT, "configuration", node=node.name), None)
        return None

    def _delete(self, request: Request, action: xml.Element) -> xml.Element | None:
        node = self.owned(request, action)
        del self.nodes[node.name]
        self.notify(node, build(EVENT, "delete", node=node.name), None, implicit=self._dialect.tells_of_deletion)
        return None

    def _purge(self, request: Request, action: xml.Element) -> xml.Element | None:
        node = self.owned(request, action)
        node.items.clear()
        self.notify(node, build(EVENT, "purge", node=node.name), None, implicit=self._dialect.tells_of_purge)
        return None


def _bare(request: Request) -> str:
    return request.sender.partition("/")[0]


def _stored(item: xml.Element, publisher: str | None) -> xml.Element:
    stored = _retagged(item, PUBSUB)
    if publisher is not None:
        stored.set("publisher", publisher)
    if not stored.get("id"):
        stored.set("id", secrets.token_hex(8))
    return stored


def _retagged(item: xml.Element, namespace: str) -> xml.Element:
    """Return an ``<item/>`` of another namespace with the same payload."""
    return build(namespace, "item", *map(copy.deepcopy, item), id=item.get("id"), publisher=item.get("publisher"))


def _paged(items: list[xml.Element], rsm: xml.Element) -> tuple[list[xml.Element], xml.Element]:
    """Return a page of items, and the ``<set/>`` that describes it; the places of items are their ids."""
    size = rsm.findtext(f"{{{ns.RSM}}}max") or ""
    after = rsm.findtext(f"{{{ns.RSM}}}after") or ""
    first = int(after) + 1 if after.isdigit() else 0
    page = items[first : first + int(size)] if size.isdigit() else items[first:]
    count = build(ns.RSM, "count", text=str(len(items)))
    if not page:
        return page, build(ns.RSM, "set", count)
    ends = (
        build(ns.RSM, "first", text=str(first), index=str(first)),
        build(ns.RSM, "last", text=str(first + len(page) - 1)),
    )
    return page, build(ns.RSM, "set", count, *ends)


def closed(dialect: Dialect, *, presence: bool) -> XMPPError:
    """Return the error for a node that the sender may not read: by presence, or by a list."""
    if dialect.event_first:
        return XMPPAuthError(StanzaCondition.FORBIDDEN)
    if presence:
        return XMPPAuthError(
            StanzaCondition.NOT_AUTHORIZED, application=build(PUBSUB_ERRORS, "presence-subscription-required")
        )
    return XMPPCancelError(StanzaCondition.NOT_ALLOWED, application=build(PUBSUB_ERRORS, "closed-node"))
