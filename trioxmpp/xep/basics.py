"""Small questions: is it there (XEP-0199), what is it (XEP-0092), what time is it there (XEP-0202), how long is it idle
(XEP-0012).

Every client answers the first three; see `Client.offers`. It answers the last one only while `offer_last_activity`
says so, since that tells when a person is at the keyboard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import trio

from ..client import Client
from ..errors import ErroneousStanza
from ..jid import JID
from ..protocol.elements.entity_time import TimeQuery
from ..protocol.elements.last import LastActivity, LastActivityQuery
from ..protocol.elements.ping import Ping
from ..protocol.elements.version import Version, VersionQuery
from ..protocol.stanza import IQ

__all__ = ["entity_time", "last_activity", "offer_last_activity", "ping", "software_version"]

#: Seconds that an answer may take.
TIMEOUT: Final = 30.0

_LAST: Final = "jabber:iq:last"


async def ping(client: Client, to: JID | str | None = None, *, timeout: float = TIMEOUT) -> float:
    """Ask `to` for a sign of life (None: our own server), and return the seconds that the answer took.

    Raises `XMPPError` for any answer but a result: a server gives one for a client that is not there, and a client
    that does not know pings does, too (§4.2). Raises TimeoutError after `timeout` seconds, and what `Client.send`
    raises. If cancelled, a late answer is ignored; the other questions here do the same.
    """
    began = trio.current_time()
    await client.request(Ping(), to=to, timeout=timeout)
    return trio.current_time() - began


async def software_version(client: Client, jid: JID | str, *, timeout: float = TIMEOUT) -> Version:
    """Return the name, and perhaps the version and operating system, of a program. Raises as `ping`."""
    return await client.request(VersionQuery(), to=jid, timeout=timeout)


async def entity_time(client: Client, jid: JID | str, *, timeout: float = TIMEOUT) -> datetime:
    """Return the time at `jid`, in the zone that it states. Raises as `ping`, and ErroneousStanza if it has none."""
    answer = await client.request(TimeQuery(), to=jid, timeout=timeout)
    if answer.utc is None:
        raise ErroneousStanza("the answer has no time that can be read (XEP-0202 §3)")
    return answer.utc.astimezone(answer.tzo or UTC)


async def last_activity(client: Client, jid: JID | str, *, timeout: float = TIMEOUT) -> LastActivity:
    """Return for how many seconds `jid` has been idle (§3).

    For a bare JID without a client they count since the last one logged out (§4), with its last status; for a server
    since it began (§5). Raises as `ping`, and ErroneousStanza if there is no number.
    """
    answer = await client.request(LastActivityQuery(), to=jid, timeout=timeout)
    if answer.seconds is None or answer.seconds < 0:
        raise ErroneousStanza("the answer has no number of seconds (XEP-0012 §2)")
    return answer


@contextmanager
def offer_last_activity(client: Client, idle: Callable[[], float], *, allow: Callable[[JID], bool]) -> Iterator[None]:
    """``with`` block during which others may ask how long we have been idle: ``idle()`` gives the seconds.

    Only those are answered for whom ``allow(sender)`` is true; to others it is as if the question was not known.
    XEP-0012 §8 demands that they are allowed to see our presence: ``lambda jid: jid.bare in roster and
    roster[jid.bare].sees_us``.
    """

    def answer(iq: IQ) -> LastActivity:
        return LastActivity(seconds=max(0, int(idle())))

    with client.offers(_LAST), client.answer(LastActivityQuery, answer, from_=allow):
        yield
