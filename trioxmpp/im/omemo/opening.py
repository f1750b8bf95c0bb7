"""How a message is decrypted, in one step with one write: sessions, and the text until the application has had it."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import trio

from ...errors import ElementError
from ...jid import JID
from ...protocol.stanza import Message
from ...record import record
from ...xep.encryption import Device, Encrypted, Trust
from . import envelope
from .core import Core
from .directory import Directory
from .errors import Malformed, NoSession, OmemoError, OwnMessage, SenderDistrusted, TooManyKeyExchanges
from .method import Incoming, Method
from .plaintexts import Kept, Kind, Plaintexts
from .ratchets import digest_of

__all__ = ["Opener", "Tasks"]

_logger = logging.getLogger(__name__)

#: Key exchanges of one account in a minute, and accounts whose key exchanges are counted.
MAX_EXCHANGES: Final = 20
MINUTE: Final = 60.0
MAX_COUNTED: Final = 1_000


@record
class Tasks:
    """The tasks that a decrypted message may call for: answer a session, begin a new one, publish other pre-keys."""

    answer: Callable[[Method, Device], None]
    heal: Callable[[Method, Device], None]
    publish: Callable[[], None]


class Opener:
    """Decrypts messages from the devices of accounts."""

    def __init__(self, core: Core, directory: Directory, plaintexts: Plaintexts, tasks: Tasks, heal_every: float):
        self._core = core
        self._directory = directory
        self._plaintexts = plaintexts
        self._tasks = tasks
        self._heal_every = heal_every
        self._exchanges: OrderedDict[JID, list[float]] = OrderedDict()

    def find(self, message: Message) -> tuple[Method, Any] | None:
        """Return the encrypted payload of a message, and its method; None if it has none. Raises `Malformed`."""
        for method in self._core.methods.values():
            try:
                payload = message.get(method.element, strict=True)
            except ElementError as exc:
                raise Malformed(f"the encrypted payload is malformed: {exc}") from exc
            if payload is not None:
                return method, payload
        return None

    def digest(self, message: Message, sender: JID) -> bytes:
        """Return the digest of an encrypted message. Raises as `decrypt`."""
        found = self.find(message)
        assert found is not None
        method, payload = found
        return digest_of(self._read(method, payload, sender).raw)

    def _read(self, method: Method, payload: Any, sender: JID) -> Incoming:
        """Return what of an encrypted payload is for this device. Raises `NotForUs` and `Malformed`."""
        known = self._core.book.device(sender, method.sender_device(payload))
        identity = None if known is None else known.key
        return method.read_message(payload, sender, self._core.account, self._core.device_id, identity)

    def beside(self, message: Message) -> list[Any]:
        """Return the payloads that servers have put beside an encrypted one."""
        return envelope.strip(message).payloads

    def is_own(self, method: Method, payload: Any, sender: JID) -> bool:
        """Return whether this device has sent an encrypted payload."""
        return sender == self._core.account and method.sender_device(payload) == self._core.device_id

    async def decrypt(
        self, message: Message, sender: JID, sent: datetime, keep: Kind | None
    ) -> tuple[Message, Encrypted, bytes]:
        """Decrypt a message whose sender is known to be the account `sender`, and which was sent at `sent`.

        Return the message as it was written, how it was protected, and its digest. With `keep` the text stays in the
        notes until the application has it. Raises `CannotDecrypt`, `KeyChanged`, and `StoreError`.
        """
        found = self.find(message)
        if found is None:
            raise Malformed("the message is not encrypted by a method that is known here")
        method, payload = found
        if self.is_own(method, payload, sender):
            raise OwnMessage("this device has sent the message, and has no key for it")
        core = self._core
        known = core.book.device(sender, method.sender_device(payload))
        if known is None:
            await self._directory.look_up(sender)
        if method.needs_identity and (known is None or known.key is None):
            await self._directory.look_up_key(method, sender, method.sender_device(payload))
        incoming = self._read(method, payload, sender)
        async with core.turn:
            try:
                plaintext, device = await self._open(method, incoming, sent)
                digest = digest_of(incoming.raw)
                kept = None if plaintext is None else Kept(digest, method.namespace, device.id, plaintext)
                if kept is not None and keep is not None:
                    self._plaintexts.add(kept, keep)
                self._plaintexts.collect()
                core.book.keep_secret(sender)
            except OmemoError:
                await core.storage.flush()  # noqa: ASYNC120  (a hostile message has used up a key: that stays)
                raise
            await core.storage.flush()
        if kept is None:
            return envelope.strip(message), Encrypted(method.namespace, device, whole=method.envelope), b""
        return (*self.lay_open(message, sender, sent, kept), kept.digest)

    async def _open(self, method: Method, incoming: Incoming, sent: datetime) -> tuple[bytes | None, Device]:
        """Decrypt what is for us; return the plain text and the device that sent it."""
        core = self._core
        known = core.book.device(incoming.sender, incoming.device)
        if known is not None and known.trust is Trust.DISTRUSTED:
            raise SenderDistrusted(f"device {known.id} of {known.jid} is distrusted")
        ratchets = core.ratchets[method.namespace]
        try:
            key = await ratchets.decrypt(
                incoming, None if known is None else known.key, sent.timestamp(), lambda: self._count(incoming.sender)
            )
        except NoSession:
            self._heal(method, incoming, sent)
            raise
        if incoming.exchange is not None:
            known = core.book.learn_key(incoming.sender, incoming.device, incoming.exchange.identity_key)
        elif known is None:
            known = Device(incoming.sender, incoming.device, active=False)
        if key.began:
            self._tasks.publish()
        if key.began or key.long:
            self._tasks.answer(method, known)
        if incoming.content is None:
            return None, known
        try:
            return await ratchets.backend.decrypt_plaintext(incoming.content, key.material), known
        except Exception as exc:  # whatever hostile octets bring about in the library
            raise Malformed(f"the payload does not fit its key: {exc!r}") from exc

    def lay_open(self, message: Message, sender: JID, sent: datetime, kept: Kept) -> tuple[Message, Encrypted]:
        """Return a message with its decrypted text. Raises `Malformed` and `BadEnvelope`."""
        core = self._core
        device = core.book.device(sender, kept.device) or Device(sender, kept.device, active=False)
        if not core.methods[kept.method].envelope:
            opened = envelope.strip(message)
            try:
                opened.body = kept.text.decode()
            except UnicodeDecodeError as exc:
                raise Malformed("the text is no UTF-8") from exc
            return opened, Encrypted(kept.method, device, whole=False)
        read = envelope.read(kept.text)
        envelope.check(read, message, sender, core.account)
        stamp = None if read.stamp is None else (read.stamp if read.stamp.tzinfo else read.stamp.replace(tzinfo=UTC))
        punctual = stamp is None or abs(stamp - sent) <= envelope.MARGIN
        return envelope.lay_open(message, read), Encrypted(kept.method, device, stamp, punctual)

    # --- bounds

    def _count(self, sender: JID) -> None:
        """Count a key exchange of an account. Raises `TooManyKeyExchanges`."""
        now = trio.current_time()
        recent = [since for since in self._exchanges.pop(sender, ()) if now - since < MINUTE]
        self._exchanges[sender] = recent
        if len(self._exchanges) > MAX_COUNTED:
            self._exchanges.popitem(last=False)
        if len(recent) >= MAX_EXCHANGES:
            raise TooManyKeyExchanges(f"{sender} begins more than {MAX_EXCHANGES} sessions in a minute")
        recent.append(now)

    def _heal(self, method: Method, incoming: Incoming, sent: datetime) -> None:
        """Begin a new session with a device whose message fits none, at most once in `heal_every` seconds.

        A message that is older than one that was read tells nothing of the session now: an archive has brought it
        again. Devices that their accounts do not list get no session of ours.
        """
        device = self._core.book.device(incoming.sender, incoming.device)
        if device is None or not device.active:
            return
        key = self._core.ratchets[method.namespace].key(incoming.sender, incoming.device)
        found, now = self._core.storage.make_record(key), time.time()
        if sent.timestamp() <= found.last or now - found.healed < self._heal_every:
            return
        found.healed = now
        self._core.storage.changed(key)
        _logger.info("the session with device %d of %s is broken: a new one is begun", device.id, device.jid)
        self._tasks.heal(method, device)
