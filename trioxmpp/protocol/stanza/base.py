"""What message, presence and IQ have in common (RFC 6120 §8.1)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from ... import xml
from ...errors import XMPPError
from ...jid import JID
from ...xml.content import Views
from ...xml.markup import is_plain
from .. import ns
from ..conditions import parse_error, serialise_error

__all__ = ["LANG", "Stanza", "inner_text", "lang_texts", "preferred", "serialise_texts"]

P = TypeVar("P")

LANG = f"{{{ns.XML}}}lang"
_ERROR = f"{{{ns.CLIENT}}}error"


class Stanza:
    """What the three stanzas have in common (RFC 6120 §8.1).

    `to` and `from_` are JIDs or None, `id` is a string or None (the stream fills it in when the stanza is enqueued),
    `lang` is the stanza's own xml:lang, which its texts inherit. `error` is the `XMPPError` that a stanza of type error
    carries.
    """

    __slots__ = ("_element", "_error", "_payloads", "_views", "from_", "id", "lang", "to")

    NAME: ClassVar[str]
    TYPES: ClassVar[type[enum.Enum]]

    to: JID | None
    from_: JID | None
    id: str | None
    lang: str | None

    def __init__(
        self,
        to: JID | str | None,
        from_: JID | str | None,
        id: str | None,
        lang: str | None,
        payloads: Iterable[Any],
        error: XMPPError | None,
    ) -> None:
        self.to = JID.parse(to) if isinstance(to, str) else to
        self.from_ = JID.parse(from_) if isinstance(from_, str) else from_
        self.id = id
        self.lang = lang
        self._element: xml.Element | None = None
        self._payloads: list[Any] = [*payloads] if payloads else []
        self._error = error
        self._views: Views | None = None

    def __repr__(self) -> str:
        kind = getattr(self.type, "name", self.type)  # type: ignore[attr-defined]  # every subclass has a type
        fields = {"to": self.to, "from_": self.from_, "id": self.id}
        shown = "".join(f" {name}={str(value)!r}" for name, value in fields.items() if value is not None)
        return f"<{type(self).__name__} {kind}{shown}>"

    @property
    def payloads(self) -> list[Any]:
        """The children that are not RFC 6120's or RFC 6121's own, in order: typed objects, or XML not yet parsed."""
        if self._element is not None:
            self._read()
        return self._payloads

    @payloads.setter
    def payloads(self, value: Iterable[Any]) -> None:
        if self._element is not None:
            self._read()
        self._payloads = list(value)

    @property
    def error(self) -> XMPPError | None:
        """The stanza error of a stanza of type error."""
        if self._element is not None:
            self._read()
        return self._error

    @error.setter
    def error(self, value: XMPPError | None) -> None:
        if self._element is not None:
            self._read()
        self._error = value

    def get(self, cls: type[P], *, strict: bool = False) -> P | None:
        """Return the first well-formed payload that `cls` describes, or None.

        It is parsed once. The payload stays as it arrived, so that another class gets its own view of it, and a stanza
        that is forwarded keeps what `cls` does not know. A malformed payload is logged; with `strict` the first payload
        that `cls` describes counts, and if it is malformed this raises ElementError.
        """
        views = self._views = self._views or Views()
        for payload in self.payloads:
            if (view := views.get(payload, cls, strict=strict)) is not None:
                return view
        return None

    def get_all(self, cls: type[P], *, strict: bool = False) -> list[P]:
        """Return all well-formed payloads that `cls` describes, in order; see `get`."""
        views = self._views = self._views or Views()
        found = [views.get(payload, cls, strict=strict) for payload in self.payloads]
        return [view for view in found if view is not None]

    def validate(self) -> None:
        """Raise ValueError (or JIDError) if this stanza may not be sent; addresses given as strings become JIDs.

        TypeError if its type is not one.
        """
        if self._element is not None:
            self._read()
        kind: Any = self.type  # type: ignore[attr-defined]
        to: Any = self.to
        from_: Any = self.from_
        if not isinstance(kind, self.TYPES):
            raise TypeError(f"{kind!r} is not a {self.TYPES.__name__}")
        if isinstance(to, str):
            self.to = JID.parse(to)
        if isinstance(from_, str):
            self.from_ = JID.parse(from_)
        if (kind._value_ == "error") != (self._error is not None):
            raise ValueError("a stanza carries an error if, and only if, its type is ERROR (RFC 6120 §8.3.1)")

    def serialise(self) -> str:
        """The stanza as XML, to be written where ``jabber:client`` is the default namespace.

        Raises ValueError if it holds a character that XML cannot carry.
        """
        if self._element is not None:
            self._read()
        inner = self._serialise_own()
        for payload in self._payloads:
            inner += xml.serialise(payload, ns.CLIENT)
        if self._error is not None:
            inner += serialise_error(self._error)
        # One look at all attributes: there seldom is anything to escape. `_text` and `_value_` are what str() of an
        # address and `value` of a type give, at the price of a call each.
        from_ = "" if self.from_ is None else self.from_._text
        to = "" if self.to is None else self.to._text
        id, lang = self.id or "", self.lang or ""
        kind: str = self.type._value_  # type: ignore[attr-defined]
        if not is_plain(from_ + to + id + lang):
            from_, to, id, lang = map(xml.escape_attr, (from_, to, id, lang))
        start = f"<{self.NAME}"
        if from_:
            start += f" from='{from_}'"
        if to:
            start += f" to='{to}'"
        if id:
            start += f" id='{id}'"
        if kind:
            start += f" type='{kind}'"
        if self.lang is not None:
            start += f" xml:lang='{lang}'"
        return f"{start}>{inner}</{self.NAME}>" if inner else f"{start}/>"

    def _serialise_own(self) -> str:
        """The children that RFC 6121 defines for this kind of stanza."""
        return ""

    def _read(self) -> None:
        """Read the children of the element that we came from; it is forgotten afterwards."""
        element, self._element = self._element, None
        assert element is not None
        for child in element.iterchildren():
            if not self._read_own(child):
                if child.tag == _ERROR and self._error is None:
                    self._error = parse_error(child)
                else:
                    self._payloads.append(child)

    def _read_own(self, child: xml.Element) -> bool:
        """Take `child` if it is one that RFC 6121 defines for this kind of stanza."""
        return False

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        """A stanza with the attributes of `element`, whose children are read later. Raises JIDError."""
        stanza = cls.__new__(cls)
        get = element.get
        to, from_ = get("to"), get("from")
        stanza.to = None if to is None else JID.parse_inbound(to)
        stanza.from_ = None if from_ is None else JID.parse_inbound(from_)
        stanza.id = get("id")
        stanza.lang = get(LANG)
        stanza._payloads = []
        stanza._views = None
        stanza._error = None
        stanza._element = element
        return stanza


def inner_text(element: xml.Element) -> str:
    """All characters in an element, in its children too."""
    return "".join(element.itertext()) if len(element) else element.text or ""


def lang_texts(value: str | Mapping[str, str] | None) -> dict[str, str]:
    """Texts by language, of which one may be given without any."""
    if value is None:
        return {}
    return {"": value} if isinstance(value, str) else dict(value)


def preferred(texts: Mapping[str, str], own: str | None) -> str | None:
    """The text in the stanza's own language, else the one without any, else the first one."""
    if own is not None and own in texts:
        return texts[own]
    return texts.get("", next(iter(texts.values()), None))


def serialise_texts(name: str, texts: Mapping[str, str], own: str | None) -> str:
    """The children of this name, one for each language; the stanza's own one goes without saying."""
    pieces = ""
    for lang, text in texts.items():
        attribute = f" xml:lang='{xml.escape_attr(lang)}'" if lang and lang != own else ""
        pieces += f"<{name}{attribute}>{xml.escape(text)}</{name}>"
    return pieces
