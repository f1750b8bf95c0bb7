"""What the server answers itself: pings, who it is, and what the roster holds."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from ... import xml
from ...errors import ErrorType, StanzaCondition
from ...protocol import ns
from .stanzas import child_tag, error_for, result_for

__all__ = ["DISCO_INFO", "ROSTER", "answer"]

DISCO_INFO = "http://jabber.org/protocol/disco#info"
ROSTER = "jabber:iq:roster"


def answer(
    request: xml.Element, *, from_: str | None, contacts: Iterable[str] = (), features: Iterable[str] = ()
) -> xml.Element | None:
    """The answer to an IQ for the server (which is `from_`) or for the sender's account (None); None for a reply.

    An account has `contacts`; account and server may have `features` that not every one has.
    """
    kind = request.get("type")
    if kind in ("result", "error"):
        return None
    if kind not in ("get", "set") or len(request) != 1:
        return error_for(request, StanzaCondition.BAD_REQUEST, ErrorType.MODIFY, from_=from_)
    what = (kind, child_tag(request))
    if what in (("get", f"{{{ns.PING}}}ping"), ("set", f"{{{ns.SESSION}}}session")):
        return result_for(request, from_=from_)
    if what == ("get", f"{{{DISCO_INFO}}}query"):
        return result_for(request, _info(features, of_server=from_ is not None), from_=from_)
    if what == ("get", f"{{{ROSTER}}}query") and from_ is None:
        return result_for(request, _roster(contacts))
    return error_for(request, StanzaCondition.SERVICE_UNAVAILABLE, from_=from_)


def _info(features: Iterable[str], *, of_server: bool) -> xml.Element:
    query = etree.Element(f"{{{DISCO_INFO}}}query", nsmap={None: DISCO_INFO})
    category, type_ = ("server", "im") if of_server else ("account", "registered")
    etree.SubElement(query, f"{{{DISCO_INFO}}}identity", category=category, type=type_)
    for feature in (DISCO_INFO, ns.PING, *features):
        etree.SubElement(query, f"{{{DISCO_INFO}}}feature", var=feature)
    return query


def _roster(contacts: Iterable[str]) -> xml.Element:
    query = etree.Element(f"{{{ROSTER}}}query", nsmap={None: ROSTER})
    for jid in sorted(contacts):
        etree.SubElement(query, f"{{{ROSTER}}}item", jid=jid, subscription="both")
    return query
