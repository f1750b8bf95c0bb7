"""The three stanzas of RFC 6120 §8: message, presence and IQ.

A stanza is slotted and mutable, because filters may change it; its payloads are frozen (`trioxmpp.xml`). What came
from the wire keeps its XML until somebody asks: reading the attributes is all that parsing does, children are read
on first access, a payload becomes a typed object in `Stanza.get`, and what nobody knows survives a round trip.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from .. import xml
from ..errors import ElementError, ErroneousStanza, JIDError, XMPPError
from ..jid import JID
from . import ns
from .conditions import parse_error, serialise_error

__all__ = [
    "IQ",
    "Get",
    "IQType",
    "Message",
    "MessageType",
    "Presence",
    "PresenceShow",
    "PresenceType",
    "Set",
    "Stanza",
    "parse_stanza",
    "response_type",
]

R = TypeVar("R")
P = TypeVar("P")

_XML_LANG = f"{{{ns.XML}}}lang"
_ERROR = f"{{{ns.CLIENT}}}error"
_BODY, _SUBJECT, _THREAD = (f"{{{ns.CLIENT}}}{name}" for name in ("body", "subject", "thread"))
_SHOW, _STATUS, _PRIORITY = (f"{{{ns.CLIENT}}}{name}" for name in ("show", "status", "priority"))


class MessageType(enum.Enum):
    """The types of a message (RFC 6121 §5.2.2). Absent and unknown types are read as NORMAL."""

    CHAT = "chat"
    ERROR = "error"
    GROUPCHAT = "groupchat"
    HEADLINE = "headline"
    NORMAL = "normal"


class PresenceType(enum.Enum):
    """The types of a presence (RFC 6121 §4.7.1). AVAILABLE is the absence of the attribute."""

    AVAILABLE = ""
    ERROR = "error"
    PROBE = "probe"
    SUBSCRIBE = "subscribe"
    SUBSCRIBED = "subscribed"
    UNAVAILABLE = "unavailable"
    UNSUBSCRIBE = "unsubscribe"
    UNSUBSCRIBED = "unsubscribed"


class PresenceShow(enum.Enum):
    """How available an available resource is (RFC 6121 §4.7.2.1)."""

    AWAY = "away"
    CHAT = "chat"
    DND = "dnd"
    XA = "xa"


class IQType(enum.Enum):
    """The types of an IQ (RFC 6120 §8.2.3)."""

    GET = "get"
    SET = "set"
    RESULT = "result"
    ERROR = "error"

    @property
    def is_request(self) -> bool:
        """Whether an IQ of this type must be answered: get and set."""
        return self is IQType.GET or self is IQType.SET


_MESSAGE_TYPES = {member.value: member for member in MessageType}
_PRESENCE_TYPES = {member.value: member for member in PresenceType}
_IQ_TYPES = {member.value: member for member in IQType}
_SHOWS = {member.value: member for member in PresenceShow}


class Get(Generic[R]):
    """Base of payloads that are requested with an IQ of type get, and answered with an ``R``."""

    __slots__ = ()
    IQ_TYPE: ClassVar[IQType] = IQType.GET


class Set(Generic[R]):
    """Base of payloads that are requested with an IQ of type set, and answered with an ``R``."""

    __slots__ = ()
    IQ_TYPE: ClassVar[IQType] = IQType.SET


def response_type(payload_cls: type[Any]) -> tuple[type[Any] | None, bool]:
    """What answers a request of this class: the payload class (None: nothing), and whether it may be absent."""
    for base in getattr(payload_cls, "__orig_bases__", ()):
        if typing.get_origin(base) in (Get, Set):
            (answer,) = typing.get_args(base)
            if answer is None or answer is type(None):
                return None, True
            if typing.get_origin(answer) in (typing.Union, types.UnionType):
                options = [option for option in typing.get_args(answer) if option is not type(None)]
                return options[0], len(options) < len(typing.get_args(answer))
            return answer, False
    raise TypeError(f"{payload_cls.__name__} is not a request: it derives neither from Get[...] nor from Set[...]")


def _as_jid(value: JID | str | None) -> JID | None:
    return JID.parse(value) if isinstance(value, str) else value


class Stanza:
    """What the three stanzas have in common (RFC 6120 §8.1).

    `to` and `from_` are JIDs or None, `id` is a string or None (the stream fills it in when the stanza is enqueued),
    `lang` is the stanza's own xml:lang. `error` is the `XMPPError` that a stanza of type error carries.
    """

    __slots__ = ("_element", "_error", "_payloads", "from_", "id", "lang", "to")

    NAME: ClassVar[str]

    to: JID | None
    from_: JID | None
    id: str | None
    lang: str | None

    def __init__(
        self,
        *,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
        payloads: Iterable[Any] = (),
        error: XMPPError | None = None,
    ) -> None:
        self.to = _as_jid(to)
        self.from_ = _as_jid(from_)
        self.id = id
        self.lang = lang
        self._element: xml.Element | None = None
        self._payloads: list[Any] = list(payloads)
        self._error = error

    def __repr__(self) -> str:
        kind = cast(enum.Enum, self.type).name  # type: ignore[attr-defined]  # every subclass has a type
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

    def get(self, cls: type[P]) -> P | None:
        """The first payload of class `cls`, or None if there is none or it is malformed. Parsed only once."""
        return next(iter(self.get_all(cls)), None)

    def get_all(self, cls: type[P]) -> list[P]:
        """All well-formed payloads of class `cls`, in order."""
        tag, found = xml.tag_of(cls), []
        payloads = self.payloads
        for index, payload in enumerate(payloads):
            if type(payload) is cls:
                found.append(payload)
            elif isinstance(payload, xml.Element) and payload.tag == tag:
                try:
                    payloads[index] = parsed = xml.parse(cls, payload)
                except ElementError:
                    continue
                found.append(parsed)
        return found

    def validate(self) -> None:
        """Raise ValueError (or JIDError) if this stanza may not be sent; addresses given as strings become JIDs."""
        self.to = _as_jid(self.to)
        self.from_ = _as_jid(self.from_)

    def serialise(self) -> str:
        """The stanza as XML, to be written where ``jabber:client`` is the default namespace.

        Raises ValueError if it holds a character that XML cannot carry.
        """
        if self._element is not None:
            self._read()
        inner = "".join([self._serialise_own(), *(xml.serialise(payload, ns.CLIENT) for payload in self._payloads)])
        if self._error is not None:
            inner += serialise_error(self._error)
        start = f"<{self.NAME}{self._attributes()}"
        return f"{start}>{inner}</{self.NAME}>" if inner else f"{start}/>"

    def _attributes(self) -> str:
        text = ""
        if self.from_ is not None:
            text += f" from='{xml.escape_attr(str(self.from_))}'"
        if self.to is not None:
            text += f" to='{xml.escape_attr(str(self.to))}'"
        if self.id is not None:
            text += f" id='{xml.escape_attr(self.id)}'"
        if self.type.value:  # type: ignore[attr-defined]
            text += f" type='{self.type.value}'"  # type: ignore[attr-defined]
        if self.lang is not None:
            text += f" xml:lang='{xml.escape_attr(self.lang)}'"
        return text

    def _serialise_own(self) -> str:
        """The children that RFC 6121 defines for this kind of stanza."""
        return ""

    def _read(self) -> None:
        """Read the children of the element that we came from; it is forgotten afterwards."""
        element, self._element = self._element, None
        assert element is not None
        for child in element:
            if child.tag == _ERROR and self._error is None:
                self._error = parse_error(child)
            elif not self._read_own(child):
                self._payloads.append(child)

    def _read_own(self, child: xml.Element) -> bool:
        """Take `child` if it is one that RFC 6121 defines for this kind of stanza."""
        return False

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        """A stanza with the attributes of `element`, whose children are read later. Raises JIDError."""
        stanza = cls.__new__(cls)
        get = element.attrib.get
        to, from_ = get("to"), get("from")
        stanza.to = None if to is None else JID.parse_inbound(to)
        stanza.from_ = None if from_ is None else JID.parse_inbound(from_)
        stanza.id = get("id")
        stanza.lang = get(_XML_LANG)
        stanza._payloads = []
        stanza._error = None
        stanza._element = element
        return stanza


def _lang_texts(value: str | Mapping[str, str] | None) -> dict[str, str]:
    if value is None:
        return {}
    return {"": value} if isinstance(value, str) else dict(value)


def _preferred(texts: Mapping[str, str]) -> str | None:
    """The text without a language of its own, else the first one."""
    return texts.get("", next(iter(texts.values()), None))


def _serialise_texts(name: str, texts: Mapping[str, str]) -> str:
    pieces = []
    for lang, text in texts.items():
        attribute = f" xml:lang='{xml.escape_attr(lang)}'" if lang else ""
        pieces.append(f"<{name}{attribute}>{xml.escape(text)}</{name}>")
    return "".join(pieces)


class Message(Stanza):
    """A message (RFC 6121 §5).

    `bodies` and `subjects` map languages to texts, with ``""`` for a text without xml:lang; `body` and `subject` are
    the one text that most applications want. `thread` is the conversation's opaque id, `parent_thread` its parent.
    """

    __slots__ = ("_bodies", "_parent_thread", "_subjects", "_thread", "type")
    NAME = "message"
    type: MessageType

    def __init__(
        self,
        *,
        to: JID | str | None = None,
        type: MessageType = MessageType.NORMAL,
        body: str | Mapping[str, str] | None = None,
        subject: str | Mapping[str, str] | None = None,
        thread: str | None = None,
        parent_thread: str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
        payloads: Iterable[Any] = (),
        error: XMPPError | None = None,
    ) -> None:
        super().__init__(to=to, from_=from_, id=id, lang=lang, payloads=payloads, error=error)
        self.type = type
        self._bodies = _lang_texts(body)
        self._subjects = _lang_texts(subject)
        self._thread = thread
        self._parent_thread = parent_thread

    @property
    def bodies(self) -> dict[str, str]:
        """The texts of the message by language."""
        if self._element is not None:
            self._read()
        return self._bodies

    @property
    def body(self) -> str | None:
        """The text of the message: the one without xml:lang, else the first one, else None."""
        return _preferred(self.bodies)

    @body.setter
    def body(self, value: str | Mapping[str, str] | None) -> None:
        self.bodies.clear()
        self.bodies.update(_lang_texts(value))

    @property
    def subjects(self) -> dict[str, str]:
        """The subjects of the message by language."""
        if self._element is not None:
            self._read()
        return self._subjects

    @property
    def subject(self) -> str | None:
        """The subject: the one without xml:lang, else the first one, else None."""
        return _preferred(self.subjects)

    @subject.setter
    def subject(self, value: str | Mapping[str, str] | None) -> None:
        self.subjects.clear()
        self.subjects.update(_lang_texts(value))

    @property
    def thread(self) -> str | None:
        """The id of the conversation (RFC 6121 §5.2.5)."""
        if self._element is not None:
            self._read()
        return self._thread

    @thread.setter
    def thread(self, value: str | None) -> None:
        if self._element is not None:
            self._read()
        self._thread = value

    @property
    def parent_thread(self) -> str | None:
        """The id of the conversation that this one branched off from."""
        if self._element is not None:
            self._read()
        return self._parent_thread

    def reply(self, body: str | Mapping[str, str] | None = None, *, payloads: Iterable[Any] = ()) -> Message:
        """A message of the same type and thread to whom this one came from; to the room, for a groupchat message."""
        to = self.from_
        if to is not None and self.type is MessageType.GROUPCHAT:
            to = to.bare
        return Message(to=to, type=self.type, body=body, thread=self.thread, payloads=payloads)

    def make_error(self, error: XMPPError) -> Message:
        """The error stanza that tells the sender of this message why it was refused (RFC 6120 §8.3)."""
        return Message(to=self.from_, from_=self.to, id=self.id, type=MessageType.ERROR, error=error)

    def validate(self) -> None:
        """Raise ValueError if this message may not be sent."""
        super().validate()
        if (self.type is MessageType.ERROR) != (self.error is not None):
            raise ValueError("a message carries an error if, and only if, its type is ERROR (RFC 6120 §8.3.1)")

    def _serialise_own(self) -> str:
        pieces = ""
        if self._subjects:
            pieces += _serialise_texts("subject", self._subjects)
        if self._bodies:
            pieces += _serialise_texts("body", self._bodies)
        if self._thread is not None:
            parent = f" parent='{xml.escape_attr(self._parent_thread)}'" if self._parent_thread is not None else ""
            pieces += f"<thread{parent}>{xml.escape(self._thread)}</thread>"
        return pieces

    def _read_own(self, child: xml.Element) -> bool:
        tag = child.tag
        if tag == _BODY:
            self._bodies.setdefault(child.get(_XML_LANG, ""), "".join(child.itertext()))
        elif tag == _SUBJECT:
            self._subjects.setdefault(child.get(_XML_LANG, ""), "".join(child.itertext()))
        elif tag == _THREAD and self._thread is None:
            self._thread = child.text or ""
            self._parent_thread = child.get("parent")
        else:
            return False
        return True

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        message = super()._from_element(element)
        message.type = _MESSAGE_TYPES.get(element.attrib.get("type", "normal"), MessageType.NORMAL)
        message._bodies, message._subjects = {}, {}
        message._thread = message._parent_thread = None
        return message


class Presence(Stanza):
    """A presence (RFC 6121 §4).

    `show` is a `PresenceShow` or None, `statuses` maps languages to texts as `Message.bodies` does, `priority` is
    -128 to 127. On reading, a show or a priority that RFC 6121 does not allow is as good as absent.
    """

    __slots__ = ("_priority", "_show", "_statuses", "type")
    NAME = "presence"
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
        payloads: Iterable[Any] = (),
        error: XMPPError | None = None,
    ) -> None:
        super().__init__(to=to, from_=from_, id=id, lang=lang, payloads=payloads, error=error)
        self.type = type
        self._show = show
        self._statuses = _lang_texts(status)
        self._priority = priority

    @property
    def show(self) -> PresenceShow | None:
        """How available the resource is; None: simply available."""
        if self._element is not None:
            self._read()
        return self._show

    @show.setter
    def show(self, value: PresenceShow | None) -> None:
        if self._element is not None:
            self._read()
        self._show = value

    @property
    def statuses(self) -> dict[str, str]:
        """The texts of the presence by language."""
        if self._element is not None:
            self._read()
        return self._statuses

    @property
    def status(self) -> str | None:
        """The text of the presence: the one without xml:lang, else the first one, else None."""
        return _preferred(self.statuses)

    @property
    def priority(self) -> int:
        """The priority of the resource, 0 if none is given."""
        if self._element is not None:
            self._read()
        return self._priority

    @priority.setter
    def priority(self, value: int) -> None:
        if self._element is not None:
            self._read()
        self._priority = value

    def make_error(self, error: XMPPError) -> Presence:
        """The error stanza that tells the sender of this presence why it was refused (RFC 6120 §8.3)."""
        return Presence(to=self.from_, from_=self.to, id=self.id, type=PresenceType.ERROR, error=error)

    def validate(self) -> None:
        """Raise ValueError if this presence may not be sent."""
        super().validate()
        if (self.type is PresenceType.ERROR) != (self.error is not None):
            raise ValueError("a presence carries an error if, and only if, its type is ERROR (RFC 6120 §8.3.1)")
        if not -128 <= self.priority <= 127:
            raise ValueError("a priority is between -128 and 127 (RFC 6121 §4.7.2.3)")

    def _serialise_own(self) -> str:
        pieces = ""
        if self._show is not None:
            pieces += f"<show>{self._show.value}</show>"
        if self._statuses:
            pieces += _serialise_texts("status", self._statuses)
        if self._priority:
            pieces += f"<priority>{self._priority}</priority>"
        return pieces

    def _read_own(self, child: xml.Element) -> bool:
        tag = child.tag
        if tag == _SHOW:
            self._show = _SHOWS.get((child.text or "").strip(), self._show)
        elif tag == _STATUS:
            self._statuses.setdefault(child.get(_XML_LANG, ""), "".join(child.itertext()))
        elif tag == _PRIORITY:
            try:
                priority = int((child.text or "")[:8])
            except ValueError:
                return True
            self._priority = priority if -128 <= priority <= 127 else 0
        else:
            return False
        return True

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        kind = _PRESENCE_TYPES.get(element.attrib.get("type", ""))
        if kind is None:
            raise ElementError("no such type of presence", "presence/@type")
        presence = super()._from_element(element)
        presence.type = kind
        presence._show, presence._statuses, presence._priority = None, {}, 0
        return presence


class IQ(Stanza):
    """A request or its answer (RFC 6120 §8.2.3).

    `payload` is the one child of a request, the child of a result or None, and None for an error.
    """

    __slots__ = ("type",)
    NAME = "iq"
    type: IQType

    def __init__(
        self,
        *,
        type: IQType,
        payload: Any = None,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        id: str | None = None,
        lang: str | None = None,
        error: XMPPError | None = None,
    ) -> None:
        payloads = () if payload is None else (payload,)
        super().__init__(to=to, from_=from_, id=id, lang=lang, payloads=payloads, error=error)
        self.type = type

    @property
    def payload(self) -> Any:
        """The payload: a typed object, XML not yet parsed, or None. An error echoes none (RFC 6120 §8.3.1)."""
        payloads = self.payloads
        return payloads[0] if payloads and self.type is not IQType.ERROR else None

    @payload.setter
    def payload(self, value: Any) -> None:
        self.payloads = [] if value is None else [value]

    def make_result(self, payload: Any = None) -> IQ:
        """The result that answers this request."""
        return IQ(to=self.from_, from_=self.to, id=self.id, type=IQType.RESULT, payload=payload)

    def make_error(self, error: XMPPError) -> IQ:
        """The error that answers this request."""
        return IQ(to=self.from_, from_=self.to, id=self.id, type=IQType.ERROR, error=error)

    def validate(self) -> None:
        """Raise ValueError if this IQ may not be sent."""
        super().validate()
        if (self.type is IQType.ERROR) != (self.error is not None):
            raise ValueError("an IQ carries an error if, and only if, its type is ERROR (RFC 6120 §8.3.1)")
        if self.type.is_request and len(self.payloads) != 1:
            raise ValueError("an IQ of type get or set has exactly one payload (RFC 6120 §8.2.3)")
        if self.type is IQType.RESULT and len(self.payloads) > 1:
            raise ValueError("an IQ of type result has at most one payload (RFC 6120 §8.2.3)")

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        kind = _IQ_TYPES.get(element.attrib.get("type", ""))
        if kind is None:
            raise ElementError("no such type of IQ", "iq/@type")
        iq = super()._from_element(element)
        iq.type = kind
        if not iq.id:
            raise ElementError("an IQ has an id", "iq/@id")
        return iq


_STANZAS: dict[str, type[Message] | type[Presence] | type[IQ]] = {
    f"{{{ns.CLIENT}}}{cls.NAME}": cls for cls in (Message, Presence, IQ)
}


def parse_stanza(element: xml.Element) -> Message | Presence | IQ | None:
    """The stanza that `element` is, or None if it is none (its tag is not one of the three).

    Raises ErroneousStanza for one that cannot be understood. Its `partial` is None unless sender, type and id could be
    read: a stanza whose ``from`` is malformed has *no known sender*, which is not the same as coming from our own
    server, so nobody may act on it.
    """
    cls = _STANZAS.get(str(element.tag))
    if cls is None:
        return None
    try:
        stanza = cls._from_element(element)
    except (JIDError, ElementError) as exc:
        raise ErroneousStanza(f"malformed {cls.NAME}: {exc}") from exc
    if type(stanza) is IQ:
        _check_iq(stanza)
    return stanza


def _check_iq(iq: IQ) -> None:
    """Raise ErroneousStanza, with the IQ as `partial`, if its children do not fit its type (RFC 6120 §8.2.3)."""
    if iq.type is IQType.ERROR:
        if iq.error is None:
            raise ErroneousStanza("an IQ of type error has an error", iq)
    elif len(iq.payloads) > 1:
        raise ErroneousStanza("an IQ has at most one payload", iq)
