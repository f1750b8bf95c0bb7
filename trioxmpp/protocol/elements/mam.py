"""XEP-0313: Message Archive Management, with the preferences of XEP-0441."""

from __future__ import annotations

import enum
from datetime import datetime

from ... import xml
from ...jid import JID
from ...xml.times import encode_datetime
from .. import ns
from ..stanza import Get, Message, Set
from .forms import FORM_TYPE, DataForm, Field, FieldType, FormType
from .forward import Forwarded
from .rsm import Page

__all__ = [
    "ArchiveQuery",
    "Default",
    "Fin",
    "FormQuery",
    "Metadata",
    "MetadataQuery",
    "Preferences",
    "PreferencesQuery",
    "Result",
    "SetPreferences",
    "query",
]


@xml.element(ns.MAM, "fin")
class Fin:
    """The end of one page of results. `complete`: no further page follows in this direction (XEP-0313 §4.1)."""

    complete: bool = xml.attr(default=False)
    stable: bool = xml.attr(default=True)
    page: Page | None = xml.child(default=None)


@xml.element(ns.MAM, "query")
class ArchiveQuery(Set[Fin]):
    """A request for one page. Each message arrives as a `Result` with this `queryid`, before the `Fin` (§4)."""

    queryid: str | None = xml.attr(default=None)
    node: str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)
    page: Page | None = xml.child(default=None)
    flip_page: bool = xml.flag()


@xml.element(ns.MAM, "query")
class FormQuery(Get["FormQuery"]):
    """A request for the fields that an archive supports in a query, and its answer (§4.2.1)."""

    form: DataForm | None = xml.child(default=None)


@xml.element(ns.MAM, "result")
class Result:
    """One archived message and its `id` in the archive. Only the archive that was asked may send it (§4.2)."""

    queryid: str | None = xml.attr(default=None)
    id: str | None = xml.attr(default=None)
    forwarded: Forwarded = xml.child()

    @property
    def message(self) -> Message | None:
        """The archived message; None if the archive has sent none that can be read."""
        return self.forwarded.message

    @property
    def sent(self) -> datetime | None:
        """When the archive got the message, if it tells."""
        return None if self.forwarded.delay is None else self.forwarded.delay.stamp


def query(
    queryid: str,
    page: Page,
    *,
    with_: JID | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> ArchiveQuery:
    """Return a query for a `page` of the messages exchanged with the address `with_`, sent from `start` to `end`."""
    fields = [Field(var=FORM_TYPE, type=FieldType.HIDDEN, values=(ns.MAM,))]
    if with_ is not None:
        fields.append(Field(var="with", values=(str(with_),)))
    if start is not None:
        fields.append(Field(var="start", values=(encode_datetime(start),)))
    if end is not None:
        fields.append(Field(var="end", values=(encode_datetime(end),)))
    form = DataForm(type=FormType.SUBMIT, fields=tuple(fields)) if fields[1:] else None
    return ArchiveQuery(queryid=queryid, form=form, page=page)


@xml.element(ns.MAM, "metadata")
class Metadata:
    """The ids and times of the first and the last message of an archive (§5). An empty archive has none."""

    start_id: str | None = xml.attr("id", inside="start", default=None)
    start: datetime | None = xml.attr("timestamp", inside="start", default=None)
    end_id: str | None = xml.attr("id", inside="end", default=None)
    end: datetime | None = xml.attr("timestamp", inside="end", default=None)


@xml.element(ns.MAM, "metadata")
class MetadataQuery(Get[Metadata]):
    """Asks an archive for its first and last message (§5)."""


class Default(enum.StrEnum):
    """The messages that are archived unless the lists say otherwise (XEP-0441 §2)."""

    ALWAYS = "always"
    NEVER = "never"
    ROSTER = "roster"


@xml.structure
class _Preferences:
    default: Default | str | None = xml.attr(default=None)
    always: tuple[JID, ...] = xml.child_texts("jid", inside="always", lenient=True)
    never: tuple[JID, ...] = xml.child_texts("jid", inside="never", lenient=True)


@xml.element(ns.MAM, "prefs")
class Preferences(_Preferences):
    """The addresses whose messages are always or never archived, and the default for others (XEP-0441 §2)."""


@xml.element(ns.MAM, "prefs")
class PreferencesQuery(Get[Preferences]):
    """Asks for the preferences of the account (XEP-0441 §2)."""


@xml.element(ns.MAM, "prefs")
class SetPreferences(_Preferences, Set[Preferences]):
    """Changes the preferences of the account; the answer holds those that apply (XEP-0441 §2)."""
