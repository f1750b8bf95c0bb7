"""The things that all parts of the encryption share: who we are, the books, and whose turn it is to change them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import trio
from omemo.identity_key_pair import IdentityKeyPair

from ...client import Client, Signal
from ...errors import StoreError
from ...jid import JID
from ...protocol.elements.omemo import MAX_DEVICE_ID
from ...record import field, record
from ...xep.encryption import Device, Trust
from .devices import DeviceBook, fingerprint_of
from .errors import OmemoError
from .method import Listed, Method
from .ratchets import Ratchets
from .storage import NoteStorage
from .trust import TrustRule

__all__ = [
    "Core",
    "DeviceGone",
    "DeviceSkipped",
    "NewDevice",
    "OmemoEvent",
    "OwnDeviceRestored",
    "SessionReplaced",
]

#: Pre-keys that a bundle offers.
PRE_KEYS: Final = 100


@record
class NewDevice:
    """An account lists a device that was not known, or that had left the list."""

    device: Device


@record
class DeviceGone:
    """An account no longer lists a device: nothing is encrypted for it any more."""

    device: Device


@record
class DeviceSkipped:
    """A message was encrypted for other devices, and not for this one, because of `error`."""

    device: Device
    error: OmemoError = field(compare=False)


@record
class SessionReplaced:
    """The session with a device was broken, and we have begun a new one."""

    device: Device


@record
class OwnDeviceRestored:
    """Another client of our account had removed this device from the list; it is there again."""


OmemoEvent: TypeAlias = NewDevice | DeviceGone | DeviceSkipped | SessionReplaced | OwnDeviceRestored


class Core:
    """The identity of this device, its books, and the lock that a task holds while it changes them."""

    def __init__(self, client: Client, methods: Sequence[Method], rule: TrustRule, label: str | None) -> None:
        self.client = client
        self.account: JID = client.jid.bare
        self.methods: dict[str, Method] = {method.namespace: method for method in methods}
        self.label = label
        self.storage: NoteStorage = NoteStorage(client.notes("omemo"), tuple(self.methods))
        self.book: DeviceBook = DeviceBook(self.storage, self.account, rule)
        self.ratchets: dict[str, Ratchets] = {
            namespace: Ratchets(self.storage, method.backend(self.storage))
            for namespace, method in self.methods.items()
        }
        self.turn: trio.Lock = trio.Lock()
        """Held by the task that changes the books, until the change is written."""
        self.on_event: Signal[OmemoEvent] = Signal()
        self.device_id: int = 0
        self.identity: bytes = b""

    @property
    def own(self) -> Device:
        """This device."""
        key: bytes | None = self.identity
        return Device(self.account, self.device_id, key, Trust.VERIFIED, True, fingerprint_of(key), self.label)

    # --- the identity

    async def load(self) -> bool:
        """Read the notes; return whether this device exists. Raises `StoreError`.

        If the identity is missing or damaged, all sessions are useless: they are forgotten, and a new device is made.
        """
        await self.storage.open()
        self.book.load()
        own: Any = self.storage.get("self")
        if own is not None and own["account"] != str(self.account):
            raise StoreError(f"the notes of the encryption are those of {own['account']}, not of {self.account}")
        if own is None or self.storage.get("raw /ikp/key") is None:
            self.storage.clear()
            self.book = DeviceBook(self.storage, self.account, self.book.rule)
            return False
        self.device_id = int(own["device"])
        self.identity = await self._identity()
        return True

    async def create(self, taken: Iterable[int]) -> None:
        """Make a new device, whose id is none of `taken`, and write it down. Raises `StoreError`."""
        ids = set(taken)
        while self.device_id == 0 or self.device_id in ids:
            self.device_id = 1 + secrets.randbelow(MAX_DEVICE_ID)
        self.identity = await self._identity()
        for ratchets in self.ratchets.values():
            await ratchets.backend.generate_pre_keys(PRE_KEYS)
            await ratchets.backend.get_bundle(str(self.account), self.device_id)
            await trio.lowlevel.checkpoint()
        self.storage.put("self", {"account": str(self.account), "device": self.device_id})
        await self.storage.flush()

    async def _identity(self) -> bytes:
        return (await IdentityKeyPair.get(self.storage)).identity_key

    async def listed(self, namespace: str) -> Listed:
        """Return this device as its list has it, with a signed label if it has one."""
        if self.label is None:
            return Listed(self.device_id)
        backend = self.ratchets[namespace].backend
        if not backend.supports_labels:
            return Listed(self.device_id)
        return Listed(self.device_id, self.label, await backend.sign_own_label(self.label))
