"""XEP-0045: Multi-User Chat: a room that we are in, and the block that keeps us there.

    async with open_room(client, "capulets@conference.example.org", "romeo") as room:
        await room.say("But soft!")

`open_room` heals what can be healed, for ever: a lost session, a service that restarts, an eviction in silence.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Final

import trio

from ...client import Client, Session, Step, Subscription, supervised
from ...errors import SessionLost, StanzaCondition, XMPPCancelError, XMPPError
from ...jid import JID
from ...protocol.elements.disco import Info, InfoQuery
from ...protocol.elements.muc import AdminItem, AdminSet, Role
from ...protocol.elements.muc import Occupant as OccupantElement
from ...protocol.elements.replies import Reply
from ...protocol.elements.stanza_ids import OriginId
from ...protocol.stanza import Message, MessageType, Presence, PresenceShow
from .entering import Configure, Entrance, Terms
from .events import RoomEntry, RoomEvent
from .forms import RoomInfo, VoiceForm
from .hearing import Hearing
from .invitations import InvitationWay, direct_invitation, mediated_invitation
from .join import HistoryWanted, Rejoin, occupant_jid
from .keeping import Keeper
from .occupancy import Occupancy
from .occupants import Occupant
from .problems import LossCause, RoomGone, RoomLost

__all__ = ["Room", "open_room"]

NS: Final = "http://jabber.org/protocol/muc"

#: The occupants of a room that are remembered; a room with more is left.
OCCUPANTS = 20_000


class Room:
    """A room that we are in, or will be in again. `open_room` gives it."""

    def __init__(
        self, client: Client, occupancy: Occupancy, hearing: Hearing, entrance: Entrance, keeper: Keeper
    ) -> None:
        self.client = client
        self.jid: JID = occupancy.room
        """The address of the room."""
        self._occupancy = occupancy
        self._hearing = hearing
        self._entrance = entrance
        self._keeper = keeper

    def __repr__(self) -> str:
        return f"<Room {self.jid} as {self.nick!r}{'' if self.joined else ', not joined'}>"

    # --- what is known

    @property
    def joined(self) -> bool:
        """Whether we are in the room just now, as far as we know."""
        return self._occupancy.joined

    @property
    def nick(self) -> str:
        """Our nick as the room gave it, which need not be the one that we asked for."""
        return str(self._occupancy.nick)

    @property
    def me(self) -> Occupant | None:
        """Our own occupant; None only while the room is being entered again."""
        return self._occupancy.me

    @property
    def occupants(self) -> tuple[Occupant, ...]:
        """The occupants, with us; as of the last moment at which we were in the room."""
        return tuple(self._occupancy.occupants)

    def occupant(self, nick: str) -> Occupant | None:
        """Return the occupant that has this nick now, or None. The nick is not its identity."""
        return self._occupancy.occupants.by_nick(nick)

    def occupant_by_id(self, id: str) -> Occupant | None:
        """Return the occupant with this occupant id (XEP-0421), or None."""
        return self._occupancy.occupants.by_id(id)

    @property
    def subject(self) -> str:
        """The subject; ``""`` if there is none."""
        return self._hearing.subject

    @property
    def history(self) -> tuple[RoomEntry, ...]:
        """The messages that the room sent with the last join, oldest first. No event tells of them."""
        return tuple(self._hearing.history)

    @property
    def has_archive(self) -> bool:
        """Whether the room announces an archive (XEP-0313 §7)."""
        return self._entrance.has_archive

    @property
    def absences(self) -> int:
        """How often we were out of the room: after each time something may have been missed."""
        return self._occupancy.absences

    @property
    def disco(self) -> Info | None:
        """The answer of the room to disco#info; None if it does not answer. Asked anew after each change."""
        return self._entrance.info

    @property
    def info(self) -> RoomInfo:
        """The form in which the room describes itself (XEP-0045 §6.4), empty if it gives none."""
        forms = () if self.disco is None else self.disco.forms
        return next((RoomInfo.read(form) for form in forms if form.form_type == RoomInfo.form_type), RoomInfo())

    @property
    def avatar_hashes(self) -> tuple[str, ...]:
        """The hashes of the avatar of the room (XEP-0486); its vCard holds the picture."""
        own = self._occupancy.avatar
        return (own,) if own else self.info.avatar_hashes

    def events(self, *, capacity: float = 10_000) -> Subscription[RoomEvent]:
        """``async with`` block that gives an inbox of events; it ends with the room.

        The first one begins with what has happened since the block of the room began. More than `capacity` events that
        wait end it with `InboxOverflow`.
        """
        return self._occupancy.events.subscribe(capacity)

    def listen(self, listener: Callable[[RoomEvent], object]) -> AbstractContextManager[None]:
        """``with`` block during which ``listener(event)`` is called with each event, by the task that reads.

        It begins with the events that wait for the first subscription, and takes none of them away. For a service that
        must know of an event before the next stanza is read; others use `events`.
        """
        return self._occupancy.events.listen(listener)

    def private_entry(self, message: Message, *, is_live: bool = True) -> RoomEntry:
        """Return the entry of a private message of an occupant: what of it is to be believed.

        `is_live` says that it arrives just now: then its sender is the occupant that has the nick now.
        """
        return self._hearing.private(message, is_live=is_live)

    def archived_entry(self, message: Message, id: str | None, sent: datetime) -> RoomEntry | None:
        """Return the entry of a message that the archive of the room has under `id`; None if it is none of the room."""
        return self._hearing.archived(message, id, sent)

    async def wait_joined(self) -> None:
        """Wait until we are in the room. Raises `RoomGone` once we never will be. Cancelling changes nothing."""
        await self._wait_session()

    async def _wait_session(self) -> Session:
        await trio.lowlevel.checkpoint()
        while not self._occupancy.joined or self._keeper.session is None:
            if isinstance(self._occupancy.verdict, RoomGone):
                raise self._occupancy.verdict
            if self._keeper.left:
                raise RuntimeError(f"the block of the room {self.jid} was left")
            await self._occupancy.news.park()
        return self._keeper.session

    def _check_presence(self, occupant: Occupant) -> None:
        if self._occupancy.occupants.by_nick(occupant.nick) is not occupant:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND, f"{occupant.nick} has left the room")

    # --- speaking

    async def say(
        self, message: str | Message, *, reply_to: RoomEntry | None = None, timeout: float = 60.0
    ) -> RoomEntry:
        """Speak to all; return the message as the room reflects it to us, with the id that it got.

        `message` is a text, or a message without address whose type does not count. While we are not in the room this
        waits. `reply_to` is the message that this one answers (XEP-0461).

        Raises the `XMPPError` of a room that refuses the message, `RoomLost` if we are put out before the reflection
        comes, so that it cannot be known whether the room has it, and TimeoutError if nothing comes for `timeout`
        seconds. Cancelling retracts a message that is not sent yet.
        """
        stanza = Message(body=message) if isinstance(message, str) else message
        if reply_to is not None and reply_to.id is not None and reply_to.message.from_ is not None:
            stanza.payloads.append(Reply(id=reply_to.id, to=reply_to.message.from_))
        return await self._send(stanza, None, timeout)

    async def set_subject(self, subject: str, *, timeout: float = 60.0) -> None:
        """Set the subject, and wait until the room has. Raises as `say` does, and may be cancelled as that."""
        await self._send(Message(subject=subject), subject, timeout)

    async def _send(self, message: Message, subject: str | None, timeout: float) -> RoomEntry:
        session = await self._wait_session()
        message.to, message.type = self.jid, MessageType.GROUPCHAT
        message.id = message.id or secrets.token_urlsafe(15)
        if not self._occupancy.features.stable_id and message.get(OriginId) is None:
            message.payloads.append(OriginId(id=message.id))
        self._hearing.sending(message.id)
        outcome = self._hearing.reflections.expect(message.id, subject)
        try:
            token = session.enqueue(message)
            try:
                return await outcome.within(session, timeout)
            finally:
                with suppress(RuntimeError):  # it is on its way
                    token.abort()
        except SessionLost as exc:
            raise RoomLost(self.jid, LossCause.SESSION) from exc
        finally:
            self._hearing.reflections.forget(message.id)

    async def whisper(self, occupant: Occupant, message: str | Message) -> Message:
        """Speak to one occupant alone (XEP-0045 §7.5); return the message when the server has it.

        Raises XMPPCancelError with *item-not-found* if the occupant is not in the room. If it leaves at the same time,
        the event `PrivateFailed` tells. Cancelling retracts a message that is not sent yet.
        """
        session = await self._wait_session()
        self._check_presence(occupant)
        stanza = Message(body=message) if isinstance(message, str) else message
        stanza.to, stanza.type = occupant_jid(self.jid, occupant.nick), MessageType.CHAT
        if stanza.get(OccupantElement) is None:
            stanza.payloads.append(OccupantElement())
        await session.enqueue(stanza)
        return stanza

    # --- ourselves

    async def change_nick(self, nick: str, *, timeout: float = 60.0) -> str:
        """Ask for another nick, and return what the room gives. We keep it when we join again.

        Raises `JoinRefused` if the room refuses, `RoomLost` if we are put out meanwhile, TimeoutError if nothing comes
        for `timeout` seconds. If cancelled, the nick may change all the same.
        """
        session = await self._wait_session()
        if nick == self.nick:
            return nick
        presence = Presence(to=occupant_jid(self.jid, nick), id=secrets.token_urlsafe(15))
        outcome = self._occupancy.expect_rename(str(presence.id))
        try:
            session.enqueue(presence)
            given = await outcome.within(session, timeout)
        except SessionLost as exc:
            raise RoomLost(self.jid, LossCause.SESSION) from exc
        finally:
            self._occupancy.forget_rename(str(presence.id))
        self._entrance.want_nick(nick)
        return given

    async def set_presence(self, show: PresenceShow | None = None, status: str | None = None) -> None:
        """Tell the room how available we are; it is told again when we join again. If cancelled, it may be told."""
        session = await self._wait_session()
        await session.enqueue(self._entrance.want_presence(show, status))

    async def resync(self) -> None:
        """Have the room tell all occupants anew, and wait for it. No occupant sees that; events tell what has changed.

        Raises as `wait_joined` does. If cancelled, it happens all the same.
        """
        await self._wait_session()
        before = self._occupancy.syncs
        self._occupancy.want_resync()
        while self._occupancy.syncs == before:
            await self._occupancy.news.park()
            await self._wait_session()

    # --- others

    async def set_role(self, occupant: Occupant, role: Role, *, reason: str | None = None) -> None:
        """Give an occupant a role, for a moderator: VISITOR takes its voice, NONE is a kick (XEP-0045 §8).

        Raises XMPPCancelError with *item-not-found* if it is not in the room, and the `XMPPError` of a room that
        refuses. If cancelled, it may have happened.
        """
        session = await self._wait_session()
        self._check_presence(occupant)
        item = AdminItem(nick=occupant.nick, role=role, reason=reason)
        await session.request(AdminSet(items=(item,)), to=self.jid)

    async def kick(self, occupant: Occupant, *, reason: str | None = None) -> None:
        """Put an occupant out of the room. Raises as `set_role` does, and may be cancelled as that."""
        await self.set_role(occupant, Role.NONE, reason=reason)

    async def request_voice(self) -> None:
        """Ask the moderators for voice, as a visitor (XEP-0045 §7.13). They are told by `VoiceRequested`.

        Returns when the server has the message. Cancelling retracts it if it is not sent yet.
        """
        session = await self._wait_session()
        form = VoiceForm()
        form.role = Role.PARTICIPANT.value
        await session.enqueue(Message(to=self.jid, payloads=[form.submit()]))

    async def invite(self, account: JID | str, *, reason: str | None = None, timeout: float = 60.0) -> InvitationWay:
        """Invite an account: through the room or, if the room does not permit that, directly. Return which.

        Raises TimeoutError if the room does not answer for `timeout` seconds. If cancelled, the account may be invited.
        """
        session = await self._wait_session()
        address = JID.parse(account) if isinstance(account, str) else account
        message = mediated_invitation(self.jid, address, reason)
        message.id = secrets.token_urlsafe(15)
        refusal = self._hearing.reflections.expect(message.id, None)
        try:
            session.enqueue(message)
            # The room handles our stanzas in order: a refusal is here before the answer to what we send behind it.
            with suppress(XMPPError):
                await session.request(InfoQuery(), to=self.jid, timeout=timeout)
            if not refusal.settled:
                return InvitationWay.MEDIATED
        finally:
            self._hearing.reflections.forget(message.id)
        await session.enqueue(direct_invitation(self.jid, address, reason, self._entrance.password))
        return InvitationWay.DIRECT


@asynccontextmanager
async def open_room(
    client: Client,
    room: JID | str,
    nick: str,
    *,
    password: str | None = None,
    create: bool | Configure = False,
    history: HistoryWanted = 0,
    rejoin: Rejoin = Rejoin(),  # noqa: B008  # a frozen value
    limit: int = OCCUPANTS,
    leave_deadline: float = 5.0,
) -> AsyncIterator[Room]:
    """Be in a room: joined when the block begins, joined again whenever that is lost, left at the end of the block.

    `create` permits to create the room, which then has its default configuration, or the one that ``create(config)``
    makes of the form. `history` is the number of messages, or the time of the oldest one, that the room shall send;
    None leaves it to the room; see `Room.history`. After a loss we ask for what we missed, unless `history` is 0.
    `FROM_ARCHIVE` asks for none where the room has an archive, for `trioxmpp.im.timeline.open_room_timeline` to read.
    `rejoin` says how a stay is healed. `limit` bounds the occupants that are remembered. At the end the room has
    `leave_deadline` seconds to confirm.

    Raises `JoinRefused` if the room does not let us in at first, ValueError for an address that cannot be a room or
    that is claimed already, and what `Client.send` raises. Later `RoomGone` leaves the block, whatever the body does,
    when staying is impossible. Cancelling leaves the room.
    """
    address = JID.parse(room) if isinstance(room, str) else room
    if not address.is_bare or address.local is None:
        raise ValueError(f"{address} is not the address of a room")
    occupancy = Occupancy(address, limit, returns=rejoin.after_kick is not None)
    hearing = Hearing(occupancy)
    terms = Terms(password, create, history, rejoin)
    entrance = Entrance(client, occupancy, hearing, nick, terms)
    keeper = Keeper(client, occupancy, hearing, entrance, terms)
    name = f"open_room {address}"
    with (
        client.claim(address, hearing.on_message, occupancy.on_presence),
        client.offers(NS),
        client.on_event.context_connect(keeper.on_event),
    ):
        try:
            async with (
                supervised(client, keeper.run, name=name, final=(RoomGone,)),
                client.each_session(Step.JOIN, keeper.in_session),
                supervised(client, keeper.follow_config, name=name),
            ):
                await keeper.first.wait()
                yield Room(client, occupancy, hearing, entrance, keeper)
        finally:
            await keeper.leave(leave_deadline)  # noqa: ASYNC102  (it shields, and bounds, what it says)
            occupancy.events.close(occupancy.verdict if isinstance(occupancy.verdict, RoomGone) else None)
