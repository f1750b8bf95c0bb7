"""A timeline in plain text: each entry is decrypted when the application asks for it, with a mark how it came.

Decryption is no stage of the stream (`Stage.DECRYPT`): a stage cannot wait, and what it returns is on its way to the
application before the used key is written down. A reader of the timeline waits for the store, and holds up nothing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import trio

from ...jid import JID
from ...protocol.stanza import Message, MessageType
from ...record import replace
from ...xep.encryption import Encrypted, Encryption, Plain, Unreadable
from ...xep.muc import RoomEntry
from ..provenance import Account
from ..timeline import Entry, Timeline
from .core import Core
from .errors import AlreadyDecrypted, OmemoError, OwnMessage
from .opening import Opener
from .plaintexts import Kind, Plaintexts
from .sealing import Sealer

__all__ = ["Reader", "Reading"]

_logger = logging.getLogger(__name__)


class Reader:
    """Opens what a timeline or a room gives."""

    def __init__(self, core: Core, opener: Opener, sealer: Sealer, plaintexts: Plaintexts) -> None:
        self.core = core
        self.plaintexts = plaintexts
        self._opener = opener
        self._sealer = sealer

    async def open(
        self, entry: Any, sender: JID | None, is_secret: bool, kind: Kind
    ) -> tuple[Message, Encryption | None, bytes] | None:
        """Return the message of an entry in plain text, with its mark, and the digest by which its text is kept.

        `sender` is the account that wrote it, None if that is not known. None for a message without content, which is
        no business of the application. Raises `StoreError`, and what `Client.send` raises.
        """
        message: Message = entry.message
        found = None
        if message.type is MessageType.ERROR:  # it brings back what we sent
            await trio.lowlevel.checkpoint()
            return message, None, b""
        try:
            found = self._opener.find(message)
            if found is None:
                await trio.lowlevel.checkpoint()
                is_plain = is_secret and (message.body is not None or self._would_be_covered(sender))
                return message, Plain() if is_plain else None, b""
            if sender is None:
                raise OmemoError("the account of the sender is not known")
            if self._opener.is_own(*found, sender):
                if found[0].is_empty(found[1]):
                    return None
                return (*self._own(message), b"")
            opened, mark, digest = await self._open(message, sender, entry, kind)
        except OmemoError as exc:
            await trio.lowlevel.checkpoint()  # noqa: ASYNC120  (this handles the exception)
            if found is not None and found[0].is_empty(found[1]):
                return None
            return message, Unreadable(exc, isinstance(exc, AlreadyDecrypted)), b""
        return (opened, mark, digest) if digest else None

    async def _open(self, message: Message, sender: JID, entry: Any, kind: Kind) -> tuple[Message, Encrypted, bytes]:
        try:
            return await self._opener.decrypt(message, sender, entry.sent, kind)
        except AlreadyDecrypted:
            kept = self.plaintexts.get(self._opener.digest(message, sender), kind)
            if kept is None:
                raise
            return (*self._opener.lay_open(message, sender, entry.sent, kept), kept.digest)

    def _own(self, message: Message) -> tuple[Message, Encryption]:
        """A message that this device has sent comes back: the text is still here, or it is not readable any more."""
        sent = self._sealer.sent(message.id)
        if sent is None:
            return message, Unreadable(OwnMessage("this device has sent the message, and has no key for it"))
        plain, mark = sent
        opened = Message(
            to=message.to,
            from_=message.from_,
            id=message.id,
            lang=message.lang,
            type=message.type,
            body=plain.bodies,
            subject=plain.subjects,
            thread=plain.thread,
            parent_thread=plain.parent_thread,
            payloads=[*plain.payloads, *self._opener.beside(message)],
        )
        return opened, mark

    def _would_be_covered(self, sender: JID | None) -> bool:
        """Return whether an account encrypts all that it says, and not only texts, as its clients have done before."""
        whole = [name for name, method in self.core.methods.items() if method.envelope]
        return sender is None or sender == self.core.account or self.core.book.has_session(sender, whole)

    async def open_room_entry(self, entry: RoomEntry, candidates: list[JID]) -> RoomEntry:
        """Return an entry of a room in plain text. One of `candidates` has sent it. Raises `StoreError`."""
        opened = await self.open(entry, self._sender(entry.message, candidates), True, "room")
        if opened is None:
            return entry
        message, mark, digest = opened
        if digest:
            self.plaintexts.delivered_in_room(digest)
        return replace(entry, message=message, encryption=mark)

    def _sender(self, message: Message, candidates: list[JID]) -> JID | None:
        """Return the account that has the device which sent a message; a wrong one fails to decrypt it."""
        if len(candidates) == 1:
            return candidates[0]
        try:
            found = self._opener.find(message)
        except OmemoError:
            return None
        if found is None:
            return None
        device = found[0].sender_device(found[1])
        return next((jid for jid in candidates if self.core.book.device(jid, device) is not None), None)


class Reading:
    """Entries in plain text. `Omemo.read` gives one; one task iterates."""

    def __init__(self, reader: Reader, entries: AsyncIterable[Entry]) -> None:
        self._reader = reader
        self._timeline = entries if isinstance(entries, Timeline) else None
        self._entries: AsyncIterator[Entry] = aiter(entries)
        self._next: Entry | None = None
        """The entry that is being opened: if that is cancelled, the next call goes on with it."""
        self._count = 0

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> Entry:
        """Return the next entry in plain text; the one before is done. Cancelling loses none.

        Raises what iterating over the timeline raises, `StoreError`, and what `Client.send` raises.
        """
        while True:
            if self._next is None:
                self._next = await anext(self._entries)
                self._count += 1
            entry = self._next
            if self._timeline is not None:
                self._reader.plaintexts.written = self._timeline.written
            sender = entry.sender.jid if isinstance(entry.sender, Account) else None
            book = self._reader.core.book
            opened = await self._reader.open(entry, sender, book.is_secret(entry.peer.bare), "text")
            self._next = None
            if opened is None:
                continue
            message, mark, digest = opened
            if digest:
                # Without a timeline there is no telling when an entry is done: it is when it was given.
                self._reader.plaintexts.delivered(digest, self._count if self._timeline is not None else 0)
            return replace(entry, message=message, encryption=mark)
