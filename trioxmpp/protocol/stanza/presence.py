"""Presences (RFC 6121 §4)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from ... import xml
from ...errors import XMPPError
from ...jid import JID
from ...xml.markup import is_legal
from .. import ns
from .base import LANG, Stanza, inner_text, preferred, serialise_texts
from .checks import check_class, texts_by_language
from .lazy import lazy
from .types import PresenceShow, PresenceType

__all__ = ["Presence"]

_SHOWS = {member.value: member for member in PresenceShow}
_PRIORITY_VALUE = re.compile(r"[+-]?[0-9]{1,10}")
_SHOW, _STATUS, _PRIORITY = (f"{{{ns.CLIENT}}}{name}" for name in ("show", "status", "priority"))


class Presence(Stanza):
    """A presence (RFC 6121 §4).

    `show` is a `PresenceShow` or None, `statuses` maps languages to texts as `Message.bodies` does, `priority` is
    -128 to 127. On reading, a show or a priority that RFC 6121 does not allow is treated as absent.
    """

    __slots__ = ("_priority", "_show", "_statuses", "type")
    NAME: ClassVar[str] = "presence"
    TYPES: ClassVar[type[enum.Enum]] = PresenceType
    KINDS: ClassVar[Mapping[str | None, Any]] = {
        None: PresenceType.AVAILABLE,
        **{member.value: member for member in PresenceType},
    }
    OWN: ClassVar[frozenset[str]] = frozenset({_SHOW, _STATUS, _PRIORITY})
    type: PresenceType

    def __init__(
        self,
        *,
        to: JID | str | None = None,
        type: PresenceType = PresenceType.AVAILABLE,
        show: PresenceShow | None = None,
        status: str | Mapping[str, str] | None = None,
        priority: int = 0,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
        payloads: Iterable[xml.Declared | xml.Element] = (),
        error: XMPPError | None = None,
    ) -> None:
        Stanza.__init__(self, to, from_, id, lang, payloads, error)
        if type.__class__ is not PresenceType:
            raise TypeError(f"type must be a PresenceType, not {type!r}")
        check_class("show", show, PresenceShow)
        check_class("priority", priority, int)
        self.type = type
        self._show = show
        self._statuses = texts_by_language("status", status)
        self._priority = priority

    statuses: dict[str, str] = lazy("_statuses", "The texts of the presence by language.")
    priority: int = lazy("_priority", "The priority of the resource, 0 if none is given.")

    @property
    def show(self) -> PresenceShow | None:
        """How available the resource is; None: simply available."""
        if self._element is not None:
            shows = [*self._element.iterchildren(_SHOW)]
            if len(shows) < 2:
                return _SHOWS.get((shows[0].text or "").strip()) if shows else None
            self._read()
        return self._show

    @show.setter
    def show(self, value: PresenceShow | None) -> None:
        if self._element is not None:
            self._read()
        self._show = value

    @property
    def status(self) -> str | None:
        """The text in the language of the presence, else the one without a language, else the first one, else None."""
        return preferred(self.statuses, self.lang)

    @status.setter
    def status(self, value: str | Mapping[str, str] | None) -> None:
        texts = texts_by_language("status", value)
        self.statuses.clear()
        self.statuses.update(texts)

    def make_error(self, error: XMPPError) -> Presence:
        """Return the error stanza that tells the sender of this presence why it was refused (RFC 6120 §8.3).

        Raises ValueError for a presence of type error, which must not be answered (RFC 6120 §8.3.1).
        """
        if self.type is PresenceType.ERROR:
            raise ValueError("a presence of type error must not be answered (RFC 6120 §8.3.1)")
        return Presence(to=self.from_, from_=self.to, id=self.id, type=PresenceType.ERROR, error=error)

    def validate(self) -> int:
        """Check that this presence may be sent and can be written, as `Stanza.validate` does."""
        size = super().validate()
        check_class("show", self._show, PresenceShow)
        if not isinstance(self._priority, int):
            raise TypeError(f"priority must be an int, not {self._priority.__class__.__name__}")
        if not -128 <= self.priority <= 127:
            raise ValueError("a priority is between -128 and 127 (RFC 6121 §4.7.2.3)")
        return size

    def _check_texts(self) -> int:
        text = (self.id or "") + "".join(self._statuses.values()) + "".join(self._statuses)
        return len(text) if is_legal(text) else -1

    def _length_of_texts(self) -> int:
        length = super()._length_of_texts()
        if self._statuses:
            length += sum(map(len, self._statuses)) + sum(map(len, self._statuses.values()))
        return length

    def _named_texts(self) -> Iterator[tuple[str, Any]]:
        yield from super()._named_texts()
        for lang, text in self._statuses.items():
            yield "status", lang
            yield "status", text

    def _serialise_own(self) -> str:
        pieces = ""
        if self._show is not None:
            pieces += f"<show>{self._show.value}</show>"
        if self._statuses:
            pieces += serialise_texts("status", self._statuses, self.lang)
        if self._priority:
            pieces += f"<priority>{self._priority}</priority>"
        return pieces

    def _read(self) -> None:
        self._show, self._statuses, self._priority = None, {}, 0
        super()._read()

    def _read_own(self, child: xml.Element) -> bool:
        tag = child.tag
        if tag == _SHOW:
            self._show = _SHOWS.get((child.text or "").strip(), self._show)
        elif tag == _STATUS:
            self._statuses.setdefault(child.get(LANG, self.lang or ""), inner_text(child))
        else:
            text = (child.text or "").strip()
            if _PRIORITY_VALUE.fullmatch(text) and -128 <= (priority := int(text)) <= 127:
                self._priority = priority
        return True
