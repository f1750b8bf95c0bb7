"""XEP-0384: OMEMO Encryption: messages that only the devices of their recipients can read.

    async with open_timeline(client) as timeline:
        async with open_omemo(client, timeline, trust=undecided) as omemo:
            async for entry in omemo.read(timeline):
                print(entry.peer, entry.message.body, entry.encryption)

Needs the extra ``omemo``, and a store: a process without one is a new device each time.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

import trio

from ...client import Client, Destroyed, Event, Session, Signal, Step, Subscription, supervised
from ...jid import JID
from ...protocol.elements import muc
from ...protocol.stanza import Message, MessageType
from ...xep.encryption import Device, Encrypted, Sealed, Trust
from ...xep.muc import RoomEntry
from ...xep.pep import watch
from ..timeline import CaughtUp, Entry, Timeline, TimelineEvent
from .announcing import Announcer
from .chores import Chores
from .core import Core, OmemoEvent
from .directory import Directory
from .envelope import is_courtesy
from .errors import NoDevices, Undecided
from .method import Method, omemo_2
from .opening import Opener, Tasks
from .plaintexts import Plaintexts
from .reading import Reader, Reading
from .sealing import Sealer
from .trust import TrustRule

__all__ = ["Omemo", "open_omemo"]

#: Seconds after which the signed pre-key is replaced (XEP-0384 §4.3).
ROTATE_EVERY: Final = 7 * 86_400.0
#: Seconds between two new sessions with a device whose session is broken.
HEAL_EVERY: Final = 3_600.0
#: Messages without an answer after which a device is taken to be gone.
STALE_AFTER: Final = 2_000
#: Messages without an answer after which a device gets none that no archive keeps: it may be away, and would have to
#: keep a key for each of them.
AWAY_AFTER: Final = 100


class _Parts:
    """The parts of the encryption of one client, and what they hear of its sessions."""

    def __init__(
        self,
        client: Client,
        timeline: Timeline | None,
        core: Core,
        stale_after: int,
        away_after: int,
        heal_every: float,
        rotate_every: float,
    ) -> None:
        self.core = core
        self.directory: Directory = Directory(core)
        self.sealer: Sealer = Sealer(core, self.directory, stale_after, away_after)
        self.announcer: Announcer = Announcer(core, self.directory, rotate_every)
        self.chores: Chores = Chores(core, self.directory, self.sealer)
        self._plaintexts = Plaintexts(core.storage)
        tasks = Tasks(self.chores.answer, self.chores.heal, self.announcer.publish)
        self.opener: Opener = Opener(core, self.directory, self._plaintexts, tasks, heal_every)
        self.reader: Reader = Reader(core, self.opener, self.sealer, self._plaintexts)
        self._timeline = timeline

    async def load(self) -> None:
        """Read the notes. Raises `StoreError`."""
        await self.core.load()
        self._plaintexts.load()
        self.chores.catching_up = self._timeline is not None

    def is_known(self, jid: JID) -> bool:
        """Return whether the devices of an account are of interest."""
        return jid in self.core.book

    async def announce(self, session: Session) -> None:
        """Make this device, if that was not done yet, and have the account list it."""
        if not self.core.device_id:
            await self.announcer.create()
        await self.announcer.announce(session)

    def on_timeline(self, event: TimelineEvent) -> None:
        """Note that the timeline has caught up."""
        if isinstance(event, CaughtUp):
            self._plaintexts.forget_older()
            self.chores.caught_up()

    def on_client(self, event: Event) -> None:
        """Note that the session is over: the next one begins with history."""
        if isinstance(event, Destroyed):
            self.chores.catching_up = self._timeline is not None


class Omemo:
    """The encryption of one client. `open_omemo` gives one."""

    def __init__(self, parts: _Parts, wants: Callable[[JID], bool]) -> None:
        self.on_event: Signal[OmemoEvent] = parts.core.on_event
        """Emits `NewDevice`, `DeviceGone`, `DeviceSkipped`, `SessionReplaced` and `OwnDeviceRestored`."""
        self._core = parts.core
        self._sealer = parts.sealer
        self._opener = parts.opener
        self._reader = parts.reader
        self._directory = parts.directory
        self._wants = wants

    # --- devices and trust

    @property
    def own(self) -> Device:
        """This device, with the fingerprint that others compare."""
        return self._core.own

    def events(self, *, capacity: float = 10_000) -> Subscription[OmemoEvent]:
        """``async with`` block that gives an inbox of events."""
        return self.on_event.subscribe(capacity)

    def known_devices(self, account: JID | str) -> tuple[Device, ...]:
        """Return the devices of an account that are known here, also those that it no longer lists."""
        return self._core.book.devices(_bare(account))

    async def devices(self, account: JID | str) -> tuple[Device, ...]:
        """Ask an account for its devices and their keys, as far as they are not known; return the active ones.

        Raises what `Client.send` raises. If cancelled, some may be known.
        """
        jid = _bare(account)
        await self._directory.prepare([jid])
        return tuple([device for device in self._core.book.devices(jid) if device.active])

    async def trust(self, device: Device, trust: Trust = Trust.VERIFIED) -> None:
        """Decide about the key of a device, and write that down.

        Raises ValueError if the key of the device is not known, and `StoreError`. If cancelled, it may be written.
        """
        if device.key is None:
            raise ValueError(f"the key of device {device.id} of {device.jid} is not known")
        async with self._core.turn:
            self._core.book.set_trust(device.jid, device.key, trust, kept=True)
            await self._core.storage.flush()

    async def forget(self, account: JID | str) -> None:
        """Forget the devices and sessions of an account, and what was decided about them.

        Raises `StoreError`. If cancelled, it may be done all the same.
        """
        async with self._core.turn:
            self._core.book.forget(_bare(account))
            self._directory.forget(_bare(account))
            await self._core.storage.flush()

    async def remove_device(self, id: int) -> None:
        """Take a device of our account off the list: an old one that is used no more.

        Raises ValueError for this device, ``XMPPError``, and what `Client.send` raises. If cancelled, it may be done.
        """
        if id == self._core.device_id:
            raise ValueError("this device is in use")
        await self._directory.remove_own(id)

    def is_secret(self, account: JID | str) -> bool:
        """Return whether messages to or from an account were encrypted before."""
        return self._core.book.is_secret(_bare(account))

    # --- messages

    async def encrypt(self, message: Message, *, to: Iterable[JID | str] = ()) -> Message:
        """Return `message` encrypted for the devices of its recipient, and for our other devices.

        `to` names the recipients of a message in a room. The elements that servers have to read stay outside; `message`
        itself is not changed. The sessions are written down when this returns. To try again, encrypt
        anew.

        Raises `Undecided` with the devices about which has to be decided, `NoDevices` for recipients without any that
        can be reached, ValueError for a message that cannot be written, `StoreError`, and what `Client.send` raises.
        If cancelled, nothing can be sent, and no key is used twice.
        """
        sealed, _ = await self._sealer.encrypt(message, [_bare(each) for each in to])
        return sealed

    async def seal(self, message: Message) -> Sealed | None:
        """Give `message` encrypted, if ``encrypted(peer)`` of `open_omemo` wants that; else as it is.

        A receipt, a marker or a chat state is a courtesy: None if it cannot be encrypted, so that it is not sent. To
        accounts whose devices all read encrypted texts and nothing else it goes as it is.

        For ``open_conversations(seal=omemo.seal)``. Raises, and may be cancelled, as `encrypt`.
        """
        peer = message.to
        is_elsewhere = message.type is MessageType.GROUPCHAT or message.get(muc.Occupant) is not None
        if peer is None or is_elsewhere or not self._wants(peer.bare):
            await trio.lowlevel.checkpoint()
            return Sealed(message)
        try:
            sealed = await self.encrypt(message)
        except (NoDevices, Undecided):
            if not is_courtesy(message):
                raise
            return Sealed(message) if self._sealer.takes_texts_only(peer.bare) else None
        sent = self._sealer.sent(sealed.id)
        return Sealed(sealed, None if sent is None else sent[1])

    async def decrypt(
        self, message: Message, *, sender: JID | str | None = None, sent: datetime | None = None
    ) -> tuple[Message, Encrypted]:
        """Decrypt a message that was received, and return it as it was written, with how it was protected.

        `sender` is the account that sent it, where that is not the bare JID of ``from``, and `sent` when it was sent,
        if it is not new. A message is decrypted once: a process that is killed before the application has finished
        with it has lost it, which `read` avoids.

        Raises `CannotDecrypt`, `KeyChanged`, `StoreError`. If cancelled, the message may be decrypted, and so be lost.
        """
        author = _bare(sender) if sender is not None else (message.from_ or self._core.account).bare
        opened, mark, _ = await self._opener.decrypt(message, author, sent or datetime.now(UTC), None)
        return opened, mark

    def read(self, entries: AsyncIterable[Entry]) -> Reading:
        """Return the entries of a timeline in plain text, as an asynchronous iterator: each with its `encryption`.

        An entry that cannot be read has the mark `Unreadable`, one without encryption in a conversation that is
        encrypted has `Plain`. A message without content is left out. An entry that a crash interrupts is given again.
        """
        return Reading(self._reader, entries)

    # --- rooms

    async def encrypt_in_room(
        self, room: JID, message: Message, members: Iterable[JID], *, strict: bool = True
    ) -> tuple[Message, frozenset[JID]]:
        """Return `message` encrypted for these members of a room, and the members that cannot read it.

        With `strict` there are none: it raises `NoDevices`. Raises, and may be cancelled, as `encrypt`.
        """
        addressed = _addressed(message, room)
        return await self._sealer.encrypt(addressed, [*members, self._core.account], strict=strict)

    async def open_room_entry(self, entry: RoomEntry, candidates: list[JID]) -> RoomEntry:
        """Return an entry of a room in plain text. One of `candidates` has sent it. Raises `StoreError`."""
        return await self._reader.open_room_entry(entry, candidates)


def _addressed(message: Message, room: JID) -> Message:
    """Return a copy of a message, addressed to all in a room."""
    return Message(
        to=room,
        type=MessageType.GROUPCHAT,
        id=message.id or secrets.token_urlsafe(15),
        lang=message.lang,
        body=message.bodies,
        subject=message.subjects,
        thread=message.thread,
        parent_thread=message.parent_thread,
        payloads=message.payloads,
    )


def _bare(account: JID | str) -> JID:
    return (JID.parse(account) if isinstance(account, str) else account).bare


@asynccontextmanager
async def open_omemo(
    client: Client,
    timeline: Timeline | None = None,
    *,
    trust: TrustRule,
    encrypted: Callable[[JID], bool] = lambda peer: True,
    methods: Sequence[Method] = (omemo_2,),
    label: str | None = None,
    stale_after: int = STALE_AFTER,
    away_after: int = AWAY_AFTER,
    heal_every: float = HEAL_EVERY,
    rotate_every: float = ROTATE_EVERY,
) -> AsyncIterator[Omemo]:
    """A block during which this client takes part in OMEMO; gives the encryption.

    The first time a device is made; with a store it stays the same. In each session the device is listed and its keys
    are published, for all to read. `trust` decides about devices that are new: `undecided`, or
    `blind_trust_before_verification`, or a function of the application. ``encrypted(peer)`` says which conversations
    `Omemo.seal` encrypts. With a `timeline` sessions are answered, and used keys deleted, once it has caught up.

    `methods` are the encryptions that are spoken, the preferred first. `label` names this device to others. A device
    that has not answered `stale_after` messages gets no more until it writes, and after `away_after` no chat states: a
    device that only listens answers more often. A broken session is replaced after `heal_every` seconds at the
    earliest, the signed pre-key after `rotate_every`.

    Entering raises `StoreError`, `XMPPError` and `NodeMismatch` if the account cannot publish, and what `Client.send`
    raises. Later failures are `Trouble` events, and healed. Leaving the block, or cancelling, leaves the device listed.
    """
    core = Core(client, methods, trust, label)
    parts = _Parts(client, timeline, core, stale_after, away_after, heal_every, rotate_every)
    await parts.load()
    async with AsyncExitStack() as stack:
        stack.callback(parts.core.on_event.close)
        for method in methods:
            changes = await stack.enter_async_context(watch(client, method.devices, owners=parts.is_known))
            follow = partial(parts.announcer.follow_list, method, changes)
            await stack.enter_async_context(supervised(client, follow, name="omemo"))
        stack.enter_context(client.on_event.context_connect(parts.on_client))
        if timeline is not None:
            stack.enter_context(timeline.on_event.context_connect(parts.on_timeline))
        await stack.enter_async_context(client.each_session(Step.SYNC, parts.announce))
        rotate = partial(parts.announcer.rotate, parts.chores.drop_pre_keys)
        announcer = parts.announcer
        for run in (parts.chores.run, announcer.follow_bundle, announcer.restore, announcer.look, rotate):
            await stack.enter_async_context(supervised(client, run, name="omemo"))
        yield Omemo(parts, encrypted)
