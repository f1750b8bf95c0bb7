"""XEP-0313: Message Archive Management, and what it is made of (XEP-0004, XEP-0059, XEP-0203, XEP-0297)."""

from __future__ import annotations

from datetime import datetime

from .. import xml
from ..errors import ElementError, ErroneousStanza
from ..jid import JID
from ..xml.times import encode_datetime
from . import ns
from .stanza import Message, Set, parse_stanza

__all__ = ["ArchiveQuery", "Delay", "Fin", "Forwarded", "Page", "Result", "query"]


# --- what is asked


@xml.element(ns.FORMS, "field")
class _Field:
    var: str | None = xml.attr(default=None)
    type: str | None = xml.attr(default=None)
    value: str | None = xml.child_text(default=None)


@xml.element(ns.FORMS, "x", fixed={"type": "submit"})
class _Form:
    fields: tuple[_Field, ...] = xml.children()


@xml.element(ns.RSM, "set")
class Page:
    """Which part of a result is wanted, or is here (XEP-0059).

    A request gives `max`, and `after` for what follows this item, or `before` for what precedes it; `before` an empty
    string is the end. An answer gives the ids of the `first` and the `last` item, and their `count` altogether.
    """

    max: int | None = xml.child_text(default=None)
    after: str | None = xml.child_text(default=None)
    before: str | None = xml.child_text(default=None)
    first: str | None = xml.child_text(default=None)
    last: str | None = xml.child_text(default=None)
    count: int | None = xml.child_text(default=None, codec=xml.lenient(int))


@xml.element(ns.MAM, "fin")
class Fin:
    """That was the page. `complete`: there are none beyond it."""

    complete: bool = xml.attr(default=False)
    stable: bool = xml.attr(default=True)
    page: Page | None = xml.child(default=None)


@xml.element(ns.MAM, "query")
class ArchiveQuery(Set[Fin]):
    """What is there? Each message comes as a `Result` with this `queryid`, and before the answer; `query` makes one."""

    queryid: str | None = xml.attr(default=None)
    form: _Form | None = xml.child(default=None)
    page: Page | None = xml.child(default=None)


def query(queryid: str, page: Page, *, with_: JID | None = None, start: datetime | None = None) -> ArchiveQuery:
    """A query for a `page` of the messages that were exchanged `with_` somebody, since `start`."""
    fields = [_Field(var="FORM_TYPE", type="hidden", value=ns.MAM)]
    if with_ is not None:
        fields.append(_Field(var="with", value=str(with_)))
    if start is not None:
        fields.append(_Field(var="start", value=encode_datetime(start)))
    form = _Form(fields=tuple(fields)) if fields[1:] else None
    return ArchiveQuery(queryid=queryid, form=form, page=page)


# --- what comes


@xml.element(ns.DELAY, "delay")
class Delay:
    """It is late: it was sent at `stamp` (XEP-0203)."""

    stamp: datetime = xml.attr()
    from_: JID | None = xml.attr(default=None)


@xml.element(ns.FORWARD, "forwarded")
class Forwarded:
    """A stanza that was sent, or received, some time ago (XEP-0297): not to be taken for one that comes now."""

    delay: Delay | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def message(self) -> Message | None:
        """The message in it; None if there is none, or it cannot be understood."""
        for other in self.others:
            try:
                stanza = parse_stanza(other)
            except (ElementError, ErroneousStanza):
                continue
            if isinstance(stanza, Message):
                return stanza
        return None


@xml.element(ns.MAM, "result")
class Result:
    """One message of an archive, which calls it `id`. Only the archive that was asked has any business to send it."""

    queryid: str | None = xml.attr(default=None)
    id: str | None = xml.attr(default=None)
    forwarded: Forwarded = xml.child()
