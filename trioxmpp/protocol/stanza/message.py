"""Messages (RFC 6121 §5)."""

from __future__ import annotations

import enum
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
from .types import MessageType

__all__ = ["Message"]

_ERROR, _GROUPCHAT = MessageType.ERROR, MessageType.GROUPCHAT
_BODY, _SUBJECT, _THREAD = (f"{{{ns.CLIENT}}}{name}" for name in ("body", "subject", "thread"))


class Message(Stanza):
    """A message (RFC 6121 §5).

    `bodies` and `subjects` map languages to texts, with ``""`` for a text without xml:lang in a stanza without; `body`
    and `subject` are the one text that most applications want. `thread` is the opaque id of the conversation,
    `parent_thread` that of its parent.
    """

    __slots__ = ("_bodies", "_parent_thread", "_subjects", "_thread", "type")
    NAME: ClassVar[str] = "message"
    TYPES: ClassVar[type[enum.Enum]] = MessageType
    KINDS: ClassVar[Mapping[str | None, Any]] = {member.value: member for member in MessageType}
    OTHER_KIND: ClassVar[Any] = MessageType.NORMAL
    OWN: ClassVar[frozenset[str]] = frozenset({_BODY, _SUBJECT, _THREAD})
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
        payloads: Iterable[xml.Declared | xml.Element] = (),
        error: XMPPError | None = None,
    ) -> None:
        Stanza.__init__(self, to, from_, id, lang, payloads, error)
        if type.__class__ is not MessageType:
            raise TypeError(f"type must be a MessageType, not {type!r}")
        self.type = type
        self._bodies = {"": body} if isinstance(body, str) else texts_by_language("body", body)
        self._subjects = None if subject is None else texts_by_language("subject", subject)
        if thread is not None:
            check_class("thread", thread, str)
        self._thread = thread
        self._parent_thread = parent_thread

    bodies: dict[str, str] = lazy("_bodies", "The texts of the message by language.")
    thread: str | None = lazy("_thread", "The id of the conversation (RFC 6121 §5.2.5).")
    parent_thread: str | None = lazy("_parent_thread", "The id of the conversation from which this one branched off.")

    @property
    def subjects(self) -> dict[str, str]:
        """The subjects of the message by language."""
        if self._element is not None:
            self._read()
        if self._subjects is None:
            self._subjects = {}
        return self._subjects

    @subjects.setter
    def subjects(self, value: dict[str, str]) -> None:
        if self._element is not None:
            self._read()
        self._subjects = value

    @property
    def body(self) -> str | None:
        """The text in the language of the message, else the one without a language, else the first one, else None."""
        if self._element is not None:
            # Usually there is one body, and the application needs no other child: do not read the others.
            if len(self._element) == 1:
                bodies = [child for child in self._element if child.tag == _BODY]
            else:
                bodies = [*self._element.iterchildren(_BODY)]
            if len(bodies) < 2:
                if not bodies:
                    return None
                body = bodies[0]
                return inner_text(body) if len(body) else body.text or ""
        return preferred(self.bodies, self.lang)

    @body.setter
    def body(self, value: str | Mapping[str, str] | None) -> None:
        texts = texts_by_language("body", value)
        self.bodies.clear()
        self.bodies.update(texts)

    @property
    def subject(self) -> str | None:
        """The subject: the one in its own language, else one without any, else the first one, else None."""
        return preferred(self.subjects, self.lang)

    @subject.setter
    def subject(self, value: str | Mapping[str, str] | None) -> None:
        texts = texts_by_language("subject", value)
        self.subjects.clear()
        self.subjects.update(texts)

    def reply(
        self,
        body: str | Mapping[str, str] | None = None,
        *,
        from_: JID | str | None = None,
        payloads: Iterable[xml.Declared | xml.Element] = (),
    ) -> Message:
        """Return a message of the same type and thread to the sender of this one; to the room, for a groupchat message.

        A component says by `from_` which of its addresses answers; a client leaves that to its server.
        Raises ValueError for a message of type error, which must not be answered (RFC 6120 §8.3.1).
        """
        if self.type is _ERROR:
            raise ValueError("a message of type error must not be answered (RFC 6120 §8.3.1)")
        to = self.from_
        if to is not None and self.type is _GROUPCHAT:
            to = to.bare
        return Message(to=to, from_=from_, type=self.type, body=body, thread=self.thread, payloads=payloads)

    def make_error(self, error: XMPPError) -> Message:
        """Return the error stanza that tells the sender of this message why it was refused (RFC 6120 §8.3).

        Raises ValueError for a message of type error, which must not be answered (RFC 6120 §8.3.1).
        """
        if self.type is _ERROR:
            raise ValueError("a message of type error must not be answered (RFC 6120 §8.3.1)")
        return Message(to=self.from_, from_=self.to, id=self.id, type=MessageType.ERROR, error=error)

    def _check_texts(self) -> int:
        text, length = self.id or "", 0
        if self._thread is not None or self._parent_thread is not None:
            text += (self._thread or "") + (self._parent_thread or "")
        if self._subjects:
            text += "".join(self._subjects.values()) + "".join(self._subjects)
        for lang in self._bodies:
            body = self._checked = self._bodies[lang]
            text += lang
            self._escaped = xml.escape(body)  # usually the one long text: to look at it twice would cost more
            length += len(body)
        return length + len(text) if not text or is_legal(text) else -1

    def _length_of_texts(self) -> int:
        length, bodies = 0, self._bodies
        for lang in bodies:
            length += len(bodies[lang])
        if self._subjects:
            length += sum(map(len, self._subjects.values()))
        if self.id is not None:
            length += len(self.id)
        if self._thread is not None:
            length += len(self._thread) + len(self._parent_thread or "")
        return length

    def _named_texts(self) -> Iterator[tuple[str, Any]]:
        yield from super()._named_texts()
        for field, texts in (("body", self._bodies), ("subject", self._subjects or {})):
            for lang, text in texts.items():
                yield field, lang
                yield field, text
        if self._thread is not None:
            yield "thread", self._thread
        if self._parent_thread is not None:
            yield "parent_thread", self._parent_thread

    def _serialise_own(self) -> str:
        pieces, bodies = "", self._bodies
        if self._subjects:
            pieces += serialise_texts("subject", self._subjects, self.lang)
        if len(bodies) == 1 and "" in bodies:
            body, escaped = bodies[""], self._escaped
            if escaped is None or self._checked is not body:
                escaped = xml.escape(body)
            pieces += f"<body>{escaped}</body>"
            self._checked = self._escaped = None
        elif bodies:
            pieces += serialise_texts("body", bodies, self.lang)
        if self._thread is not None:
            parent = f" parent='{xml.escape_attr(self._parent_thread)}'" if self._parent_thread is not None else ""
            pieces += f"<thread{parent}>{xml.escape(self._thread)}</thread>"
        return pieces

    def _read(self) -> None:
        self._bodies, self._subjects, self._thread, self._parent_thread = {}, None, None, None
        super()._read()

    def _read_own(self, child: xml.Element) -> bool:
        tag = child.tag
        if tag == _BODY:
            self._bodies.setdefault(child.get(LANG, self.lang or ""), inner_text(child))
        elif tag == _SUBJECT:
            self.subjects.setdefault(child.get(LANG, self.lang or ""), inner_text(child))
        elif self._thread is None:
            self._thread = child.text or ""
            self._parent_thread = child.get("parent")
        else:
            return False
        return True
