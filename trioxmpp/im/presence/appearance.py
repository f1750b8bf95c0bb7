"""Our own presence, for as long as a block runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from ...client import Client, Session, Step
from ...jid import JID
from ...protocol.elements.idle import Idle
from ...protocol.stanza import Presence, PresenceShow, PresenceType

__all__ = ["Appearance", "appear"]


class Appearance:
    """The presence that contacts see, or with `to` one address. `appear` gives one of these."""

    def __init__(self, to: JID | None, farewell: str | Mapping[str, str] | None) -> None:
        self._session: Session | None = None
        """The session in which we have appeared. The application may not have it yet."""
        self._to = to
        self._farewell = Presence(to=to, type=PresenceType.UNAVAILABLE, status=farewell)
        self._farewell.validate()
        self._shown: dict[str, Any] = {}

    def set(
        self,
        *,
        show: PresenceShow | None = None,
        status: str | Mapping[str, str] | None = None,
        priority: int = 0,
        idle_since: datetime | None = None,
        payloads: Iterable[Any] = (),
    ) -> None:
        """Show this from now on, in place of all that was shown before; in this session, and in each later one.

        `idle_since` is the time of the last activity of a person (XEP-0319); None while there is one. Returns at once.
        Raises ValueError for a value that cannot be sent, and then nothing changes.
        """
        self.prepare(show=show, status=status, priority=priority, idle_since=idle_since, payloads=payloads)
        self._say(self._presence())

    def prepare(self, *, idle_since: datetime | None, payloads: Iterable[Any], **shown: Any) -> None:
        """Check what is to be shown, and keep it; see `set`."""
        idle = () if idle_since is None else (Idle(since=idle_since),)
        shown["payloads"] = (*payloads, *idle)
        Presence(**shown).validate()
        self._shown = shown

    def _presence(self) -> Presence:
        return Presence(to=self._to, **self._shown)

    async def show(self, session: Session) -> None:
        """Show it in a session that begins."""
        self._session = session
        await session.send(self._presence())

    def vanish(self) -> None:
        """Say that we are unavailable, if there is a session in which we were shown."""
        self._say(self._farewell)

    def _say(self, presence: Presence) -> None:
        """Send a presence in the session in which we have appeared, if that lasts."""
        if self._session is not None and self._session.ended is None:
            self._session.enqueue(presence)


@asynccontextmanager
async def appear(
    client: Client,
    *,
    to: JID | str | None = None,
    show: PresenceShow | None = None,
    status: str | Mapping[str, str] | None = None,
    priority: int = 0,
    idle_since: datetime | None = None,
    payloads: Iterable[Any] = (),
    farewell: str | Mapping[str, str] | None = None,
) -> AsyncIterator[Appearance]:
    """A block during which contacts see us available; gives the `Appearance`, by which to change what they see.

    With `to`, only that address sees it (RFC 6121 §4.6): one that is not a contact, or while we are invisible to the
    others. It is shown in each session, before the application may use that. Leaving the block makes us unavailable,
    with the status `farewell`. Only one block at a time can decide what one address sees.

    Raises ValueError for a value that cannot be sent, and as `Client.send`. If cancelled while entering, it may have
    been seen; then we are unavailable again.
    """
    appearance = Appearance(JID.parse(to) if isinstance(to, str) else to, farewell)
    appearance.prepare(show=show, status=status, priority=priority, idle_since=idle_since, payloads=payloads)
    try:
        async with client.each_session(Step.PRESENCE, appearance.show):
            yield appearance
    finally:
        appearance.vanish()
