"""SASL2 (XEP-0388): the login whose request and answer carry what used to come after it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from .. import xml
from ..errors import AuthenticationFailure, ElementError, JIDError, StreamNegotiationFailure
from ..jid import JID
from ..record import field, record
from ..text import printable
from . import auth, ns, sm
from .auth import SASLExchange
from .bind2 import Bind, BindOffer, Bound
from .fast import Fast, FastOffer, RequestToken, Token
from .sasl import SASLAttempt
from .sasl.upgrade import Hash, Salt, Upgrade, derivation

__all__ = [
    "Authenticate",
    "Continue",
    "InlineResults",
    "LoginRequests",
    "Next",
    "SASL2Exchange",
    "SASL2Offer",
    "Success",
    "TaskData",
    "UserAgent",
    "parse_offer",
]


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # some servers break the lines
    except ValueError:
        raise ValueError("not base64") from None


# No data is no element, and data of no length an empty one: "=" means nothing here (XEP-0388 §2.2).
_DATA = xml.Codec(_decode, lambda data: base64.b64encode(data).decode(), is_plain=True)


# --- what is offered


@xml.element(ns.SASL2, "mechanism")
class _Mechanism:
    name: str = xml.text()


@xml.element(ns.SM, "sm")
class _SM:
    pass


@xml.element(ns.SASL2, "inline")
class _Inline:
    bind: BindOffer | None = xml.child(default=None)
    sm: _SM | None = xml.child(default=None)
    fast: FastOffer | None = xml.child(default=None)


@xml.element(ns.SASL2, "authentication")
class SASL2Offer:
    """What the server offers. Its mechanisms need not be those that it offers for the login of RFC 6120."""

    each: tuple[_Mechanism, ...] = xml.children()
    inline: _Inline = xml.child(default=_Inline())
    upgrades: tuple[Upgrade, ...] = xml.children()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Their names, but for those of FAST."""
        return tuple(name for mechanism in self.each if (name := mechanism.name.strip()))

    @property
    def fast(self) -> tuple[str, ...]:
        """The mechanisms that it gives tokens for."""
        return () if self.inline.fast is None else self.inline.fast.mechanisms

    @property
    def counts(self) -> bool:
        """Whether logins by a token are to be counted."""
        return self.inline.fast is not None and self.inline.fast.tls_0rtt

    @property
    def begins_with(self) -> frozenset[str]:
        """The namespaces of what a session that is bound in the same breath can begin with (XEP-0386)."""
        return frozenset() if self.inline.bind is None else self.inline.bind.features

    @property
    def resumes(self) -> bool:
        """Whether a session can be resumed in the same breath (XEP-0198 §6.2)."""
        return self.inline.sm is not None


def parse_offer(element: xml.Element) -> SASL2Offer | None:
    """What ``<stream:features/>`` offer of SASL2. Never raises: what cannot be understood is not offered."""
    try:
        return xml.find(element, SASL2Offer)
    except ElementError:
        return None


# --- what is said


@xml.element(ns.SASL2, "user-agent")
class UserAgent:
    """Who logs in: `id` is always the same for one client, the rest is for people to read."""

    id: str | None = xml.attr(default=None)
    software: str | None = xml.child_text(default=None)
    device: str | None = xml.child_text(default=None)


@xml.element(ns.SASL2, "authenticate")
class Authenticate:
    """Let me in, by this mechanism, and then do all that is in here."""

    mechanism: str = xml.attr()
    data: bytes | None = xml.child_text("initial-response", default=None, codec=_DATA, repr=False)
    user_agent: UserAgent | None = xml.child(default=None)
    resume: sm.Resume | None = xml.child(default=None)
    bind: Bind | None = xml.child(default=None)
    request_token: RequestToken | None = xml.child(default=None)
    fast: Fast | None = xml.child(default=None)
    upgrades: tuple[Upgrade, ...] = xml.children()


@xml.element(ns.SASL2, "challenge")
class Challenge:
    """What the server has to say in between."""

    data: bytes = xml.text(codec=_DATA)


@xml.element(ns.SASL2, "response")
class Response:
    """The answer to a challenge."""

    data: bytes = xml.text(default=b"", codec=_DATA, repr=False)


@xml.element(ns.SASL2, "success")
class Success:
    """We are in, and this is what came of the rest."""

    data: bytes | None = xml.child_text("additional-data", default=None, codec=_DATA)
    identifier: str | None = xml.child_text("authorization-identifier", default=None)
    """Our address: a full JID if the server has bound or resumed."""
    tokens: tuple[Token, ...] = xml.children()
    bounds: tuple[Bound, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def resumption(self) -> xml.Element | None:
        """What was said to ``<resume/>``, as it stands: ``<resumed/>`` or ``<failed/>``."""
        return next((other for other in self.others if other.tag in (sm.TAG_RESUMED, sm.TAG_FAILED)), None)


@xml.element(ns.SASL2, "failure")
class Failure:
    """We are not in, and nothing has changed. The condition is one of RFC 6120, in the namespace of RFC 6120."""

    text: str = xml.child_text(default="")
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(ns.SASL2, "task")
class _Task:
    name: str = xml.text()


@xml.element(ns.SASL2, "tasks")
class _Tasks:
    each: tuple[_Task, ...] = xml.children()


@xml.element(ns.SASL2, "continue")
class Continue:
    """The credentials are fine, but one of these tasks is to be done before we are in."""

    data: bytes | None = xml.child_text("additional-data", default=None, codec=_DATA)
    tasks_: _Tasks = xml.child(default=_Tasks())
    text: str = xml.child_text(default="")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(task.name.strip() for task in self.tasks_.each)


@xml.element(ns.SASL2, "next")
class Next:
    """Let us do this one."""

    task: str = xml.attr()


@xml.element(ns.SASL2, "task-data")
class TaskData:
    """What there is to say during a task: the server asks for a key, and gets it."""

    salt: Salt | None = xml.child(default=None)
    hash: Hash | None = xml.child(default=None)


# --- and how


@record
class LoginRequests:
    """What is asked for along with the login."""

    user_agent: UserAgent | None = None
    resume: sm.Resume | None = None
    bind: Bind | None = None
    request_token: RequestToken | None = None
    fast: Fast | None = None
    upgrade: str | None = None
    """The one task that we are ready for."""


@record
class InlineResults:
    """What a login has achieved besides, in the order in which it is to be believed (XEP-0388, XEP-0198 §6.2).

    `resumption` is the answer to ``<resume/>``, for the owner of the session to read. If that is ``<resumed/>``,
    nothing else counts. `jid` is the full JID that was bound, or None. `managed` is what was said about the management
    of that new session, None if nothing was asked. `begun` holds the namespaces of the features that the session begins
    with: there is no answer to them, since the server must not refuse what it offered (XEP-0386 §3).
    """

    resumption: xml.Element | None = field(default=None, compare=False)
    jid: JID | None = None
    managed: sm.Enabled | sm.Failed | None = None
    begun: frozenset[str] = frozenset()

    @property
    def resumed(self) -> bool:
        """Whether the server goes on with the old session: then it sends no features."""
        return self.resumption is not None and self.resumption.tag == sm.TAG_RESUMED


class SASL2Exchange(SASLExchange):
    """One attempt to log in by SASL2, as a value: like `SASLExchange`, but `success` holds what else was achieved.

    Between the last word of the mechanism and the success there may be a task: the one that we have asked for, once.
    Nothing is done for a server that has not proved itself before.
    """

    def __init__(self, attempt: SASLAttempt, requests: LoginRequests) -> None:
        self.success: Success | None = None
        """To be looked at once `receive` has returned True, and no sooner: only then it is the server's word."""
        self._requests = requests
        self._upgrade = requests.upgrade
        self._task: str | None = None
        super().__init__(attempt)

    @property
    def invalidates(self) -> bool:
        """Whether this is the last login by its token."""
        return self._requests.fast is not None and self._requests.fast.invalidate

    def results(self) -> InlineResults:
        """Return what was achieved besides. Raises StreamNegotiationFailure for nonsense."""
        assert self.success is not None
        resumption, bound = self.success.resumption, next(iter(self.success.bounds), None)
        if bound is None or (resumption is not None and resumption.tag == sm.TAG_RESUMED):
            return InlineResults(resumption)
        try:
            jid = JID.parse((self.success.identifier or "").strip())
        except JIDError as exc:
            raise StreamNegotiationFailure(f"the server does not tell what it bound: {exc}") from exc
        if jid.is_bare:
            raise StreamNegotiationFailure("the server does not tell what it bound: a full address was due")
        asked = self._requests.bind or Bind()
        begun = frozenset(str(feature.tag)[1:].partition("}")[0] for feature in asked.features)
        return InlineResults(resumption, jid, bound.managed, begun)

    def _opening(self, mechanism: str, data: bytes) -> str:
        asked = self._requests
        return xml.serialise(
            Authenticate(
                mechanism=mechanism,
                data=data,
                user_agent=asked.user_agent,
                resume=asked.resume,
                bind=asked.bind,
                request_token=asked.request_token,
                fast=asked.fast,
                upgrades=() if asked.upgrade is None else (Upgrade(task=asked.upgrade),),
            )
        )

    def _response(self, data: bytes | None) -> str:
        return xml.serialise(Response(data=data or b""))

    def _take(self, element: xml.Element) -> bool:
        match self._parse(element):
            case Continue() as said:
                if not self._finished:
                    self._advance(said.data)
                if not self._finished:
                    raise AuthenticationFailure(
                        "the server wants more than the credentials before it has proved itself"
                    )
                self._begin_task(said)
            case TaskData(salt=Salt() as salt) if self._task is not None:
                self.derivation = derivation(self._task, self._attempt.credentials, salt)
            case TaskData():
                raise AuthenticationFailure("the server goes on with a task that nobody has begun, or with nonsense")
            case _:
                return super()._take(element)
        return False

    def derived(self, key: bytes) -> None:
        """The key that `derivation` asked for."""
        if self._task is None:
            super().derived(key)
        else:
            self.derivation = self._task = None
            self.outgoing = xml.serialise(TaskData(hash=Hash(key=key)))

    def _begin_task(self, said: Continue) -> None:
        if self._upgrade is None or self._upgrade not in said.tasks:
            hide = self._attempt.credentials.hide
            tasks = printable(hide(", ".join(said.tasks)), 200) or "nothing that it names"
            text = printable(hide(said.text))
            reason = f" ({text})" if text else ""
            raise AuthenticationFailure(f"the server wants more than the credentials: {tasks}{reason}")
        self._task, self._upgrade = self._upgrade, None
        self.outgoing = xml.serialise(Next(task=self._task))

    def _read(self, element: xml.Element) -> auth.Challenge | auth.Success | auth.Failure:
        """The same as the elements of RFC 6120 would say it."""
        match self._parse(element):
            case Challenge(data=data):
                return auth.Challenge(data=data)
            case Success(data=additional) as success:
                self.success = success
                return auth.Success(data=additional)
            case said:
                assert isinstance(said, Failure)
                return auth.Failure.of(said.others, said.text)

    def _parse(self, element: xml.Element) -> _Answer:
        reader = _READERS.get(str(element.tag))
        if reader is None:
            raise AuthenticationFailure(f"the server answered the login with {printable(str(element.tag), 200)}")
        try:
            return xml.parse(reader, element)
        except ElementError as exc:
            raise AuthenticationFailure(f"the server's answer to the login is malformed: {exc}") from None


_Answer = Challenge | Success | Failure | Continue | TaskData
_READERS: Mapping[str, type[_Answer]] = {
    xml.tag_of(cls): cls for cls in (Challenge, Success, Failure, Continue, TaskData)
}
