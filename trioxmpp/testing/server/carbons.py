"""Carbons (XEP-0280): copies of messages for the other sessions of who sends or gets them, as far as they want them."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Iterator

from lxml import etree

from ... import xml
from ...protocol import ns
from .session import ServerSession
from .stanzas import child_tag, new_stanza

__all__ = ["copies", "is_copy", "switch"]

FORWARD = "urn:xmpp:forward:0"

_CARBONS = f"{{{ns.CARBONS}}}"
_NO_COPY = (f"{_CARBONS}private", "{urn:xmpp:hints}no-copy")


def switch(session: ServerSession, request: xml.Element) -> bool:
    """Turn them on or off for `session`; False if that is not what it wants."""
    what = child_tag(request)
    if request.get("type") != "set" or what not in (f"{_CARBONS}enable", f"{_CARBONS}disable"):
        return False
    session.carbons = what == f"{_CARBONS}enable"
    return True


def copies(
    stanza: xml.Element, how: str, sessions: Iterable[ServerSession], without: Container[ServerSession]
) -> Iterator[tuple[ServerSession, xml.Element]]:
    """A copy of a message that was *sent* or *received* for each of these `sessions` of one account that wants it."""
    kind = stanza.get("type", "normal")
    has_body = kind == "chat" or (kind == "normal" and stanza.find(f"{{{ns.CLIENT}}}body") is not None)
    if not has_body or is_copy(stanza) or any(stanza.find(tag) is not None for tag in _NO_COPY):
        return
    for session in sessions:
        if session.carbons and session not in without:
            carbon = new_stanza("message", type=kind, from_=session.account.jid, to=session.jid)
            wrapper = etree.SubElement(carbon, f"{_CARBONS}{how}", nsmap={None: ns.CARBONS})
            forwarded = etree.SubElement(wrapper, f"{{{FORWARD}}}forwarded", nsmap={None: FORWARD})
            forwarded.append(copy.deepcopy(stanza))
            yield session, carbon


def is_copy(stanza: xml.Element) -> bool:
    """Whether that is one itself."""
    return child_tag(stanza) in (f"{_CARBONS}sent", f"{_CARBONS}received")
