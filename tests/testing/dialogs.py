"""Dialogs recorded from real servers, and the same dialogs with the embedded one: read, played and compared.

A recording (`wire/`) is a list of scenes. A scene has a title, and lines of what came: ``=`` is the answer to the
request of the scene, ``<`` what came to the same client beside it, and ``a <`` or ``b <`` what came to that client.
The requests themselves were not recorded; `Step` has them.

Two elements are alike if their `canonical` forms are equal. Ids, times, languages, texts of errors and the order of
children are not compared; namespaces are shortened in the recordings, so both sides are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio.testing
from lxml import etree

from tests.testing.raw import RawClient, log_in
from trioxmpp.protocol import ns
from trioxmpp.testing import Dialect, Server

WIRE = Path(__file__).parent / "wire"
RECORDINGS = {
    "prosody-0.12.3": Dialect.PROSODY_0_12,
    "prosody-13.0.1": Dialect.PROSODY_13_0_1,
    "prosody-13.0.7": Dialect.PROSODY_13,
    "ejabberd-23.01": Dialect.EJABBERD_23,
    "ejabberd-24.12": Dialect.EJABBERD_24,
    "ejabberd-26.07": Dialect.EJABBERD_26,
}
_LINE = re.compile(r"^ +(?:(\w+) )?([<=]) (<.*)$")
_PREFIXES = ("http://jabber.org/protocol/", "urn:ietf:params:xml:ns:xmpp-", "jabber:")
_VOLATILE = {
    "id", "stamp", "timestamp", "ver", "queryid", "label", "sessionid", "username", "password", "expires",
}  # fmt: skip
_DEFAULTS = {("type", "normal"), ("restricted", "false")}
#: Elements that servers add beside the protocol in question: an older archive id, an avatar hash, error texts.
_ADDED = {
    "{urn:xmpp:mam:tmp}archived",
    "{xdata-validate}validate",
    "{vcard-temp:x:update}x",
    "{stanzas}text",
    "{urn:xmpp:delay}delay",
}


@dataclass(frozen=True)
class Step:
    """The stanzas of one client, and the titles of the scenes in which the recording has the answers."""

    client: str
    sends: str
    titles: tuple[str, ...]
    watch: tuple[str, ...] = ("a",)
    """The clients whose lines are compared; drifting lines of the others are not."""
    drifts: tuple[str, ...] = ()
    """The clients whose lines the recording has in the scene of the next step."""


def scenes(kind: str, version: str) -> Iterator[tuple[str, list[tuple[str, etree._Element]]]]:
    """The scenes of a recording, in order: title, and what came to whom; the answer is for "="."""
    title, lines = "", []
    for line in (WIRE / f"{kind}-{version}.txt").read_text().splitlines():
        if line.startswith("## "):
            if title:
                yield title, lines
            title, lines = line[3:], []
        elif (found := _LINE.match(line)) and found[3].endswith(">"):
            try:
                lines.append((found[1] or found[2], etree.fromstring(found[3])))
            except etree.XMLSyntaxError:
                continue  # cut off by the recorder
    yield title, lines


def _short(namespace: str | None) -> str:
    if namespace in (None, "", ns.CLIENT):
        return ""
    for prefix in _PREFIXES:
        namespace = namespace.removeprefix(prefix)
    return namespace


def canonical(element: etree._Element, ignored: frozenset[str] = frozenset()) -> tuple[Any, ...]:
    """The parts of an element that are compared. Children whose short tag is in `ignored` are not."""
    name = etree.QName(element)
    tag = f"{{{_short(name.namespace)}}}{name.localname}"
    attributes = {
        key: "true" if (key, value) == ("restricted", "1") else value
        for key, value in element.attrib.items()
        if key not in _VOLATILE and "lang" not in key and (key, value) not in _DEFAULTS
    }
    children = sorted((canonical(child, ignored) for child in element if isinstance(child.tag, str)), key=repr)
    if element.get("type") == "error" and not tag.endswith("}error"):
        # The echo of a request has ids of its own; that there is one is compared.
        children = [child if child[0] == "{}error" else (child[0],) for child in children]
        children = [child for child in children if child[0] != "{urn:xmpp:occupant-id:0}occupant-id"]
    kept = tuple(child for child in children if child[0] not in _ADDED | ignored)
    text = (element.text or "").strip() if tag not in ("{rsm}first", "{rsm}last") else ""
    return (tag, tuple(sorted(attributes.items())), text, kept)


async def heard(client: RawClient) -> list[etree._Element]:
    """All that has come to a client by now."""
    elements = []
    while True:
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.001) as scope:
            event = await client.next_event()
        if scope.cancelled_caught:
            return elements
        assert isinstance(event, etree._Element), event
        elements.append(event)


async def clients(server: Server, *names: str) -> dict[str, RawClient]:
    """The clients of the recordings: a and a2 are user1, b is user2, and so on."""
    users = {"a": "user1", "b": "user2", "c": "user3", "d": "user4"}
    return {name: await log_in(server, users[name[0]], name.upper()) for name in names}


def is_answer(element: etree._Element, client: str, step: Step) -> bool:
    return client == step.client and element.get("type") in ("result", "error") and element.tag.endswith("}iq")


async def play(
    players: dict[str, RawClient], steps: Iterable[Step], recording: dict[str, list[tuple[str, Any]]],
    ignored: frozenset[str] = frozenset(),
) -> list[str]:  # fmt: skip
    """Send what the steps say, and return the differences to the recording, one text for each scene.

    A client that sends nothing breaks its link. ``$session`` is the last *sessionid* that a client heard.
    """
    differences = []
    drifted: Counter[Any] = Counter()
    session = ""
    for step in steps:
        if step.sends:
            await players[step.client].says(step.sends.replace("$session", session))
        else:
            await players.pop(step.client).aclose()
        got, drifted = drifted, Counter()
        for name, client in players.items():
            for element in await heard(client):
                session = next(iter(element.xpath("//@sessionid")), session)
                if name in step.drifts:
                    drifted[(name, canonical(element, ignored))] += 1
                elif name in step.watch or is_answer(element, name, step):
                    got[("=" if is_answer(element, name, step) else name, canonical(element, ignored))] += 1
        wanted: Counter[Any] = Counter()
        for title in step.titles:
            for who, element in recording[title]:
                name = step.client if who == "<" else who
                if name == "=" or name in step.watch:
                    wanted[(name, canonical(element, ignored))] += 1
        for sign, difference in (("recorded", wanted - got), ("embedded", got - wanted)):
            differences += [f"{step.titles}: only {sign}: {line}" for line in difference.elements()]
    return differences
