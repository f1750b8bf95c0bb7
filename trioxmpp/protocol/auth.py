"""SASL in XMPP (RFC 6120 §6): its elements, and the exchange of messages that they carry.

A mechanism is a generator of bytes (`sasl.mechanism.Mechanism`). `SASLExchange` writes its messages as elements, reads
the server's, and decides what a success is worth. It neither reads nor writes a stream: a caller does. SASL2 (XEP-0388)
has other elements and the same exchange, see `sasl2.SASL2Exchange`.
"""

from __future__ import annotations

from typing import Self

from .. import xml
from ..errors import AuthenticationFailure, ElementError
from ..text import printable
from ..xml.codec import codec_for
from . import ns
from .sasl import Derivation, SASLAttempt
from .sasl.redaction import hide_message

__all__ = ["Auth", "Challenge", "Failure", "Response", "SASLExchange", "Success"]

_BASE64: xml.Codec[bytes] = codec_for(bytes)


def _decode(text: str) -> bytes:
    return b"" if text.strip() == "=" else _BASE64.decode(text)


def _decode_optional(text: str) -> bytes | None:
    return _decode(text) if text.strip() else None


# No data, and data of no length, are different: the latter is "=" (RFC 6120 §6.4.2). White space around is ignored.
_DATA = xml.Codec(_decode, lambda data: _BASE64.encode(data) or "=", is_plain=True)
_OPTIONAL_DATA = xml.Codec(
    _decode_optional, lambda data: "" if data is None else _BASE64.encode(data) or "=", is_plain=True
)


@xml.element(ns.SASL, "auth")
class Auth:
    """The client begins, with this mechanism (RFC 6120 §6.4.2)."""

    mechanism: str = xml.attr()
    data: bytes | None = xml.text(default=None, codec=_OPTIONAL_DATA, repr=False)


@xml.element(ns.SASL, "challenge")
class Challenge:
    """A message of the server that is not the last one (RFC 6120 §6.4.3)."""

    data: bytes = xml.text(codec=_DATA)


@xml.element(ns.SASL, "response")
class Response:
    """The client's answer to a challenge (RFC 6120 §6.4.3)."""

    data: bytes | None = xml.text(default=None, codec=_OPTIONAL_DATA, repr=False)


@xml.element(ns.SASL, "success")
class Success:
    """The server accepts the login (RFC 6120 §6.4.6)."""

    data: bytes | None = xml.text(default=None, codec=_OPTIONAL_DATA)


@xml.element(ns.SASL, "text")
class _Text:
    text: str = xml.text()


@xml.element(ns.SASL, "failure")
class Failure:
    """The server refuses the login (RFC 6120 §6.4.5). One of the others is the condition, by its name."""

    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()

    @classmethod
    def of(cls, others: tuple[xml.Element, ...], text: str) -> Self:
        """Return the failure that another profile of SASL says by other elements."""
        return cls(texts=(_Text(text=text),), others=others)

    @property
    def condition(self) -> str:
        """The name of the condition, known or not; *not-authorized* if the server names none.

        In SASL2, too, a condition is in the namespace of RFC 6120. A condition that is not defined may be in that of
        SASL2. An element in any other namespace tells more about a condition, and is not one itself (RFC 6120 §6.5).
        """
        names = {namespace: name for namespace, name in map(_name, reversed(self.others)) if name != "text"}
        return names.get(ns.SASL) or names.get(ns.SASL2) or "not-authorized"

    @property
    def text(self) -> str:
        """The text of the server; empty if there is none."""
        return self.texts[0].text if self.texts else ""


def _name(element: xml.Element) -> tuple[str, str]:
    namespace, _, name = str(element.tag).removeprefix("{").rpartition("}")
    return namespace, name


# The conditions of RFC 6120 §6.5. Any other is treated like not-authorized.
_ADVICE = {
    "aborted": "the attempt was given up",
    "account-disabled": "the account is disabled; ask the operator of the server",
    "credentials-expired": "the credentials have expired; get new ones",
    "encryption-required": "the server wants TLS first",
    "incorrect-encoding": "the server did not understand us; this is a bug of ours or of the server",
    "invalid-authzid": "we may not act as the identity that the credentials name",
    "invalid-mechanism": "the server does not accept the mechanism that it offered; ask its operator",
    "malformed-request": "the server did not understand us; this is a bug of ours or of the server",
    "mechanism-too-weak": "the server wants a stronger mechanism for this account",
    "temporary-auth-failure": "the server cannot check the login at the moment; try again later",
}


class SASLExchange:
    """One attempt to log in, as a value.

    `outgoing` is the element to write next. `derivation`, if it is not None, has to be computed first, and its key
    given to `derived`. `receive` takes the server's answer, and returns True once both sides are satisfied. A mechanism
    that lets the server prove itself, as SCRAM does, must have ended by then:

    - ``<success/>`` with data: the data is the mechanism's last message, and is checked before the success counts;
    - ``<success/>`` without data: it counts only if the last message came before, as a challenge, and was right;
    - ``<success/>`` earlier than that: the server is not the one it claims to be, AuthenticationFailure.

    A failure is final. Another attempt needs a new exchange, with a new nonce.
    """

    def __init__(self, attempt: SASLAttempt) -> None:
        self.outgoing: str | None = None
        self.derivation: Derivation | None = None
        self.attempt = attempt
        self._mechanism = attempt.mechanism
        self._sent: list[bytes] = []
        self.finished: bool = False
        self._failed = False
        self._proved = False
        try:
            first = next(self._mechanism)
        except AuthenticationFailure as failure:
            self._annotate(failure)
            raise
        assert isinstance(first, bytes)
        self._sent.append(first)
        self.outgoing = self._opening(attempt.name, first)

    @property
    def unproven(self) -> str | None:
        """Why the login may be weaker than the server wants it, unless the server has proved its offer (XEP-0474)."""
        return None if self._proved else self.attempt.unproven

    def hide(self, text: str) -> str:
        """Return a text of the server without our secrets, in whatever encoding it repeats them."""
        text = self.attempt.credentials.hide(text)
        for message in self._sent:
            text = hide_message(message, text)
        return text

    def receive(self, element: xml.Element) -> bool:
        """Take the server's answer. Raises AuthenticationFailure, whose text does not reveal our secrets."""
        if self._failed or self.derivation is not None:
            # A generator that has failed looks like one that is satisfied; and no answer must ever pass for a key.
            raise RuntimeError("the exchange has failed, or waits for `derived`")
        self.outgoing = None
        try:
            return self._take(element)
        except AuthenticationFailure as failure:
            self._failed = True
            self._annotate(failure)
            raise

    def _take(self, element: xml.Element) -> bool:
        match self._read(element):
            case Challenge(data=data):
                self.advance(data)
                if self.finished:
                    self.outgoing = self._response(None)  # the last message came as a challenge, and was right
                return False
            case Success(data=data):
                if not self.finished:
                    self.advance(data)
                if not self.finished:
                    raise AuthenticationFailure("the server let us in before it had proved who it is")
                return True
            case refusal:
                failure = self._failure(refusal)
                self._mechanism.throw(failure)  # which may raise one that tells more
                raise failure

    def derived(self, key: bytes) -> None:
        """Take the key that `derivation` asked for."""
        self.derivation = None
        self.advance(key)

    def _annotate(self, failure: AuthenticationFailure) -> None:
        failure.offered, failure.tried = self.attempt.offered, (self.attempt.name,)

    def advance(self, message: bytes | None) -> None:
        """Give the mechanism a message of the server, or a key that it asked for. Raises AuthenticationFailure."""
        if self.finished:
            raise AuthenticationFailure("the server sends another message after the last one")
        try:
            answer = self._mechanism.send(message)
        except StopIteration as end:
            self.finished = True
            self._proved = bool(end.value)
            return
        if isinstance(answer, Derivation):
            self.derivation = answer
        else:
            self._sent.append(answer)
            self.outgoing = self._response(answer)

    def _failure(self, refusal: Failure) -> AuthenticationFailure:
        condition = refusal.condition
        condition = condition if condition in _ADVICE else printable(self.hide(condition), 100)
        text = printable(self.hide(refusal.text))
        advice = _ADVICE.get(condition, "check the address and the password")
        reason = f"{condition}: {text}" if text else condition
        return AuthenticationFailure(f"the server refused the login ({reason}); {advice}", condition)

    def unexpected(self, element: xml.Element) -> AuthenticationFailure:
        """Return the error for an element that has no place in the exchange."""
        tag = printable(self.hide(str(element.tag)), 200)
        return AuthenticationFailure(f"the server answered the login with {tag}")

    # How a profile of SASL writes and reads it all (RFC 6120 §6.3).

    def _opening(self, mechanism: str, data: bytes) -> str:
        return xml.serialise(Auth(mechanism=mechanism, data=data))

    def _response(self, data: bytes | None) -> str:
        return xml.serialise(Response(data=data))

    def _read(self, element: xml.Element) -> Challenge | Success | Failure:
        known: tuple[type[Challenge | Success | Failure], ...] = (Challenge, Success, Failure)
        if str(element.tag) not in map(xml.tag_of, known):
            raise self.unexpected(element)
        try:
            return xml.parse_any(element, *known)
        except ElementError:
            raise AuthenticationFailure("the server sent something that is not base64") from None
