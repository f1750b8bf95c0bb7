"""SASL2 (XEP-0388): a login whose request and answer also carry what otherwise follows it.

The messages of a mechanism travel as in RFC 6120, in other elements: no data is no element, and data of no length an
empty one; "=" means nothing here (XEP-0388 §2.2). Along with the login, the client may ask to resume or bind a session,
and for a token. Between the last message and the success, the server may demand a task.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import xml
from ..errors import AuthenticationFailure, ElementError, JIDError, StreamNegotiationFailure
from ..jid import JID
from ..record import field, record
from ..text import because, printable
from . import auth, ns, sm
from .auth import SASLExchange
from .bind import check_bound, check_domain
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


# --- what the server offers


@xml.element(ns.SASL2, "mechanism")
class _Mechanism:
    name: str = xml.text()


@xml.element(ns.SASL2, "inline")
class _Inline:
    bind: BindOffer | None = xml.child(default=None)
    sm: sm.Feature | None = xml.child(default=None)
    fast: FastOffer | None = xml.child(default=None)


@xml.element(ns.SASL2, "authentication")
class SASL2Offer:
    """The offer of SASL2. Its mechanisms need not be those of the login of RFC 6120."""

    each: tuple[_Mechanism, ...] = xml.children()
    inline: _Inline = xml.child(default=_Inline())
    upgrades: tuple[Upgrade, ...] = xml.children()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The names of the mechanisms, except those for tokens (FAST)."""
        return tuple(name for mechanism in self.each if (name := mechanism.name.strip()))

    @property
    def fast(self) -> tuple[str, ...]:
        """The names of the mechanisms for tokens (XEP-0484)."""
        return () if self.inline.fast is None else self.inline.fast.mechanisms

    @property
    def counts(self) -> bool:
        """Whether the client has to count its logins by a token (XEP-0484 §3.5)."""
        return self.inline.fast is not None and self.inline.fast.tls_0rtt

    @property
    def begins_with(self) -> frozenset[str]:
        """The namespaces of the features that can be enabled while binding (XEP-0386)."""
        return frozenset() if self.inline.bind is None else self.inline.bind.features

    @property
    def resumes(self) -> bool:
        """Whether a session can be resumed along with the login (XEP-0198 §6.2)."""
        return self.inline.sm is not None


def parse_offer(element: xml.Element) -> SASL2Offer | None:
    """Return the offer in ``<stream:features/>``, or None. Never raises: a malformed offer is ignored."""
    try:
        return xml.find(element, SASL2Offer)
    except ElementError:
        return None


# --- what client and server send


@xml.element(ns.SASL2, "user-agent")
class UserAgent:
    """The client that logs in: `id` is always the same for one client, the rest is for people to read."""

    id: str | None = xml.attr(default=None)
    software: str | None = xml.child_text(default=None)
    device: str | None = xml.child_text(default=None)


@xml.element(ns.SASL2, "authenticate")
class Authenticate:
    """The client begins, with this mechanism, and with its requests for after the login (XEP-0388 §2.2)."""

    mechanism: str = xml.attr()
    data: bytes | None = xml.child_text("initial-response", default=None, repr=False)
    user_agent: UserAgent | None = xml.child(default=None)
    resume: sm.Resume | None = xml.child(default=None)
    bind: Bind | None = xml.child(default=None)
    request_token: RequestToken | None = xml.child(default=None)
    fast: Fast | None = xml.child(default=None)
    upgrades: tuple[Upgrade, ...] = xml.children()


@xml.element(ns.SASL2, "challenge")
class Challenge:
    """A message of the server that is not the last one."""

    data: bytes = xml.text()


@xml.element(ns.SASL2, "response")
class Response:
    """The client's answer to a challenge."""

    data: bytes = xml.text(default=b"", repr=False)


@xml.element(ns.SASL2, "success")
class Success:
    """The server accepts the login, and answers the other requests."""

    data: bytes | None = xml.child_text("additional-data", default=None)
    identifier: str | None = xml.child_text("authorization-identifier", default=None)
    """Our address: a full JID if the server has bound or resumed."""
    tokens: tuple[Token, ...] = xml.children()
    bounds: tuple[Bound, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def resumption(self) -> xml.Element | None:
        """The answer to ``<resume/>``, unread: ``<resumed/>`` or ``<failed/>``; None without one."""
        return next((other for other in self.others if other.tag in (sm.TAG_RESUMED, sm.TAG_FAILED)), None)


@xml.element(ns.SASL2, "failure")
class Failure:
    """The server refuses the login. The condition is one of RFC 6120, in the namespace of RFC 6120."""

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
    """The credentials are right, but the client has to do one of these tasks before the login succeeds."""

    data: bytes | None = xml.child_text("additional-data", default=None)
    tasks_: _Tasks = xml.child(default=_Tasks())
    text: str = xml.child_text(default="")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return tuple(task.name.strip() for task in self.tasks_.each)


@xml.element(ns.SASL2, "next")
class Next:
    """The client chooses this task."""

    task: str = xml.attr()


@xml.element(ns.SASL2, "task-data")
class TaskData:
    """A message during a task: the server sends a salt, the client the key that it makes with it."""

    salt: Salt | None = xml.child(default=None)
    hash: Hash | None = xml.child(default=None)


# --- the exchange


@record
class LoginRequests:
    """The requests along with the login."""

    user_agent: UserAgent | None = None
    resume: sm.Resume | None = None
    bind: Bind | None = None
    request_token: RequestToken | None = None
    fast: Fast | None = None
    upgrade: str | None = None
    """The one task that we are ready for."""


@record
class InlineResults:
    """The further results of a login, in the order in which it is to be believed (XEP-0388, XEP-0198 §6.2).

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
    """One attempt to log in by SASL2, as a value: like `SASLExchange`; `success` holds the answers to the requests.

    Between the mechanism's last message and the success there may be a task: the one that we have asked for, once. No
    task is done for a server that has not proved itself before.
    """

    def __init__(self, attempt: SASLAttempt, requests: LoginRequests) -> None:
        self.success: Success | None = None
        """The server's success. Read it only after `receive` has returned True: only then the server is proved."""
        self._requests = requests
        self._upgrade = requests.upgrade
        self._task: str | None = None
        super().__init__(attempt)

    @property
    def invalidates(self) -> bool:
        """Whether the login invalidates its token (XEP-0484 §3.6)."""
        return self._requests.fast is not None and self._requests.fast.invalidate

    def results(self, domain: str) -> InlineResults:
        """Return the answers to the requests, for an account at `domain`. Raises StreamNegotiationFailure for nonsense.

        The server tells our address in any case: it must be at `domain`, and a full one if a resource was bound.
        """
        assert self.success is not None
        resumption, bound = self.success.resumption, next(iter(self.success.bounds), None)
        identifier = (self.success.identifier or "").strip()
        if bound is None or (resumption is not None and resumption.tag == sm.TAG_RESUMED):
            if identifier:
                check_domain(_address(identifier), domain)
            return InlineResults(resumption)
        jid = check_bound(identifier, domain)
        requested = self._requests.bind or Bind()
        begun = frozenset(str(feature.tag)[1:].partition("}")[0] for feature in requested.features)
        return InlineResults(resumption, jid, bound.managed, begun)

    def _opening(self, mechanism: str, data: bytes) -> str:
        requests = self._requests
        return xml.serialise(
            Authenticate(
                mechanism=mechanism,
                data=data,
                user_agent=requests.user_agent,
                resume=requests.resume,
                bind=requests.bind,
                request_token=requests.request_token,
                fast=requests.fast,
                upgrades=() if requests.upgrade is None else (Upgrade(task=requests.upgrade),),
            )
        )

    def _response(self, data: bytes | None) -> str:
        return xml.serialise(Response(data=data or b""))

    def _take(self, element: xml.Element) -> bool:
        match self._parse(element):
            case Continue() as request:
                if not self.finished:
                    self.advance(request.data)
                if not self.finished:
                    raise AuthenticationFailure(
                        "the server wants more than the credentials before it has proved itself"
                    )
                self._begin_task(request)
            case TaskData(salt=Salt() as salt) if self._task is not None:
                self.derivation = derivation(self._task, self.attempt.credentials, salt)
            case TaskData():
                raise AuthenticationFailure("the server sends data for a task that has not begun, or malformed data")
            case _:
                return super()._take(element)
        return False

    def derived(self, key: bytes) -> None:
        """Take the key that `derivation` asked for."""
        if self._task is None:
            super().derived(key)
        else:
            self.derivation = self._task = None
            self.outgoing = xml.serialise(TaskData(hash=Hash(key=key)))

    def _begin_task(self, request: Continue) -> None:
        if self._upgrade is None or self._upgrade not in request.tasks:
            tasks = printable(self.hide(", ".join(request.tasks)), 200) or "a task that it does not name"
            text = printable(self.hide(request.text))
            reason = f" ({text})" if text else ""
            raise AuthenticationFailure(f"the server wants more than the credentials: {tasks}{reason}")
        self._task, self._upgrade = self._upgrade, None
        self.outgoing: str | None = xml.serialise(Next(task=self._task))

    def _read(self, element: xml.Element) -> auth.Challenge | auth.Success | auth.Failure:
        """Return the element of RFC 6120 with the same meaning."""
        match self._parse(element):
            case Challenge(data=data):
                return auth.Challenge(data=data)
            case Success(data=additional) as success:
                self.success = success
                return auth.Success(data=additional)
            case refusal:
                assert isinstance(refusal, Failure)
                return auth.Failure.of(refusal.others, refusal.text)

    def _parse(self, element: xml.Element) -> _Answer:
        reader = _READERS.get(str(element.tag))
        if reader is None:
            raise self.unexpected(element)
        try:
            return xml.parse(reader, element)
        except ElementError as exc:
            raise AuthenticationFailure(
                because("the server's answer to the login is malformed", self.hide(str(exc)))
            ) from None


def _address(identifier: str) -> JID:
    try:
        return JID.parse(identifier)
    except JIDError as exc:
        raise StreamNegotiationFailure(because("the server does not tell our address", exc)) from exc


_Answer = Challenge | Success | Failure | Continue | TaskData
_READERS: Mapping[str, type[_Answer]] = {
    xml.tag_of(cls): cls for cls in (Challenge, Success, Failure, Continue, TaskData)
}
