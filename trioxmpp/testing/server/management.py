"""The answers to ``<enable/>`` and ``<resume/>`` (XEP-0198)."""

from __future__ import annotations

from ... import xml
from ...errors import StreamCondition, StreamError
from ...protocol import ns
from .account import Account
from .host import Host
from .link import Link
from .session import ServerSession
from .sessions import NotResumed

__all__ = ["count_of", "enable", "failed", "resume"]


def resume(host: Host, link: Link, account: Account, request: xml.Element) -> tuple[str, ServerSession | None]:
    """Return the answer to ``<resume/>``, and the session that is on `link` now.

    The caller writes the unacknowledged stanzas after the answer. Raises StreamError for an impossible h, and if the
    faults of the link demand it.
    """
    previd, sessions, fault = request.get("previd", ""), host.sessions, link.faults.refuse_resume
    if fault == "error":
        raise StreamError(StreamCondition.INTERNAL_SERVER_ERROR, by_us=True)
    doomed = sessions.find(account, previd)
    if doomed is not None and fault is not None:
        (sessions.end if fault == "with-h" else sessions.forget)(doomed)
    try:
        session = sessions.resume(link, account, previd, count_of(request))
    except NotResumed as exc:
        return failed("item-not-found", exc.h), None
    assert session.sm is not None
    return f"<resumed xmlns='{ns.SM}' h='{session.sm.handled}' previd='{xml.escape_attr(previd)}'/>", session


def enable(host: Host, link: Link, session: ServerSession, request: xml.Element) -> str:
    """Enable stream management, and return the answer to ``<enable/>``."""
    if session.sm is not None:
        return failed("unexpected-request")
    if link.faults.refuse_sm:
        return failed("internal-server-error")
    wish = request.get("max", "")
    resumable = request.get("resume") in ("true", "1")
    granted = host.sessions.enable_sm(session, resumable=resumable, wish=float(wish) if wish.isdigit() else None)
    promise = ""
    if resumable:
        promise = f" id='{granted.id}' resume='true' max='{int(granted.patience)}'"
        if (location := host.policy.location) is not None:
            promise += f" location='{xml.escape_attr(location)}'"
    return f"<enabled xmlns='{ns.SM}'{promise}/>"


def failed(condition: str, h: int | None = None) -> str:
    """Return a refusal; `h` is the count of the session, if it is still known."""
    count = "" if h is None else f" h='{h}'"
    return f"<failed xmlns='{ns.SM}'{count}><{condition} xmlns='{ns.STANZA_ERRORS}'/></failed>"


def count_of(element: xml.Element) -> int:
    """Return the h of an element. Raises StreamError if it has none."""
    text = element.get("h", "")
    if not (text.isascii() and text.isdigit() and int(text[:11]) < 1 << 32):
        raise StreamError(StreamCondition.BAD_FORMAT, "h is a count modulo 2**32", by_us=True)
    return int(text)
