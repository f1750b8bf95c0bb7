"""Service discovery (XEP-0030): what the server and its accounts are, and the services that it has beside them."""

from __future__ import annotations

from dataclasses import replace

from ... import xml
from ...errors import StanzaCondition, XMPPAuthError, XMPPCancelError
from ...protocol import ns
from .post import Post
from .services import At, Features, Request
from .stanzas import build

__all__ = ["DISCO_ITEMS", "Disco", "info"]

DISCO_ITEMS = "http://jabber.org/protocol/disco#items"


class Disco:
    """Answers disco#info and disco#items."""

    def __init__(self, post: Post) -> None:
        self._post = post
        services = post.services
        for features in (services.features.domain, services.features.account):
            features.features[:0] = [ns.DISCO_INFO, DISCO_ITEMS]
        services.add("get", f"{{{ns.DISCO_INFO}}}query", self._info, "domain", "account", "others")
        services.add("get", f"{{{DISCO_ITEMS}}}query", self._items, "domain", "account", "others")

    def _features(self, request: Request) -> Features:
        """Return the features of this address; an account shows itself to its subscribers (XEP-0030 §8)."""
        if request.at == "domain":
            return self._post.services.features.domain
        assert request.account is not None
        item = request.account.roster.get(request.sender.partition("/")[0])
        if request.at == "others" and (item is None or not item.subscription.from_):
            if self._post.dialect.signs_for_account:
                raise XMPPAuthError(StanzaCondition.SUBSCRIPTION_REQUIRED)
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return self._post.services.features.account

    def _info(self, request: Request) -> xml.Element:
        features, node = self._features(request), request.payload.get("node")
        if node:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        at: At = "domain" if request.at == "domain" else "account"
        dialect = self._post.dialect
        hidden = dialect.unannounced_of_domain if at == "domain" else dialect.unannounced_of_account
        names = [name for name in (*features.features, *self._post.services.offered(at)) if name not in hidden]
        return info(replace(features, features=names))

    def _items(self, request: Request) -> xml.Element:
        features, node = self._features(request), request.payload.get("node")
        if node and not self._post.services.has_items(node):
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        items = self._post.services.items_of(node, request) if node else [(j, n, None) for j, n in features.items]
        found = (build(DISCO_ITEMS, "item", jid=jid, name=name, node=its_node) for jid, name, its_node in items)
        return build(DISCO_ITEMS, "query", *found, node=node)


def info(features: Features, *more: str, node: str | None = None) -> xml.Element:
    """Return the answer to disco#info, with `more` features."""
    identities = (
        build(ns.DISCO_INFO, "identity", category=category, type=type, name=name)
        for category, type, name in features.identities
    )
    names = dict.fromkeys([*features.features, *more])
    found = (build(ns.DISCO_INFO, "feature", var=name) for name in names)
    return build(ns.DISCO_INFO, "query", *identities, *found, *features.forms, node=node)
