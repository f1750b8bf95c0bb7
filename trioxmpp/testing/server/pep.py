"""Personal nodes (XEP-0163) and the public service: who may read and write them, and who hears of their events."""

from __future__ import annotations

from collections.abc import Iterable

from ... import xml
from ...errors import StanzaCondition, XMPPCancelError, XMPPError
from ...protocol import ns
from .account import Account
from .disco import DISCO_ITEMS, info
from .nodes import EVENT, PUBSUB, PUBSUB_OWNER, Node
from .notifying import Interests, send_event
from .post import Post
from .pubsub import Board, closed
from .services import Features, Request
from .session import ServerSession
from .stanzas import build, child_tag

__all__ = ["Pep", "Public"]

_FEATURES = (
    "access-open", "access-presence", "access-whitelist", "auto-create", "auto-subscribe", "config-node",
    "config-node-max", "create-and-configure", "create-nodes", "delete-items", "delete-nodes", "filtered-notifications",
    "item-ids", "last-published", "multi-items", "persistent-items", "presence-notifications", "publish",
    "publish-options", "purge-nodes", "retract-items", "retrieve-items",
)  # fmt: skip


#: The server says that it keeps the places of bookmarks in step (XEP-0402 §5, XEP-0411).
BOOKMARKS = ["urn:xmpp:bookmarks:1#compat", "urn:xmpp:bookmarks:1#compat-pep", "urn:xmpp:bookmarks-conversion:0"]


class Personal(Board):
    """The nodes of one account."""

    def __init__(self, post: Post, account: Account, interests: Interests) -> None:
        super().__init__(account.jid, post.dialect)
        self._post = post
        self._account = account
        self._interests = interests

    def may_create(self, sender: str) -> bool:
        """Return whether `sender` is the account itself."""
        return sender == self.address

    def check_access(self, node: Node, sender: str) -> None:
        """Let the owner read all, contacts the nodes that presence opens, and all users the open ones."""
        model = node.config["access_model"]
        item = self._account.roster.get(sender)
        contact = item is not None and item.subscription.from_
        if sender == self.address or model == "open" or (model in ("presence", "roster") and contact):
            return
        if model == "whitelist" and sender in node.members:
            return
        raise closed(self._post.dialect, presence=model in ("presence", "roster"))

    def notify(self, node: Node, event: xml.Element, publisher: str | None, *, implicit: bool = True) -> None:
        """Send an event to subscribers, and with `implicit` to the clients of owner and contacts that ask for it."""
        to = [*node.subscribers]
        if implicit and self._is_passed_on():
            to += self._interested(self.address, node)
            for jid in self._account.roster.watchers():
                if self._may_read(node, jid):
                    to += self._interested(jid, node)
        if implicit and self._post.dialect.event_to_account and node.config["access_model"] == "presence":
            to.append(self.address)
        send_event(self._post, self.address, to, event, publisher)

    def _is_passed_on(self) -> bool:
        """Return whether the session that events take their way by is available; there may be none at all."""
        sessions = self._post.sessions_of(self.address)
        if not sessions or not self._post.dialect.events_by_last_session:
            return True
        return max(sessions, key=lambda session: session.jid).presence is not None

    def tell_subscriber(self, jid: str, event: xml.Element) -> None:
        """Send an event to one subscriber."""
        send_event(self._post, self.address, [jid], event, None)

    def _interested(self, jid: str, node: Node) -> list[str]:
        sessions = self._post.sessions_of(jid)
        return [session.jid for session in sessions if self._interests.wants(session, node.name)]

    def _may_read(self, node: Node, jid: str) -> bool:
        try:
            self.check_access(node, jid)
        except XMPPError:
            return False
        return True

    def tell_last(self, session: ServerSession, features: Iterable[str]) -> None:
        """Send a session that has become available the last item of each node that it wants (XEP-0163 §4.3.4)."""
        wanted = {*features}
        for node in [*self.nodes.values()]:
            last = [*node.items.values()][-1:]
            sends = node.config["send_last_published_item"] != "never" and f"{node.name}+notify" in wanted
            if last and sends and self._may_read(node, session.account.jid):
                item = build(EVENT, "item", *(xml.fromstring(xml.serialise(child, "")) for child in last[0]),
                             id=last[0].get("id"))  # fmt: skip
                event = build(EVENT, "items", item, node=node.name)
                send_event(self._post, self.address, [session.jid], event, None)


class Public(Board):
    """The nodes of a service: any user may create one and then owns it."""

    def __init__(self, post: Post, domain: str) -> None:
        super().__init__(domain, post.dialect)
        self._post = post

    def serve(self) -> None:
        """Begin to serve; until then no service is there."""
        self._post.hosts[self.address] = self._receive
        self._post.services.features.domain.items.append((self.address, "Publish-Subscribe"))

    def _receive(self, stanza: xml.Element) -> None:
        if stanza.get("type") not in ("get", "set") or len(stanza) != 1:
            return
        request = Request(stanza, "domain", None, None, self._post.dialect, self._post.hand_over)
        try:
            payload = _public_answer(self, request)
        except XMPPError as error:
            request.refuse(error)
            return
        if not request.replied:
            request.reply(payload)

    def may_create(self, sender: str) -> bool:
        """Return True."""
        return True

    def check_access(self, node: Node, sender: str) -> None:
        """Let all read, but for a whitelist and for nodes whose subscriptions are authorized."""
        model = node.config["access_model"]
        subscribed = any(
            jid.partition("/")[0] == sender and state == "subscribed" for jid, state in node.subscribers.items()
        )
        if sender == node.owner or model in ("open", "presence", "roster") or subscribed or sender in node.members:
            return
        raise closed(self._post.dialect, presence=False)

    def notify(self, node: Node, event: xml.Element, publisher: str | None, *, implicit: bool = True) -> None:
        """Send an event to all subscribers; `implicit` is about accounts."""
        to = [jid for jid, state in node.subscribers.items() if state == "subscribed"]
        send_event(self._post, self.address, to, event, publisher)

    def tell_subscriber(self, jid: str, event: xml.Element) -> None:
        """Send an event to one subscriber."""
        send_event(self._post, self.address, [jid], event, None)


class Pep:
    """Brings requests to the nodes of accounts, and tells new presences of them."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._boards: dict[str, Personal] = {}
        self._interests = Interests(post, self._learnt)
        services = post.services
        services.features.account.identities.append(("pubsub", "pep", None))
        # Bookmarks are not converted from one place to another: all clients of a test use the same one.
        services.features.account.features += BOOKMARKS
        services.features.account.features += [PUBSUB, *(f"{PUBSUB}#{name}" for name in _FEATURES)]
        for kind in ("get", "set"):
            for namespace in (PUBSUB, PUBSUB_OWNER):
                services.add(kind, f"{{{namespace}}}pubsub", self._answer, "account", "others")

    def board(self, account: Account) -> Personal:
        """Return the nodes of an account."""
        if account.jid not in self._boards:
            self._boards[account.jid] = Personal(self._post, account, self._interests)
        return self._boards[account.jid]

    def present(self, session: ServerSession) -> None:
        """Deal with new presence of a session."""
        self._interests.present(session)

    def _learnt(self, session: ServerSession, features: Iterable[str]) -> None:
        watched = [self._post.account(jid) for jid in session.account.roster.watched()]
        for account in (session.account, *watched):
            if account is not None:
                self.board(account).tell_last(session, features)

    def _answer(self, request: Request) -> xml.Element | None:
        assert request.account is not None
        return self.board(request.account).answer(request)


def _public_answer(board: Board, request: Request) -> xml.Element | None:
    tag = child_tag(request.stanza)
    if tag in (f"{{{PUBSUB}}}pubsub", f"{{{PUBSUB_OWNER}}}pubsub"):
        return board.answer(request)
    if tag == f"{{{ns.DISCO_INFO}}}query":
        names = [PUBSUB, *(f"{PUBSUB}#{name}" for name in (*_FEATURES, "subscribe"))]
        return info(Features([("pubsub", "service", None)], names))
    if tag == f"{{{DISCO_ITEMS}}}query" and request.payload.get("node") is None:
        nodes = (build(DISCO_ITEMS, "item", jid=board.address, node=name) for name in board.nodes)  # XEP-0060 §5.2
        return build(DISCO_ITEMS, "query", *nodes)
    raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
