"""Push notifications (XEP-0357): an app server is told of each message that waits for a client."""

from __future__ import annotations

import copy
import secrets

from ... import xml
from ...errors import StanzaCondition, XMPPModifyError
from ...protocol import ns
from .account import Account
from .forms import form
from .post import Post
from .services import At, Request
from .stanzas import build, new_stanza

__all__ = ["Push"]

PUSH = "urn:xmpp:push:0"
SUMMARY = f"{PUSH.removesuffix('0')}summary"
PUBSUB = "http://jabber.org/protocol/pubsub"

#: The nodes of one account, at most; the oldest is forgotten.
MAX_NODES = 5


class Push:
    """The nodes at which the accounts of one server want their app servers told."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self.enabled: dict[str, dict[tuple[str, str | None], xml.Element | None]] = {}
        """The options by account, app server and node."""

    def serve(self) -> None:
        """Offer push notifications to every account."""
        services = self._post.services
        # ejabberd takes a request to another account for one about the sender's own.
        at: tuple[At, ...] = ("account", "others") if self._post.dialect.push_at_others else ("account",)
        services.features.account.features.append(PUSH)
        services.add("set", f"{{{PUSH}}}enable", self._enable, *at)
        services.add("set", f"{{{PUSH}}}disable", self._disable, *at)
        self._post.waits.append(self._notify)

    def _nodes(self, request: Request) -> dict[tuple[str, str | None], xml.Element | None]:
        return self.enabled.setdefault(request.sender.partition("/")[0], {})

    def _enable(self, request: Request) -> None:
        nodes = self._nodes(request)
        options = request.payload.find(f"{{{ns.FORMS}}}x")
        nodes[_app_server(request), request.payload.get("node")] = options
        while len(nodes) > MAX_NODES:
            del nodes[next(iter(nodes))]

    def _disable(self, request: Request) -> None:
        nodes, gone, node = self._nodes(request), _app_server(request), request.payload.get("node")
        for key in [*nodes]:
            if key[0] == gone and node in (None, key[1]):
                del nodes[key]

    def _notify(self, account: Account, message: xml.Element) -> None:
        """Publish a notification to each app server (§7), which may be a client as well."""
        if message.find(f"{{{ns.CLIENT}}}body") is None:
            return
        for (app_server, node), options in self.enabled.get(account.jid, {}).items():
            publish = build(PUBSUB, "publish", build(PUBSUB, "item", self._notification()), node=node)
            asked = None if options is None else build(PUBSUB, "publish-options", copy.deepcopy(options))
            iq = new_stanza("iq", type="set", id=secrets.token_hex(8), from_=self._post.domain, to=app_server)
            iq.append(build(PUBSUB, "pubsub", publish, asked))
            self._post.send(iq)

    def _notification(self) -> xml.Element:
        """Return what servers say without being told to give sender and text away."""
        if self._post.dialect.push_counts:
            values = {
                "message-count": "1", "pending-subscription-count": None, "last-message-sender": None,
                "last-message-body": "New Message!",
            }  # fmt: skip
            types = {"last-message-sender": "jid-single"}
            return build(PUSH, "notification", form("form", SUMMARY, values, types))
        return build(PUSH, "notification", form("submit", SUMMARY, {"last-message-body": "New message"}))


def _app_server(request: Request) -> str:
    jid = request.payload.get("jid")
    if not jid:
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST, "Missing jid")
    return jid
