"""Declarations can describe all that RFC 6120 and RFC 6121 define: stanzas and their errors.

The library reads the children of stanzas by hand, since it reads them late or never. Here they are declared like any
other element, and both ways must give the same result for every example.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.failures import check_each
from trioxmpp import JID, IQType, MessageType, PresenceShow, PresenceType, xml
from trioxmpp.protocol import ns
from trioxmpp.protocol.stanza import parse_stanza

VECTORS = json.loads((Path(__file__).parents[1] / "protocol" / "vectors" / "stanzas.json").read_text())


@xml.element(ns.CLIENT, "thread")
class Thread:
    id: str = xml.text(default="")
    parent: str | None = xml.attr(default=None)


@xml.element(ns.CLIENT, "error")
class Error:
    type: str = xml.attr()
    by: JID | None = xml.attr(default=None)
    code: int | None = xml.attr(default=None)
    texts: Mapping[str, str] = xml.lang_text("text", ns=ns.STANZA_ERRORS)
    conditions: tuple[xml.Element, ...] = xml.rest()


class Common:
    """The fields of all three; their payloads are the rest."""

    to: JID | None
    from_: JID | None
    id: str | None
    lang: str | None
    error: Error | None
    payloads: tuple[xml.Element, ...]


@xml.element(ns.CLIENT, "message")
class Message(Common):
    to: JID | None = xml.attr(default=None)
    from_: JID | None = xml.attr(default=None)
    id: str | None = xml.attr(default=None)
    lang: str | None = xml.attr("xml:lang", default=None)
    type: MessageType = xml.attr(default=MessageType.NORMAL)
    subjects: Mapping[str, str] = xml.lang_text("subject")
    bodies: Mapping[str, str] = xml.lang_text("body")
    thread: Thread | None = xml.child(default=None)
    error: Error | None = xml.child(default=None)
    payloads: tuple[xml.Element, ...] = xml.rest()


@xml.element(ns.CLIENT, "presence")
class Presence(Common):
    to: JID | None = xml.attr(default=None)
    from_: JID | None = xml.attr(default=None)
    id: str | None = xml.attr(default=None)
    lang: str | None = xml.attr("xml:lang", default=None)
    type: PresenceType = xml.attr(default=PresenceType.AVAILABLE)
    show: PresenceShow | None = xml.child_text(default=None)
    statuses: Mapping[str, str] = xml.lang_text("status")
    priority: int = xml.child_text(default=0, codec=xml.integer(-128, 127))
    error: Error | None = xml.child(default=None)
    payloads: tuple[xml.Element, ...] = xml.rest()


@xml.element(ns.CLIENT, "iq")
class IQ(Common):
    to: JID | None = xml.attr(default=None)
    from_: JID | None = xml.attr(default=None)
    id: str = xml.attr()
    lang: str | None = xml.attr("xml:lang", default=None)
    type: IQType = xml.attr()
    error: Error | None = xml.child(default=None)
    payloads: tuple[xml.Element, ...] = xml.rest()


AnyStanza = Message | Presence | IQ


EXAMPLES: list[tuple[str, dict[str, Any]]] = [(vector["id"], vector) for vector in VECTORS["stanzas"]]


def fields(stanza: AnyStanza) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": type(stanza).__name__.lower(),
        "type": stanza.type.value or "available",
        "to": stanza.to and str(stanza.to),
        "from": stanza.from_ and str(stanza.from_),
        "id": stanza.id,
        "lang": stanza.lang,
    }
    if isinstance(stanza, Message):
        found |= {"body": dict(stanza.bodies), "subject": dict(stanza.subjects)}
        if stanza.thread is not None:
            thread = {"id": stanza.thread.id, "parent": stanza.thread.parent}
            found["thread"] = {key: value for key, value in thread.items() if value is not None}
    if isinstance(stanza, Presence):
        found |= {"show": stanza.show and stanza.show.value, "status": dict(stanza.statuses)}
        found["priority"] = stanza.priority
    found = {key: value for key, value in found.items() if value}
    found["payloads"] = [[*str(payload.tag)[1:].split("}")] for payload in stanza.payloads]
    return found


def reads_the_same(vector: dict[str, Any]) -> None:
    element = xml.fromstring(vector["xml"])
    stanza: AnyStanza = xml.parse_any(element, Message, Presence, IQ)
    others = ("ext", "untyped", "error")
    expected = {key: value for key, value in vector["expect"].items() if key not in others and value}
    expected.setdefault("payloads", [])
    assert fields(stanza) == expected
    known = parse_stanza(element)
    assert known is not None
    assert (stanza.error is None) == (known.error is None)
    if stanza.error is not None and known.error is not None:
        assert stanza.error.type == known.error.TYPE.value
        names = [str(condition.tag) for condition in stanza.error.conditions]
        assert f"{{{ns.STANZA_ERRORS}}}{known.error.condition.value}" in names
        assert (known.error.text or "") in {*stanza.error.texts.values(), ""}


def means_the_same_when_written(vector: dict[str, Any]) -> None:
    stanza: AnyStanza = xml.parse_any(xml.fromstring(vector["xml"]), Message, Presence, IQ)
    again: AnyStanza = xml.parse_any(xml.fromstring(xml.serialise(stanza, "")), Message, Presence, IQ)
    assert again == stanza


def test_a_declaration_reads_what_the_library_reads() -> None:
    check_each(EXAMPLES, reads_the_same)


def test_a_declaration_writes_an_element_with_the_same_meaning() -> None:
    check_each(EXAMPLES, means_the_same_when_written)
