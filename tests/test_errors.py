"""Errors: what they print, and that they can be copied and pickled."""

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from trioxmpp import IQ, IQType, Message, MessageType, PresenceType, StanzaToken, errors, xml
from trioxmpp.errors import (
    Attempt,
    AuthenticationFailure,
    ConnectError,
    ElementError,
    ErroneousStanza,
    ErrorType,
    SessionLost,
    Stage,
    StanzaCondition,
    StreamCondition,
    StreamError,
    XMPPCancelError,
    XMPPError,
    XMPPWaitError,
)
from trioxmpp.jid import JID
from trioxmpp.protocol.elements.stanza_ids import OriginId
from trioxmpp.protocol.sm import HandledCountTooHigh

PARSED = xml.fromstring("<own xmlns='urn:a'><in xmlns='urn:b' a='1'>text</in></own>")
ROOM = JID.parse("room@muc.example.org")
ATTEMPT = Attempt("xmpps://example.org:5223", "192.0.2.1", Stage.TLS, OSError(111, "Connection refused"))


class Teapot(XMPPCancelError):
    """An error of an application, with a constructor of its own."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(StanzaCondition.NOT_ACCEPTABLE, f"I hold {size} cups")


ERRORS: list[BaseException] = [
    ConnectError("nothing worked", [ATTEMPT, ATTEMPT]),
    AuthenticationFailure("no", "not-authorized", offered=["PLAIN"], tried=["PLAIN"], retry=True),
    StreamError(StreamCondition.CONFLICT, {"": "taken", "de": "vergeben"}, by_us=True, application="<a/>", uri="wss:"),
    SessionLost("gone", [StanzaToken(Message(body="never arrived"))]),
    XMPPError(StanzaCondition.GONE, "moved", PARSED, address="xmpp:b@c", by=ROOM, condition_name="far-away"),
    XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, {"en": "later", "de": "nachher"}, OriginId(id="7")),
    Teapot(3),
    ErroneousStanza("no payload", IQ(type=IQType.RESULT, id="1", to=ROOM)),
    ErroneousStanza("no payload", Message(body="x", payloads=[PARSED, OriginId(id="8")])),
    ElementError("missing", "query/item[2]/@jid"),
    HandledCountTooHigh(5, 3),
    *[getattr(errors, name)("a message") for name in ("StreamTimeout", "TLSFailure", "DestructionRequested")],
    *[getattr(errors, name)("a message") for name in ("StanzaAborted", "StanzaDropped", "InboxOverflow", "StoreError")],
    errors.OutboxFull("a message"),
    errors.StanzaRefused("m1", 3, "policy-violation"),
    errors.StanzaTooLarge(300_000, 262_144),
    errors.JIDError("empty localpart"),
]


def shown(value: Any) -> Any:
    """A value in a form that can be compared."""
    if isinstance(value, xml.Element | Message | IQ):
        return value.serialise() if isinstance(value, Message | IQ) else xml.serialise(value)
    if isinstance(value, StanzaToken):
        return shown(value.stanza)
    if isinstance(value, tuple):
        return [shown(item) for item in value]
    if isinstance(value, Attempt):
        return str(value)
    return value


def essence(error: BaseException) -> Any:
    return type(error), str(error), error.args, {name: shown(value) for name, value in vars(error).items()}


def pickled(error: BaseException) -> BaseException:
    again: BaseException = pickle.loads(pickle.dumps(error))
    return again


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_every_error_can_be_copied_and_pickled(again: Callable[[BaseException], BaseException]) -> None:
    different = [error for error in ERRORS if essence(again(error)) != essence(error) or again(error) is error]
    assert not different


def test_no_error_of_the_library_is_missing_here() -> None:
    public = {getattr(errors, name) for name in errors.__all__}
    exceptions = {cls for cls in public if isinstance(cls, type) and issubclass(cls, BaseException)}
    tried = {cls for error in ERRORS for cls in type(error).__mro__}
    alike = {errors.XMPPAuthError, errors.XMPPContinueError, errors.XMPPModifyError}
    assert exceptions - tried == alike


def raises(error: BaseException) -> None:
    raise error


def test_an_error_comes_out_of_a_pool_of_processes() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool, pytest.raises(XMPPError) as caught:
        pool.submit(raises, ERRORS[4]).result(timeout=60)
    assert essence(caught.value) == essence(ERRORS[4])


def test_conditions_and_types_print_as_on_the_wire() -> None:
    assert f"{StanzaCondition.ITEM_NOT_FOUND} {StreamCondition.SYSTEM_SHUTDOWN}" == "item-not-found system-shutdown"
    assert (str(ErrorType.WAIT), str(MessageType.CHAT), str(IQType.SET)) == ("wait", "chat", "set")
    assert (str(PresenceType.AVAILABLE), str(PresenceType.UNAVAILABLE)) == ("available", "unavailable")


def test_a_condition_is_a_member_of_its_enum() -> None:
    wrong: Any = "item-not-found"
    with pytest.raises(TypeError, match="condition must be a StanzaCondition, not str"):
        XMPPError(wrong)
    with pytest.raises(TypeError, match="condition must be a StreamCondition, not StanzaCondition"):
        StreamError(StanzaCondition.CONFLICT)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text must be a str or a mapping"):
        XMPPError(StanzaCondition.CONFLICT, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda text: StreamError(StreamCondition.CONFLICT, text),
        lambda text: XMPPError(StanzaCondition.CONFLICT, text),
        lambda text: XMPPError(StanzaCondition.GONE, address=text),
        lambda text: XMPPError(StanzaCondition.UNDEFINED_CONDITION, condition_name=text),
        lambda text: StreamError(StreamCondition.UNDEFINED_CONDITION, condition_name=text),
    ],
)
def test_a_text_of_a_peer_is_shown_cut_and_without_control_characters(make: Callable[[str], BaseException]) -> None:
    text = "\x1b[2Jline\nline\u202e" + "x" * 700_000
    error = make(text)
    assert str(error).isprintable()
    assert len(str(error)) < 700
    assert text in vars(error).values()
