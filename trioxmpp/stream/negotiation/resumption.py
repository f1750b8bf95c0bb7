"""Resuming a session on a new XML stream (XEP-0198 §5), and how a resumption fails."""

from __future__ import annotations

from ... import xml
from ...errors import ElementError, StreamError, StreamNegotiationFailure
from ...protocol import sm
from ..outbound.token import StanzaState
from ..session import SessionState
from ..xmlstream import XmlStream

__all__ = ["ResumptionRefused", "negotiate_resumption"]


class ResumptionRefused(StreamNegotiationFailure):
    """The session cannot be resumed and is over; the XML stream is still good for a new one.

    `unacked` is what is known about the stanzas that were in flight.
    """

    def __init__(self, message: str, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        super().__init__(message)
        self.unacked = unacked


async def negotiate_resumption(session: SessionState, xmlstream: XmlStream, answer: xml.Element | None = None) -> None:
    """Ask the server to go on with `session` on `xmlstream`, which is authenticated but not bound.

    `answer` is what it said, if it was asked along with the login (XEP-0198 §6.2).

    Raises ResumptionRefused if the server does not want to or answers nonsense; then it acknowledged what it could.
    Any other exception leaves the session as it was, so that one may try again. Cancelling does, too.
    """
    if answer is None:
        request = await session.resume_request()
        assert request is not None
        await xmlstream.send(xml.serialise(request).encode())
        answer = await xmlstream.receive_element()
    if answer.tag == sm.TAG_RESUMED:
        problem = _resumed(session, answer)
        if problem is not None:
            # The server believes in a session that does not exist: that one is over, too.
            await xmlstream.say_goodbye(problem if isinstance(problem, StreamError) else None)
            raise ResumptionRefused(f"the server resumed something else than our session: {problem}") from problem
    elif answer.tag == sm.TAG_FAILED:
        raise _refused(session, sm.parse_failed(answer))
    else:
        raise ResumptionRefused(f"the server answered the resumption with {str(answer.tag)[:200]}")


def _resumed(session: SessionState, answer: xml.Element) -> ElementError | sm.HandledCountTooHigh | None:
    """Take ``<resumed/>`` for what it is; return what is wrong with it."""
    assert session.sm is not None
    try:
        previd, h = sm.parse_resumed(answer)
        if previd is not None and previd != session.sm.granted.id:
            raise ElementError("another session was resumed", "resumed/@previd")
        session.resumed(h)
    except (ElementError, sm.HandledCountTooHigh) as exc:
        return exc
    return None


def _refused(session: SessionState, failed: sm.Failed) -> ResumptionRefused:
    unacked = StanzaState.SENT_WITHOUT_SM
    if failed.h is not None:
        try:
            session.acked(failed.h)
            unacked = StanzaState.DISCONNECTED  # the server counted: it never had the others
        except sm.HandledCountTooHigh:
            pass  # a count that cannot be right tells nothing
    return ResumptionRefused(f"the session could not be resumed: {failed.condition}", unacked)
