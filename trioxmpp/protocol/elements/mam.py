"""XEP-0313: Message Archive Management."""

from __future__ import annotations

from datetime import datetime

from ... import xml
from ...jid import JID
from ...xml.times import encode_datetime
from .. import ns
from ..stanza import Set
from .forms import Field, SubmittedForm
from .forward import Forwarded
from .rsm import Page

__all__ = ["ArchiveQuery", "Fin", "Result", "query"]


@xml.element(ns.MAM, "fin")
class Fin:
    """The end of one page of results. `complete`: no further page follows in this direction (§4.1)."""

    complete: bool = xml.attr(default=False)
    stable: bool = xml.attr(default=True)
    page: Page | None = xml.child(default=None)


@xml.element(ns.MAM, "query")
class ArchiveQuery(Set[Fin]):
    """A request for one page. Each message arrives as a `Result` with this `queryid`, before the `Fin` (§4)."""

    queryid: str | None = xml.attr(default=None)
    form: SubmittedForm | None = xml.child(default=None)
    page: Page | None = xml.child(default=None)


@xml.element(ns.MAM, "result")
class Result:
    """One archived message and its `id` in the archive. Only the archive that was asked may send it (§4.2)."""

    queryid: str | None = xml.attr(default=None)
    id: str | None = xml.attr(default=None)
    forwarded: Forwarded = xml.child()


def query(queryid: str, page: Page, *, with_: JID | None = None, start: datetime | None = None) -> ArchiveQuery:
    """Return a query for a `page` of the messages exchanged with the address `with_`, sent at `start` or later."""
    fields = [Field(var="FORM_TYPE", type="hidden", value=ns.MAM)]
    if with_ is not None:
        fields.append(Field(var="with", value=str(with_)))
    if start is not None:
        fields.append(Field(var="start", value=encode_datetime(start)))
    form = SubmittedForm(fields=tuple(fields)) if fields[1:] else None
    return ArchiveQuery(queryid=queryid, form=form, page=page)
