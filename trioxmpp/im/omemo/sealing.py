"""How a message is encrypted: its content once, and the key of that for each device of its recipients."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import trio
from omemo.message import PlainKeyMaterial

from ...jid import JID
from ...protocol.elements.eme import Encryption
from ...protocol.elements.hints import NoStore, Store
from ...protocol.stanza import Message, MessageType
from ...xep.encryption import Device, Encrypted, Trust
from . import envelope
from .core import Core, DeviceSkipped
from .directory import Directory
from .errors import BadBundle, CannotEncrypt, NoDevices, Undecided
from .method import Method, OutgoingKey

__all__ = ["Sealer"]

#: Messages of ours whose plain text is kept, for when a room or an archive brings them back.
MAX_SENT: Final = 1_000
#: Devices for which the key is encrypted before other tasks run.
BATCH: Final = 8


class Sealer:
    """Encrypts messages for the devices of accounts."""

    def __init__(self, core: Core, directory: Directory, stale_after: int, away_after: int) -> None:
        self._core = core
        self._directory = directory
        self._stale_after = stale_after
        self._away_after = min(away_after, stale_after)
        self._sent: OrderedDict[str, tuple[Message, Encrypted]] = OrderedDict()

    def takes_texts_only(self, jid: JID) -> bool:
        """Return whether each device that an account lists is of an encryption that covers texts only."""
        core = self._core
        spoken = {name for device in core.book.devices(jid) for name in core.book.namespaces(jid, device.id)}
        return bool(spoken) and not any(name in core.methods and core.methods[name].envelope for name in spoken)

    async def encrypt(
        self, message: Message, to: Iterable[JID], *, strict: bool = True
    ) -> tuple[Message, frozenset[JID]]:
        """See `Omemo.encrypt`. Without `strict`, accounts that cannot be reached are left out; they are returned."""
        recipients = {jid.bare for jid in to} or ({message.to.bare} if message.to is not None else set())
        if not recipients or message.to is None:
            raise ValueError("a message is encrypted for a recipient: it has no address")
        message.validate()
        accounts = {*recipients, self._core.account}
        await self._directory.prepare(accounts)
        async with self._core.turn:
            stale_after = self._stale_after if message.get(NoStore) is None else self._away_after
            devices = self._choose(accounts, stale_after)
            sealed, reached = await self._seal(message, message.to.bare, devices)
            missing = frozenset(recipients - reached - {self._core.account})
            if not reached or (missing and strict):
                names = ", ".join(sorted(map(str, missing or recipients)))
                raise NoDevices(f"no device that is trusted and can be reached: {names}", sorted(missing, key=str))
            self._remember(message, sealed)
            if message.type is not MessageType.GROUPCHAT:
                self._core.book.keep_secret(message.to.bare, kept=True)
            await self._core.storage.flush()
        return sealed, missing

    def sent(self, id: str | None) -> tuple[Message, Encrypted] | None:
        """Return a message that this device encrypted a while ago, as it was before, by its id."""
        return None if id is None else self._sent.get(id)

    # --- for which devices

    def _choose(self, accounts: set[JID], stale_after: int) -> list[tuple[Method, Device]]:
        """Return the devices to encrypt for. Raises `Undecided`."""
        core = self._core
        chosen = []
        for jid in sorted(accounts, key=str):
            for device in core.book.devices(jid):
                if device.key is None or (jid == core.account and device.id == core.device_id):
                    continue
                namespaces = core.book.namespaces(jid, device.id)
                method = next((method for name, method in core.methods.items() if name in namespaces), None)
                if method is not None and device.unanswered < stale_after:
                    chosen.append((method, device))
        undecided = [device for _, device in chosen if device.trust is Trust.UNDECIDED]
        if undecided:
            names = ", ".join(f"{device.id} of {device.jid}" for device in undecided)
            raise Undecided(f"it is not decided whether these devices are trusted: {names}", undecided)
        return [(method, device) for method, device in chosen if device.trust.is_trusted]

    # --- the encryption

    async def _seal(
        self, message: Message, recipient: JID, devices: list[tuple[Method, Device]]
    ) -> tuple[Message, set[JID]]:
        """Return the message encrypted for these devices, and the accounts for which it is."""
        core, now = self._core, datetime.now(UTC)
        reached: set[JID] = set()
        outer = envelope.strip(message)
        outer.id = message.id or secrets.token_urlsafe(15)
        elements: list[tuple[str, Any]] = []
        for method in core.methods.values():
            mine = [device for each, device in devices if each is method]
            plaintext = self._plaintext(method, message, recipient, now)
            if not mine or plaintext is None:
                continue
            content, material = await core.ratchets[method.namespace].backend.encrypt_plaintext(plaintext)
            keys = await self._keys(method, mine, material)
            reached |= {key.jid for key in keys}
            if keys:
                elements.append((method.namespace, method.write_message(core.device_id, content, keys)))
        outer.payloads += [element for _, element in elements[1:]]
        if elements:
            envelope.fill(outer, elements[0][1], elements[0][0])
        return outer, reached

    def _plaintext(self, method: Method, message: Message, recipient: JID, now: datetime) -> bytes | None:
        if method.envelope:
            return envelope.pack(message, self._core.account, recipient, now)
        return None if message.body is None else message.body.encode()

    async def _keys(self, method: Method, devices: list[Device], material: PlainKeyMaterial) -> list[OutgoingKey]:
        keys = []
        for number, device in enumerate(devices):
            try:
                key = await self._key(method, device, material)
            except BadBundle as exc:
                self._core.on_event.emit(DeviceSkipped(device, exc))
                continue
            if key is not None:
                keys.append(key)
            if number % BATCH == BATCH - 1:
                await trio.lowlevel.checkpoint()
        return keys

    async def _key(self, method: Method, device: Device, material: PlainKeyMaterial) -> OutgoingKey | None:
        """Encrypt a key for a device, if there is a session, or a bundle to begin one."""
        ratchets = self._core.ratchets[method.namespace]
        key = await ratchets.encrypt(device.jid, device.id, material)
        if key is None:
            bundle = self._directory.bundle(method, device.jid, device.id)
            if bundle is not None:
                key = await ratchets.encrypt(device.jid, device.id, material, bundle)
        return key

    def _remember(self, message: Message, sealed: Message) -> None:
        assert sealed.id is not None
        named = sealed.get(Encryption)
        namespace = "" if named is None else named.namespace
        used = [method for method in self._core.methods.values() if sealed.get(method.element) is not None]
        whole = all(method.envelope for method in used)
        self._sent[sealed.id] = message, Encrypted(namespace, self._core.own, datetime.now(UTC), whole=whole)
        while len(self._sent) > MAX_SENT:
            self._sent.popitem(last=False)

    # --- messages without content

    async def empty(self, method: Method, device: Device, *, anew: bool = False) -> Message:
        """Return a message without content that moves a session on, or with `anew` begins one (XEP-0384 §8).

        The caller holds the turn, and writes the notes before it sends the message. With `anew` a bundle was fetched.
        Raises `CannotEncrypt` if there is no session and no bundle.
        """
        ratchets = self._core.ratchets[method.namespace]
        content, material = await ratchets.backend.encrypt_empty()
        bundle = self._directory.bundle(method, device.jid, device.id) if anew else None
        key = await ratchets.encrypt(device.jid, device.id, material, bundle)
        if key is None:
            raise CannotEncrypt(f"there is no session with device {device.id} of {device.jid}")
        element = method.write_message(self._core.device_id, content, [key])
        return Message(to=device.jid, type=MessageType.CHAT, payloads=[element, Store()])
