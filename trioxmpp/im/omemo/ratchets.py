"""The sessions with other devices: keys of messages go in, and come out, through a ratchet for each device.

The library `omemo` brings a `SessionManager`. It is not used: it starts a task of asyncio, asks the network while it
changes state, keeps one session with a device where two can have been begun at once, writes the text of messages to its
log, and replaces a session whenever a key exchange comes, also an old one from an archive. Only the layer below
it is used: the backends, which compute, and call nothing but a storage. They are coroutines that never wait, so a step
on one device is done before any other task runs.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeAlias

import doubleratchet
from omemo import Backend, KeyExchangeFailed, NothingException
from omemo import Bundle as OmemoBundle
from omemo.message import KeyExchange, PlainKeyMaterial
from omemo.session import Initiation, Session

from ...jid import JID
from ...record import record
from .errors import AlreadyDecrypted, BadBundle, KeyChanged, NoSession
from .method import Incoming, OutgoingKey
from .prekeys import UsedPreKeys
from .storage import DIGEST, NoteStorage, SessionKey, SessionRecord

__all__ = ["LONG_CHAIN", "Key", "Ratchets", "digest_of"]

#: Raises if a new session may not be begun.
Admission: TypeAlias = Callable[[], None]

#: A chain of received messages that is this long is to be answered, so that it ends (XEP-0384 §8).
LONG_CHAIN: Final = 53


@record
class Key:
    """The key of a message that was decrypted. `began`: by a new session. `long`: the chain is to be answered."""

    material: PlainKeyMaterial
    began: bool
    long: bool


def digest_of(data: bytes) -> bytes:
    """Return what a key or a key exchange is remembered by."""
    return blake2b(data, digest_size=DIGEST).digest()


class Ratchets:
    """The sessions of one method with all devices."""

    def __init__(self, storage: NoteStorage, backend: Backend) -> None:
        self.backend = backend
        self.used: UsedPreKeys = UsedPreKeys(storage, backend)
        """The pre-keys that others have used."""
        self._storage = storage
        self._namespace = backend.namespace

    def key(self, jid: JID, device: int) -> SessionKey:
        """Return the name of the record of a device."""
        return self._namespace, str(jid), device

    def record(self, jid: JID, device: int) -> SessionRecord | None:
        """Return the record of a device, if there is one."""
        return self._storage.record(self.key(jid, device))

    def has_session(self, jid: JID, device: int) -> bool:
        """Return whether a message can be encrypted for a device without its bundle."""
        found = self.record(jid, device)
        return found is not None and bool(found.slots)

    # --- on the way out

    async def encrypt(
        self, jid: JID, device: int, material: PlainKeyMaterial, bundle: OmemoBundle | None = None
    ) -> OutgoingKey | None:
        """Encrypt the key of a message for one device; None if there is no session, and no `bundle` to begin one.

        With a bundle a new session is begun. Raises `BadBundle` if that cannot be. No other task runs meanwhile.
        """
        key = self.key(jid, device)
        if bundle is not None:
            try:
                session, encrypted = await self.backend.build_session_active(str(jid), device, bundle, material)
            except Exception as exc:  # whatever hostile keys bring about in the library
                raise BadBundle(f"no session can be begun with device {device} of {jid}: {exc!r}") from exc
            found = self._storage.make_record(key)
            found.push()
        else:
            known = self._storage.record(key)
            loaded = None if known is None else await self._load(key, known, 0)
            if known is None or loaded is None:
                return None
            found, session = known, loaded
            encrypted = await self.backend.encrypt_key_material(session, material)
        await self.backend.store_session(session)
        found.unanswered += 1
        found.beat = True
        self._storage.changed(key)
        unanswered = session.initiation is Initiation.ACTIVE and not session.confirmed
        return OutgoingKey(jid, encrypted, session.key_exchange if unanswered else None)

    # --- on the way in

    async def decrypt(self, incoming: Incoming, identity: bytes | None, stamp: float, may_begin: Admission) -> Key:
        """Decrypt the key of a message. `identity` is the key of the sending device, if that is known.

        `stamp` is when the message was sent, as far as servers say. ``may_begin()`` is called before a new session is
        begun, and raises if that is not permitted. Raises `CannotDecrypt`: `AlreadyDecrypted`, and `NoSession` if no
        session fits; and `KeyChanged`. No other task runs meanwhile.
        """
        key, digest = self.key(incoming.sender, incoming.device), digest_of(incoming.raw)
        found = self._storage.make_record(key)
        try:
            if found.has_seen(digest):
                raise AlreadyDecrypted("the message was decrypted before")
            if incoming.exchange is None:
                session, material = await self._by_any(key, found, incoming)
                began = False
            else:
                if identity is not None and incoming.exchange.identity_key != identity:
                    raise KeyChanged(f"device {incoming.device} of {incoming.sender} has another key than before")
                session, material, began = await self._by_exchange(key, found, incoming, may_begin)
        finally:
            self._storage.forget_unsaved(key)
        found.saw(digest, stamp)
        self._storage.changed(key)
        length = session.receiving_chain_length or 0
        if length <= LONG_CHAIN and not began:
            found.beat = False
        return Key(material, began, length > LONG_CHAIN and not found.beat)

    async def _by_any(
        self, key: SessionKey, found: SessionRecord, incoming: Incoming
    ) -> tuple[Session, PlainKeyMaterial]:
        """Decrypt with the session that fits, and use that one from now on."""
        is_duplicate = False
        for slot in range(len(found.slots)):
            session = await self._load(key, found, slot)
            if session is None:
                continue
            try:
                material = await self.backend.decrypt_key_material(session, incoming.material)
            except Exception as exc:  # whatever a hostile message brings about in the library
                is_duplicate = is_duplicate or isinstance(exc.__cause__, doubleratchet.DuplicateMessageException)
                continue
            await self._use(found, slot, session)
            return session, material
        if is_duplicate:
            raise AlreadyDecrypted("the key of the message is used up")
        raise NoSession(f"no session with device {incoming.device} of {incoming.sender} fits")

    async def _by_exchange(
        self, key: SessionKey, found: SessionRecord, incoming: Incoming, may_begin: Admission
    ) -> tuple[Session, PlainKeyMaterial, bool]:
        """Decrypt with the session that a key exchange has built, or builds now. The third value is whether it does.

        An exchange builds one session: a copy of it, from an archive say, finds that session, or builds nothing.
        """
        assert incoming.exchange is not None
        for slot in range(len(found.slots)):
            session = await self._load(key, found, slot)
            if session is not None and _is_built_by(session, incoming.exchange):
                try:
                    material = await self.backend.decrypt_key_material(session, incoming.material)
                except Exception as exc:  # as above
                    if isinstance(exc.__cause__, doubleratchet.DuplicateMessageException):
                        raise AlreadyDecrypted("the key of the message is used up") from exc
                    raise NoSession(f"the session with device {key[2]} of {key[1]} does not fit: {exc!r}") from exc
                await self._use(found, slot, session)
                return session, material, False
        exchange = digest_of(incoming.exchange_id)
        if found.has_built(exchange):
            raise AlreadyDecrypted("the session that this key exchange built is gone")
        may_begin()
        session, material = await self._build(incoming)
        found.push()
        await self.backend.store_session(session)
        await self.used.use(session)
        found.built(exchange)
        return session, material, True

    async def _build(self, incoming: Incoming) -> tuple[Session, PlainKeyMaterial]:
        """Build the session of a key exchange; if its pre-key is not offered any more, with one that was used."""
        assert incoming.exchange is not None
        arguments = str(incoming.sender), incoming.device, incoming.exchange, incoming.material
        try:
            try:
                return await self.backend.build_session_passive(*arguments)
            except KeyExchangeFailed:
                with self.used.lent():
                    return await self.backend.build_session_passive(*arguments)
        except Exception as exc:  # as above
            raise NoSession(f"a key exchange of device {incoming.device} of {incoming.sender} fails: {exc!r}") from exc

    async def _use(self, found: SessionRecord, slot: int, session: Session) -> None:
        found.selected = slot
        await self.backend.store_session(session)
        found.promote()

    async def _load(self, key: SessionKey, found: SessionRecord, slot: int) -> Session | None:
        """Return the session in a slot; None if it is damaged."""
        found.selected = slot
        try:
            return await self.backend.load_session(key[1], key[2])
        except (NothingException, KeyError, TypeError, ValueError):
            return None
        finally:
            found.selected = 0


def _is_built_by(session: Session, exchange: KeyExchange) -> bool:
    return session.initiation is Initiation.PASSIVE and session.key_exchange.builds_same_session(exchange)
