"""Messages (RFC 6121 §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from ... import xml
from ...errors import XMPPError
from ...jid import JID
from .. import ns
from .base import LANG, Stanza, inner_text, lang_texts, preferred, serialise_texts
from .types import MessageType

__all__ = ["Message"]

_TYPES = {member.value: member for member in MessageType}
_NORMAL = MessageType.NORMAL
_BODY, _SUBJECT, _THREAD = (f"{{{ns.CLIENT}}}{name}" for name in ("body", "subject", "thread"))


class Message(Stanza):
    """A message (RFC 6121 §5).

    `bodies` and `subjects` map languages to texts, with ``""`` for a text without xml:lang in a stanza without; `body`
    and `subject` are the one text that most applications want. `thread` is the conversation's opaque id,
    `parent_thread` its parent.
    """

    __slots__ = ("_bodies", "_parent_thread", "_subjects", "_thread", "type")
    NAME = "message"
    TYPES = MessageType
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
        Stanza.__init__(self, to, from_, id, lang, payloads, error)
        self.type = type
        self._bodies = {"": body} if isinstance(body, str) else lang_texts(body)
        self._subjects = {} if subject is None else lang_texts(subject)
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
        """The text of the message: the one in its own language, else one without any, else the first one, else None."""
        if self._element is not None:
            # Mostly there is one, and it is all that is wanted: no need to look at the other children.
            texts = [inner_text(child) for child in self._element.iterchildren(_BODY)]
            if len(texts) < 2:
                return texts[0] if texts else None
        return preferred(self.bodies, self.lang)

    @body.setter
    def body(self, value: str | Mapping[str, str] | None) -> None:
        self.bodies.clear()
        self.bodies.update(lang_texts(value))

    @property
    def subjects(self) -> dict[str, str]:
        """The subjects of the message by language."""
        if self._element is not None:
            self._read()
        return self._subjects

    @property
    def subject(self) -> str | None:
        """The subject: the one in its own language, else one without any, else the first one, else None."""
        return preferred(self.subjects, self.lang)

    @subject.setter
    def subject(self, value: str | Mapping[str, str] | None) -> None:
        self.subjects.clear()
        self.subjects.update(lang_texts(value))

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

    @parent_thread.setter
    def parent_thread(self, value: str | None) -> None:
        if self._element is not None:
            self._read()
        self._parent_thread = value

    def reply(self, body: str | Mapping[str, str] | None = None, *, payloads: Iterable[Any] = ()) -> Message:
        """A message of the same type and thread to whom this one came from; to the room, for a groupchat message."""
        to = self.from_
        if to is not None and self.type is MessageType.GROUPCHAT:
            to = to.bare
        return Message(to=to, type=self.type, body=body, thread=self.thread, payloads=payloads)

    def make_error(self, error: XMPPError) -> Message:
        """The error stanza that tells the sender of this message why it was refused (RFC 6120 §8.3)."""
        return Message(to=self.from_, from_=self.to, id=self.id, type=MessageType.ERROR, error=error)

    def _serialise_own(self) -> str:
        pieces, bodies = "", self._bodies
        if self._subjects:
            pieces += serialise_texts("subject", self._subjects, self.lang)
        if len(bodies) == 1 and "" in bodies:
            pieces += f"<body>{xml.escape(bodies[''])}</body>"
        elif bodies:
            pieces += serialise_texts("body", bodies, self.lang)
        if self._thread is not None:
            parent = f" parent='{xml.escape_attr(self._parent_thread)}'" if self._parent_thread is not None else ""
            pieces += f"<thread{parent}>{xml.escape(self._thread)}</thread>"
        return pieces

    def _read_own(self, child: xml.Element) -> bool:
        tag = child.tag
        if tag == _BODY:
            self._bodies.setdefault(child.get(LANG, self.lang or ""), inner_text(child))
        elif tag == _SUBJECT:
            self._subjects.setdefault(child.get(LANG, self.lang or ""), inner_text(child))
        elif tag == _THREAD and self._thread is None:
            self._thread = child.text or ""
            self._parent_thread = child.get("parent")
        else:
            return False
        return True

    @classmethod
    def _from_element(cls, element: xml.Element) -> Self:
        message = super()._from_element(element)
        message.type = _TYPES.get(element.get("type", "normal"), _NORMAL)
        message._bodies, message._subjects = {}, {}
        message._thread = message._parent_thread = None
        return message
