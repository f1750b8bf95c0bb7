"""Queries to an archive (XEP-0313): results are messages, and the answer to the query follows them.

The same code serves accounts and rooms: `answer_query` takes the archive and its address.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lxml import etree

from ... import xml
from ...errors import JIDError, StanzaCondition, XMPPCancelError, XMPPModifyError
from ...jid import JID
from ...protocol import ns
from .archive import Archive, Item, Page, forwarded
from .dialect import Dialect
from .forms import form, read_form
from .post import Post
from .services import Request
from .stanzas import build, new_stanza

__all__ = ["MAM", "ArchiveService", "answer_query", "query_form"]

MAM = ns.MAM
_FIELDS = ("with", "start", "end")
_EXTENDED = ("before-id", "after-id", "ids")


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a client to an archive."""

    fields: dict[str, list[str]]
    size: int | None
    after: str | None
    before: str | None
    flip: bool
    id: str | None


class ArchiveService:
    """Answers the queries of users to their own archives, while the policy says that there are any."""

    def __init__(self, post: Post) -> None:
        self._post = post
        services, query = post.services, f"{{{MAM}}}query"
        services.offer("account", lambda: self._features())
        services.add("set", query, self._query, "account")
        services.add("get", query, self._form, "account")
        services.add("set", query, self._query_of_another, "others")
        services.add("get", f"{{{MAM}}}metadata", self._metadata, "account")
        for kind in ("get", "set"):
            services.add(kind, f"{{{MAM}}}prefs", self._preferences, "account")

    def _features(self) -> list[str]:
        if not self._post.policy.archive:
            return []
        return [MAM, ns.SID, *([f"{MAM}#extended"] if self._post.dialect.archive_extended else [])]

    def _archive(self, request: Request) -> Archive:
        if not self._post.policy.archive or request.account is None:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return request.account.archive

    def _query(self, request: Request) -> xml.Element | None:
        archive = self._archive(request)
        if self._post.policy.archive == "silent":
            request.replied = True
            return None
        assert request.account is not None
        from_ = request.account.jid if self._post.dialect.archive_signed else None
        return answer_query(request, archive, from_, self._post.dialect, self._post.hand_over)

    def _query_of_another(self, request: Request) -> xml.Element | None:
        session = request.session
        if not self._post.policy.archive or not self._post.dialect.archive_of_others or session is None:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        other = request.stanza.get("to")
        return answer_query(request, session.account.archive, other, self._post.dialect, self._post.hand_over)

    def _form(self, request: Request) -> xml.Element:
        self._archive(request)
        return query_form(self._post.dialect)

    def _metadata(self, request: Request) -> xml.Element:
        items = self._archive(request).items
        if not self._post.dialect.archive_extended:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        ends = [("start", items[0]), ("end", items[-1])] if items else []
        return build(MAM, "metadata", *(build(MAM, name, timestamp=i.stamp, id=i.id) for name, i in ends))

    def _preferences(self, request: Request) -> xml.Element:
        preferences = self._archive(request).preferences
        if request.kind == "set":
            if request.payload.get("default") not in ("always", "never", "roster"):
                raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
            preferences.default = request.payload.get("default", "")
            for name in ("always", "never"):
                jids = [jid.text or "" for jid in request.payload.iterfind(f"{{{MAM}}}{name}/{{{MAM}}}jid")]
                setattr(preferences, name, jids)
        lists = (
            build(MAM, name, *(build(MAM, "jid", text=jid) for jid in getattr(preferences, name)))
            for name in ("always", "never")
        )
        return build(MAM, "prefs", *lists, default=preferences.default)


def query_form(dialect: Dialect) -> xml.Element:
    """Return the form that a query may use (XEP-0313 §4.1.5)."""
    fields = [("with", "jid-single"), ("start", "text-single"), ("end", "text-single")]
    if dialect.archive_extended:
        fields += [("before-id", "text-single"), ("after-id", "text-single"), ("ids", "list-multi")]
    return build(MAM, "query", form("form", MAM, {name: None for name, _ in fields}, dict(fields)))


def answer_query(
    request: Request, archive: Archive, from_: str | None, dialect: Dialect, send: Callable[[xml.Element], object]
) -> xml.Element:
    """Send the results of a query, and return the ``<fin/>`` that follows them. Raises XMPPError.

    `from_` is the sender of the results; None leaves it out.
    """
    try:
        query = _read(request.payload, dialect)
        page = _page(query, archive, dialect)
    except KeyError:
        raise XMPPModifyError(StanzaCondition.ITEM_NOT_FOUND) from None
    except (ValueError, JIDError) as exc:
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST, str(exc)) from exc
    items = [*reversed(page.items)] if query.flip else page.items
    domain = request.stanza.get("from", "").partition("/")[0].rpartition("@")[2]
    for item in items:
        send(_result(item, query.id, request.sender, from_, dialect, domain))
    return _fin(page, items, dialect)


def _read(payload: xml.Element, dialect: Dialect) -> Query:
    fields = read_form(payload)
    if fields.pop("FORM_TYPE", [MAM]) != [MAM]:
        raise ValueError("that form is not one for a query")
    known = {*_FIELDS, *(_EXTENDED if dialect.archive_extended else ())}
    unknown = fields.keys() - known
    if unknown and not dialect.archive_ignores_fields:
        raise ValueError(f"unknown field {min(unknown)!r}")
    rsm = payload.find(f"{{{ns.RSM}}}set")
    wanted = {} if rsm is None else {etree.QName(child).localname: child.text or "" for child in rsm}
    size = int(wanted["max"]) if wanted.get("max") else None
    if size is not None and size < 0:
        raise ValueError("a page cannot have less than no items")
    flip = dialect.archive_extended or not dialect.archive_ignores_fields
    flipped = flip and payload.find(f"{{{MAM}}}flip-page") is not None
    return Query(fields, size, wanted.get("after"), wanted.get("before"), flipped, payload.get("queryid"))


def _page(query: Query, archive: Archive, dialect: Dialect) -> Page:
    fields = {name: values[0] for name, values in query.fields.items() if values}
    with_ = JID.parse(fields["with"]) if "with" in fields else None
    start, end = (_time(fields[name]) if name in fields else None for name in ("start", "end"))
    ids = query.fields.get("ids")
    items = archive.matching(with_, start, end, ids)
    for name, is_after in (("after-id", True), ("before-id", False)):
        if name in fields:
            places = [place for place, item in enumerate(items) if item.id == fields[name]]
            items = (items[places[0] + 1 :] if is_after else items[: places[0]]) if places else []
    size = min(dialect.archive_default_page if query.size is None else query.size, dialect.archive_page)
    page = archive.page(items, size, query.after or None, query.before, dialect.archive_cursor)
    if size == 0:
        page.complete = not dialect.archive_says_incomplete
    return page


def _time(text: str) -> datetime.datetime:
    """Return a point in time (XEP-0082). Raises ValueError."""
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without its zone: {text!r}")
    return time


def _result(item: Item, queryid: str | None, to: str, from_: str | None, dialect: Dialect, domain: str) -> xml.Element:
    message = new_stanza("message", to=to, from_=from_)
    late = dialect.archive_signed  # those servers put the delay last, and sign it, too
    inner = forwarded(item, delay_from=domain if late else None, delay_last=late)
    message.append(build(MAM, "result", inner, id=item.id, queryid=queryid))
    return message


def _fin(page: Page, items: list[Item], dialect: Dialect) -> xml.Element:
    ends: Iterable[xml.Element] = ()
    if items:
        ends = (build(ns.RSM, "first", text=items[0].id), build(ns.RSM, "last", text=items[-1].id))
    count = build(ns.RSM, "count", text=str(page.count)) if dialect.archive_counts else None
    complete = "true" if page.complete else "false" if dialect.archive_says_incomplete else None
    return build(MAM, "fin", build(ns.RSM, "set", count, *ends), complete=complete)
