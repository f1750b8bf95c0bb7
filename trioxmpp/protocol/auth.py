"""The elements around SASL (RFC 6120 §6), and the exchange that they carry."""

from __future__ import annotations

import base64
from typing import Self

from .. import xml
from ..errors import AuthenticationFailure, ElementError
from ..text import printable
from . import ns
from .sasl import Credentials, Derivation, SASLAttempt

__all__ = ["Auth", "Challenge", "Failure", "Response", "SASLExchange", "Success"]


def _decode(text: str) -> bytes:
    try:
        return b"" if text == "=" else base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("not base64") from None


# No data, and data of no length, are two things: the latter is "=" (RFC 6120 §6.4.2).
_DATA = xml.Codec(_decode, lambda data: base64.b64encode(data).decode() or "=", is_plain=True)


@xml.element(ns.SASL, "auth")
class Auth:
    """Let me in, by this mechanism."""

    mechanism: str = xml.attr()
    data: bytes | None = xml.text(default=None, codec=_DATA, repr=False)


@xml.element(ns.SASL, "challenge")
class Challenge:
    """What the server has to say in between."""

    data: bytes = xml.text(codec=_DATA)


@xml.element(ns.SASL, "response")
class Response:
    """The answer to a challenge."""

    data: bytes | None = xml.text(default=None, codec=_DATA, repr=False)


@xml.element(ns.SASL, "success")
class Success:
    """We are in."""

    data: bytes | None = xml.text(default=None, codec=_DATA)


@xml.element(ns.SASL, "text")
class _Text:
    text: str = xml.text()


@xml.element(ns.SASL, "failure")
class Failure:
    """We are not. The condition is one of the others: whatever it is called."""

    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()

    @classmethod
    def of(cls, others: tuple[xml.Element, ...], text: str) -> Self:
        """What another profile of SASL says in its own words."""
        return cls(texts=(_Text(text=text),), others=others)

    @property
    def condition(self) -> str:
        """The name of the condition; *not-authorized* if there is none."""
        tags = (str(other.tag).rpartition("}") for other in self.others)
        return next((name for namespace, _, name in tags if namespace == f"{{{ns.SASL}"), "not-authorized")

    @property
    def text(self) -> str:
        """What the server says about it."""
        return self.texts[0].text if self.texts else ""


# RFC 6120 §6.5. What is not here, also what nobody has heard of, is like not-authorized.
_ADVICE = {
    "aborted": "the attempt was given up",
    "account-disabled": "the account is disabled; ask who runs the server",
    "credentials-expired": "the credentials have expired; get new ones",
    "encryption-required": "the server wants TLS first",
    "incorrect-encoding": "the server did not understand us; this is a bug, here or there",
    "invalid-authzid": "we may not act as the identity that the credentials name",
    "invalid-mechanism": "the server does not take the mechanism that it offered; ask who runs it",
    "malformed-request": "the server did not understand us; this is a bug, here or there",
    "mechanism-too-weak": "the server wants a stronger mechanism for this account",
    "temporary-auth-failure": "the server cannot tell at the moment; try again later",
}


class SASLExchange:
    """One attempt to log in, as a value.

    `outgoing` is the element to write next. `derivation`, if it is not None, has to be computed first, and its key
    given to `derived`. `receive` takes the server's answer and returns True once both sides are satisfied. A mechanism that
    lets the server prove itself, as SCRAM does, must have come to its end by then:

    - ``<success/>`` with data: the data is the mechanism's last message, and is judged before we believe anything;
    - ``<success/>`` without data: good only if the last message came before, as a challenge that was fine;
    - ``<success/>`` earlier than that: the server is not who it should be, AuthenticationFailure.

    A failure is final. Who tries again does so with a new exchange, and a new nonce.
    """

    def __init__(self, attempt: SASLAttempt) -> None:
        self.outgoing: str | None = None
        self.derivation: Derivation | None = None
        self._attempt = attempt
        self._mechanism = attempt.mechanism
        self._finished = False
        self._failed = False
        try:
            first = next(self._mechanism)
        except AuthenticationFailure as failure:
            self._annotate(failure)
            raise
        assert isinstance(first, bytes)
        self.outgoing = self._opening(attempt.name, first)

    def receive(self, element: xml.Element) -> bool:
        """Take what the server said. Raises AuthenticationFailure; what it says does not reveal our secrets."""
        if self._failed or self.derivation is not None:
            # An ended generator looks like one that is satisfied; and what the server says must never pass for a key.
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
                self._advance(data)
                if self._finished:
                    self.outgoing = self._response(None)  # the last message came as a challenge, and was fine
                return False
            case Success(data=data):
                if not self._finished:
                    self._advance(data)
                if not self._finished:
                    raise AuthenticationFailure("the server let us in before it had proved who it is")
                return True
            case refusal:
                failure = _failure(refusal, self._attempt.credentials)
                self._mechanism.throw(failure)  # which may say more about it
                raise failure

    def derived(self, key: bytes) -> None:
        """The key that `derivation` asked for."""
        self.derivation = None
        self._advance(key)

    def _annotate(self, failure: AuthenticationFailure) -> None:
        failure.offered, failure.tried = self._attempt.offered, (self._attempt.name,)

    def _advance(self, said: bytes | None) -> None:
        if self._finished:
            raise AuthenticationFailure("the server goes on talking though everything was said")
        try:
            answer = self._mechanism.send(said)
        except StopIteration:
            self._finished = True
            return
        if isinstance(answer, Derivation):
            self.derivation = answer
        else:
            self.outgoing = self._response(answer)

    # What the profile of SASL decides (RFC 6120 §6.3): how it is all written.

    def _opening(self, mechanism: str, data: bytes) -> str:
        return xml.serialise(Auth(mechanism=mechanism, data=data))

    def _response(self, data: bytes | None) -> str:
        return xml.serialise(Response(data=data))

    def _read(self, element: xml.Element) -> Challenge | Success | Failure:
        known: tuple[type[Challenge | Success | Failure], ...] = (Challenge, Success, Failure)
        if str(element.tag) not in map(xml.tag_of, known):
            raise AuthenticationFailure(f"the server answered the login with {printable(str(element.tag), 200)}")
        try:
            return xml.parse_any(element, *known)
        except ElementError:
            raise AuthenticationFailure("the server sent something that is not base64") from None


def _failure(refusal: Failure, credentials: Credentials) -> AuthenticationFailure:
    # Whoever gets a password or a token may be so unwise as to repeat it.
    condition = refusal.condition
    condition = condition if condition in _ADVICE else printable(credentials.hide(condition), 100)
    text = printable(credentials.hide(refusal.text))
    advice = _ADVICE.get(condition, "check the address and the password")
    said = f": {text}" if text else ""
    return AuthenticationFailure(f"the server refused the login ({condition}{said}); {advice}", condition)
