"""XEP-0313 as the server keeps its books: what its users wrote to each other, and who asks for it."""

from __future__ import annotations

import copy
import datetime
import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition
from ...jid import JID
from ...protocol import ns
from .stanzas import NAMES, error_for, new_stanza, result_for

__all__ = ["MAM", "Archive", "is_query"]

MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"
FORWARD = "urn:xmpp:forward:0"
DELAY = "urn:xmpp:delay"
FORMS = "jabber:x:data"

#: No page is longer, whatever is asked for.
LONGEST_PAGE = 50


@dataclass(frozen=True, slots=True)
class Item:
    """A message in an archive, and the other side of the conversation that it belongs to."""

    id: str
    time: datetime.datetime
    other: JID
    stanza: xml.Element


class Archive:
    """What one account has sent and received, oldest first; no more than `history` messages."""

    def __init__(self, history: int) -> None:
        self.items: deque[Item] = deque(maxlen=history)

    def keep(self, stanza: xml.Element, other: JID) -> None:
        """Put a message into the archive, if it is one that people want to find again."""
        body = stanza.find(f"{{{ns.CLIENT}}}body") is not None
        if NAMES[str(stanza.tag)] == "message" and stanza.get("type", "normal") in ("chat", "normal") and body:
            now = datetime.datetime.now(datetime.UTC)
            self.items.append(Item(secrets.token_hex(6), now, other, copy.copy(stanza)))

    def answer(self, request: xml.Element, archive: str) -> Iterator[xml.Element]:
        """The messages that are asked for, and the result behind them; or an error. `archive` is our address."""
        query = request[0]
        try:
            items = self._chosen(query)
            page, complete = self._page(query, items)
        except (ValueError, JIDError):
            yield error_for(request, StanzaCondition.BAD_REQUEST, ErrorType.MODIFY)
            return
        except KeyError:
            yield error_for(request, StanzaCondition.ITEM_NOT_FOUND)
            return
        for item in page:
            yield _result(item, query.get("queryid"), to=request.get("from", ""), from_=archive)
        fin = etree.Element(f"{{{MAM}}}fin", nsmap={None: MAM})
        if complete:
            fin.set("complete", "true")
        said = etree.SubElement(fin, f"{{{RSM}}}set", nsmap={None: RSM})
        if page:
            etree.SubElement(said, f"{{{RSM}}}first", index=str(items.index(page[0]))).text = page[0].id
            etree.SubElement(said, f"{{{RSM}}}last").text = page[-1].id
        etree.SubElement(said, f"{{{RSM}}}count").text = str(len(items))
        yield result_for(request, fin)

    def _chosen(self, query: xml.Element) -> list[Item]:
        """Those that the form is about. Raises ValueError and JIDError."""
        fields = {
            field.get("var"): field.findtext(f"{{{FORMS}}}value") or ""
            for field in query.iterfind(f"{{{FORMS}}}x/{{{FORMS}}}field")
        }
        if fields.pop("FORM_TYPE", MAM) != MAM or not fields.keys() <= {"with", "start", "end"}:
            raise ValueError("that is no form for a query")
        items = list(self.items)
        if "with" in fields:
            other = JID.parse(fields["with"])
            items = [item for item in items if other in (item.other, item.other.bare)]
        start, end = (_time(fields[name]) if name in fields else None for name in ("start", "end"))
        items = [item for item in items if (start is None or start <= item.time) and (end is None or item.time <= end)]
        return items

    def _page(self, query: xml.Element, items: list[Item]) -> tuple[list[Item], bool]:
        """Those of them that the page is about, and whether there are none beyond. Raises ValueError and KeyError."""
        said = query.find(f"{{{RSM}}}set")
        wanted = {} if said is None else {etree.QName(child).localname: child.text or "" for child in said}
        size = min(int(wanted.get("max", LONGEST_PAGE)), LONGEST_PAGE)
        if size < 0:
            raise ValueError("less than nothing")
        places = {item.id: place for place, item in enumerate(items)}
        if wanted.get("after"):
            items = items[places[wanted["after"]] + 1 :]
        if "before" in wanted:
            end = places[wanted["before"]] if wanted["before"] else len(items)
            return items[max(end - size, 0) : end], end <= size
        return items[:size], len(items) <= size


def is_query(request: xml.Element) -> bool:
    """Whether an IQ asks an archive."""
    return request.get("type") == "set" and len(request) == 1 and request[0].tag == f"{{{MAM}}}query"


def _time(text: str) -> datetime.datetime:
    """A point in time (XEP-0082). Raises ValueError."""
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("what time is that where you are?")
    return time


def _result(item: Item, queryid: str | None, *, to: str, from_: str) -> xml.Element:
    message = new_stanza("message", to=to, from_=from_)
    result = etree.SubElement(message, f"{{{MAM}}}result", {"id": item.id}, {None: MAM})
    if queryid is not None:
        result.set("queryid", queryid)
    forwarded = etree.SubElement(result, f"{{{FORWARD}}}forwarded", nsmap={None: FORWARD})
    stamp = item.time.isoformat().removesuffix("+00:00") + "Z"
    etree.SubElement(forwarded, f"{{{DELAY}}}delay", {"stamp": stamp}, {None: DELAY})
    forwarded.append(copy.copy(item.stanza))
    return message
