"""Carbons (XEP-0280): copies of messages for the other sessions of the account that sends or receives them."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Iterator

from lxml import etree

from ... import xml
from ...protocol import ns
from .session import ServerSession
from .stanzas import build, child_tag, new_stanza

__all__ = ["copies", "enables", "is_copy"]

_CARBONS = f"{{{ns.CARBONS}}}"
_NO_COPY = (f"{_CARBONS}private", "{urn:xmpp:hints}no-copy")


def enables(payload: xml.Element) -> bool:
    """Return whether a request switches carbons on; otherwise it switches them off."""
    return payload.tag == f"{_CARBONS}enable"


def copies(
    stanza: xml.Element,
    how: str,
    sessions: Iterable[ServerSession],
    without: Container[ServerSession],
    *,
    nested: bool = False,
) -> Iterator[tuple[ServerSession, xml.Element]]:
    """Return a copy of a message that was *sent* or *received* for each of `sessions` that wants it (XEP-0280 §6.1).

    A message that looks like a copy itself is a forgery by its sender: with `nested` it is copied like any other, as
    servers do; otherwise not.
    """
    kind = stanza.get("type", "normal")
    has_body = kind == "chat" or (kind == "normal" and stanza.find(f"{{{ns.CLIENT}}}body") is not None)
    if not has_body or any(stanza.find(tag) is not None for tag in _NO_COPY) or (is_copy(stanza) and not nested):
        return
    for session in sessions:
        if session.carbons and session not in without:
            carbon = new_stanza("message", type=kind, from_=session.account.jid, to=session.jid)
            forwarded = etree.Element(f"{{{ns.FORWARD}}}forwarded", nsmap={None: ns.FORWARD})
            forwarded.append(copy.deepcopy(stanza))
            carbon.append(build(ns.CARBONS, how, forwarded))
            yield session, carbon


def is_copy(stanza: xml.Element) -> bool:
    """Return whether a message is a copy, by what it says of itself."""
    return child_tag(stanza) in (f"{_CARBONS}sent", f"{_CARBONS}received")
