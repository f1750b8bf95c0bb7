"""Data that an account keeps on the server for its clients: private XML (XEP-0049) and its vCard (XEP-0054)."""

from __future__ import annotations

import copy

from ... import xml
from ...errors import StanzaCondition, XMPPModifyError
from .post import Post
from .services import Request
from .stanzas import build

__all__ = ["PRIVATE", "VCARD", "Storage"]

PRIVATE = "jabber:iq:private"
VCARD = "vcard-temp"

#: The elements that an account may store, at most.
MAX_STORED = 1000


class Storage:
    """Answers requests for private XML and for vCards."""

    def __init__(self, post: Post) -> None:
        services = post.services
        services.features.domain.features += [PRIVATE, VCARD]
        services.add("get", f"{{{PRIVATE}}}query", self._private, "account")
        services.add("set", f"{{{PRIVATE}}}query", self._store_private, "account")
        services.add("get", f"{{{VCARD}}}vCard", self._vcard, "account", "others", "unknown")
        services.add("set", f"{{{VCARD}}}vCard", self._store_vcard, "account")

    def _private(self, request: Request) -> xml.Element:
        assert request.account is not None
        (wanted,) = _children(request, 1)
        stored = request.account.private.get(str(wanted.tag))
        return build(PRIVATE, "query", copy.deepcopy(wanted if stored is None else stored))

    def _store_private(self, request: Request) -> xml.Element | None:
        assert request.account is not None
        private = request.account.private
        for child in _children(request):
            if len(private) >= MAX_STORED and str(child.tag) not in private:
                raise XMPPModifyError(StanzaCondition.POLICY_VIOLATION)
            private[str(child.tag)] = copy.deepcopy(child)
        return None

    def _vcard(self, request: Request) -> xml.Element:
        """Return the vCard; it is empty if there is none, and if there is no such account."""
        vcard = None if request.account is None else request.account.vcard
        return build(VCARD, "vCard") if vcard is None else copy.deepcopy(vcard)

    def _store_vcard(self, request: Request) -> xml.Element | None:
        assert request.account is not None
        request.account.vcard = copy.deepcopy(request.payload)
        return None


def _children(request: Request, count: int | None = None) -> list[xml.Element]:
    children = [child for child in request.payload if isinstance(child.tag, str)]
    if not children or (count is not None and len(children) != count):
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
    return children
