"""The base of message, presence and IQ (RFC 6120 §8.1).

A stanza that arrived keeps its element until one of its children is needed: reading the attributes is all that
parsing does. Its own fields come from that element once (`lazy`), and then the element is forgotten. A payload stays
XML until `Stanza.get` is called with the class to read it as. A stanza that an application makes is checked twice:
its constructor refuses values of the wrong class, `validate`, which enqueueing calls, all that cannot be written.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final, Self, TypeVar, cast

from ... import xml
from ...errors import ElementError, XMPPError
from ...jid import JID
from ...xml.content import Views
from ...xml.markup import is_legal
from .. import ns
from ..conditions import parse_error, serialise_error
from .checks import address, check_class, check_payloads, check_text, payload_list
from .lazy import lazy

__all__ = ["LANG", "Stanza", "inner_text", "preferred", "serialise_texts"]

P = TypeVar("P")

LANG = f"{{{ns.XML}}}lang"

#: Roughly the characters of the tags of a stanza, with its addresses.
_TAGS: Final = 100
_ERROR = f"{{{ns.CLIENT}}}error"
_parse: Final = JID.parse
_parse_inbound: Final = JID.parse_inbound


class Stanza:
    """The base of the three stanzas (RFC 6120 §8.1).

    `to` and `from_` are JIDs or None, `id` is a string or None (the stream fills it in when the stanza is enqueued),
    `lang` is the stanza's own xml:lang, which its texts inherit. `error` is the `XMPPError` that a stanza of type error
    carries.
    """

    __slots__ = (
        "_checked",
        "_element",
        "_error",
        "_escaped",
        "_lang",
        "_payloads",
        "_views",
        "_written",
        "from_",
        "id",
        "to",
    )

    NAME: ClassVar[str]
    TYPES: ClassVar[type[enum.Enum]]
    KINDS: ClassVar[Mapping[str | None, Any]]
    """The types by the value of the attribute ``type``, with None for an absent one if it may be absent."""
    OTHER_KIND: ClassVar[Any] = None
    """The type that any other value is read as; None: such a stanza is malformed."""
    NEEDS_ID: ClassVar[bool] = False
    """Whether a stanza without an id is malformed."""
    OWN: ClassVar[frozenset[str]] = frozenset()
    """The tags of the children that RFC 6121 defines for this kind of stanza."""

    to: JID | None
    from_: JID | None
    id: str | None
    _lang: str | None

    def __init__(
        self,
        to: JID | str | None,
        from_: JID | str | None,
        id: str | None,
        lang: str | None,
        payloads: Iterable[Any],
        error: XMPPError | None,
    ) -> None:
        # Nearly always an address or a str: `address` is for values of the wrong class.
        self.to = to if to is None or type(to) is JID else _parse(to) if type(to) is str else address("to", to)
        self.from_ = from_ if from_ is None or type(from_) is JID else address("from_", from_)
        if id is not None:
            check_class("id", id, str)
        if lang is not None:
            check_class("lang", lang, str)
        if error is not None:
            check_class("error", error, XMPPError)
        self.id = id
        self._lang = lang
        self._element: xml.Element | None = None
        # Most messages and presences have none. Without a list for them, the garbage collector has less to do.
        self._payloads: list[Any] | None = payload_list(payloads) if payloads else None
        self._error = error
        self._views: Views | None = None
        # `validate` wrote this to check it, and `serialise` need not write it again: payloads, and one text.
        self._written: tuple[list[Any], str] | None = None
        # The text is in two fields, not in a tuple: of a long queue, each object costs the garbage collector time.
        self._checked: str | None = None
        self._escaped: str | None = None

    def __repr__(self) -> str:
        kind = getattr(self.type, "name", self.type)  # type: ignore[attr-defined]  # every subclass has a type
        fields = {"to": self.to, "from_": self.from_, "id": self.id}
        shown = "".join(f" {name}={str(value)!r}" for name, value in fields.items() if value is not None)
        return f"<{type(self).__name__} {kind}{shown}>"

    @property
    def payloads(self) -> list[Any]:
        """The children that RFC 6120 and RFC 6121 do not define, in order: typed objects, or XML not yet parsed."""
        if self._element is not None:
            self._read()
        if self._payloads is None:
            self._payloads = []
        return self._payloads

    @payloads.setter
    def payloads(self, value: Iterable[Any]) -> None:
        if self._element is not None:
            self._read()
        self._payloads = payload_list(value)

    @property
    def lang(self) -> str | None:
        """The ``xml:lang`` of the stanza, or None."""
        return self._lang if self._element is None else self._element.get(LANG)

    @lang.setter
    def lang(self, value: str | None) -> None:
        if self._element is not None:
            self._read()
        self._lang = value

    error: XMPPError | None = lazy("_error", "The stanza error of a stanza of type error.")

    def get(self, cls: type[P], *, strict: bool = False) -> P | None:
        """Return the first well-formed payload that `cls` describes, or None.

        It is parsed once. The payload stays as it arrived, so that another class gets its own view of it, and a stanza
        that is forwarded keeps what `cls` does not know. A malformed payload is logged; with `strict` the first payload
        that `cls` describes counts, and if it is malformed this raises ElementError.
        """
        payloads = self.payloads
        if self._views is None:
            self._views = Views()
        return self._views.first(payloads, cls, strict=strict)

    def get_all(self, cls: type[P], *, strict: bool = False) -> list[P]:
        """Return all well-formed payloads that `cls` describes, in order; see `get`."""
        payloads = self.payloads
        if self._views is None:
            self._views = Views()
        return self._views.all(payloads, cls, strict=strict)

    def validate(self) -> int:
        """Check that this stanza may be sent and can be written; addresses given as strings become JIDs.

        Returns roughly how many characters it has as XML, as `approximate_size` does.

        Raises ValueError (or JIDError) for a value that is not allowed, for example a character that XML cannot carry,
        and TypeError for a value of the wrong class. Both name the field.
        """
        if self._element is not None:
            self._read()
        kind: Any = self.type  # type: ignore[attr-defined]
        if not isinstance(kind, self.TYPES):
            raise TypeError(f"type must be {self.TYPES.__name__}, not {kind!r}")
        if self.to is not None and self.to.__class__ is not JID:
            self.to = address("to", self.to)
        if self.from_ is not None and self.from_.__class__ is not JID:
            self.from_ = address("from_", self.from_)
        if (kind._value_ == "error") != (self._error is not None):
            raise ValueError("a stanza carries an error if, and only if, its type is ERROR (RFC 6120 §8.3.1)")
        length = 0
        try:
            length = self._check_texts()
            legal = length >= 0 and (self._lang is None or is_legal(self._lang))
        except (TypeError, ValueError):
            legal = False
        if not legal:
            for field, text in self._named_texts():
                check_text(field, text)
        if self._error is not None:
            serialise_error(self._error)
        if not self._payloads:
            self._written = None
            return _TAGS + length
        # Payloads are frozen, so they need not be written twice.
        self._written = check_payloads(self._payloads)
        return self._with_payloads(_TAGS + length)

    def _check_texts(self) -> int:
        """Return how many characters all texts but `lang` have, found by as few looks as possible.

        Negative if XML cannot carry one of them; or raises ValueError or TypeError.
        """
        return 0 if not self.id else len(self.id) if is_legal(self.id) else -1

    def _named_texts(self) -> Iterator[tuple[str, Any]]:
        """The texts that are there, each with the name of its field."""
        if self.id is not None:
            yield "id", self.id
        if self._lang is not None:
            yield "lang", self._lang

    def approximate_size(self) -> int:
        """Return roughly the characters that the stanza has as XML, texts that have to be escaped left aside.

        It is much cheaper than to write the stanza, if `validate` was called before.
        """
        if self._element is not None:
            self._read()
        try:
            size = _TAGS + self._length_of_texts()
        except TypeError:  # a value of the wrong class cannot be written at all
            size = _TAGS
        return self._with_payloads(size) if self._payloads else size

    def _with_payloads(self, size: int) -> int:
        """Add the characters of the payloads to a size."""
        written, payloads = self._written, self._payloads or []
        if written is not None and written[0] == payloads:
            return size + len(written[1])
        with suppress(TypeError, ValueError):  # one that cannot be written at all
            size += sum(len(xml.serialise(payload, ns.CLIENT)) for payload in payloads)
        return size

    def _length_of_texts(self) -> int:
        """The characters of all texts."""
        return len(self.id or "") + len(self._lang or "")

    def serialise(self) -> str:
        """Return the stanza as XML, to be written where ``jabber:client`` is the default namespace.

        Raises ValueError for a character that XML cannot carry.
        """
        if self._element is not None:
            self._read()
        inner = self._serialise_own()
        written, self._written = self._written, None
        if written is not None and written[0] == self._payloads:
            inner += written[1]
        elif self._payloads:
            for payload in self._payloads:
                inner += xml.serialise(payload, ns.CLIENT)
        if self._error is not None:
            inner += serialise_error(self._error)
        # Look once at all attributes: there seldom is anything to escape. `_text` and `_value_` are what str() of an
        # address and `value` of a type give, without the cost of a call.
        from_ = "" if self.from_ is None else self.from_._text
        to = "" if self.to is None else self.to._text
        own_id, lang = self.id or "", self._lang or ""
        kind: str = self.type._value_  # type: ignore[attr-defined]
        looked_at = from_ + to + own_id + lang
        # is_plain(), inlined
        if not looked_at.isprintable() or "&" in looked_at or "<" in looked_at or ">" in looked_at or "'" in looked_at:
            from_, to, own_id, lang = map(xml.escape_attr, (from_, to, own_id, lang))
        name = self.NAME
        attributes = f" type='{kind}'" if kind else ""
        if own_id:
            attributes = f" id='{own_id}'{attributes}"
        if to:
            attributes = f" to='{to}'{attributes}"
        if from_:
            attributes = f" from='{from_}'{attributes}"
        if self._lang is not None:
            attributes += f" xml:lang='{lang}'"
        return f"<{name}{attributes}>{inner}</{name}>" if inner else f"<{name}{attributes}/>"

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """The state for copies and pickles, which share no list and no dictionary with the original."""
        if self._element is not None:
            self._read()
        state = {name: getattr(self, name) for cls in type(self).__mro__ for name in getattr(cls, "__slots__", ())}
        state["_written"] = state["_checked"] = state["_escaped"] = state["_views"] = None
        return None, {key: value.copy() if type(value) in (list, dict) else value for key, value in state.items()}

    def _serialise_own(self) -> str:
        """The children that RFC 6121 defines for this kind of stanza."""
        return ""

    def _read(self) -> None:
        """Read the children of the element that arrived, and forget it."""
        element, self._element = self._element, None
        assert element is not None
        self._lang = element.get(LANG)
        self._payloads = self._error = self._views = self._written = self._checked = self._escaped = None
        own = self.OWN
        for child in element.iterchildren():
            tag = child.tag
            if tag in own and self._read_own(child):
                continue
            if tag == _ERROR and self._error is None:
                self._error = parse_error(child)
            else:
                if self._payloads is None:
                    self._payloads = []
                self._payloads.append(child)

    def _read_own(self, child: xml.Element) -> bool:
        """Read a child with one of the tags in `OWN`, and return True; False if it is one too many."""
        return False

    @classmethod
    def deserialise(cls, text: str) -> Self:
        """Return the stanza that `serialise` wrote, for a store of messages.

        Raises ElementError or JIDError, which are ValueErrors, for a text that is not one stanza of this class.
        """
        root = xml.fromstring(f"<stored xmlns='{ns.CLIENT}'>{text}</stored>")
        if len(root) != 1 or root[0].tag != f"{{{ns.CLIENT}}}{cls.NAME}" or (root.text or root[0].tail):
            raise ElementError(f"the text is not one {cls.NAME}")
        return cls._from_element(root[0])

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        """Return a stanza with the attributes of `element`; `_read` fills all other slots.

        Raises JIDError and ElementError.
        """
        stanza: Any = cls.__new__(cls)
        get = element.get
        stanza.type = kind = cls.KINDS.get(get("type"), cls.OTHER_KIND)
        if kind is None:
            raise ElementError(f"no such type of {cls.NAME}", f"{cls.NAME}/@type")
        to, from_ = get("to"), get("from")
        # An empty `to` is read as absent. An empty `from` is not: it would make a stranger out to be our own server.
        stanza.to = _parse_inbound(to) if to else None
        stanza.from_ = None if from_ is None else _parse_inbound(from_)
        stanza.id = id = get("id")
        if not id and cls.NEEDS_ID:
            raise ElementError(f"an {cls.NAME} has an id", f"{cls.NAME}/@id")
        stanza._element = element
        return cast(Self, stanza)


def inner_text(element: xml.Element) -> str:
    """Return all characters in an element and its children."""
    return "".join(element.itertext()) if len(element) else element.text or ""


def preferred(texts: Mapping[str, str], own: str | None) -> str | None:
    """Return the text in the language of the stanza, else the one without a language, else the first one."""
    if own is not None and own in texts:
        return texts[own]
    return texts.get("", next(iter(texts.values()), None))


def serialise_texts(name: str, texts: Mapping[str, str], own: str | None) -> str:
    """Return the children of this name, one for each language; that of the stanza is not repeated."""
    pieces = ""
    for lang, text in texts.items():
        attribute = f" xml:lang='{xml.escape_attr(lang)}'" if lang and lang != own else ""
        pieces += f"<{name}{attribute}>{xml.escape(text)}</{name}>"
    return pieces
