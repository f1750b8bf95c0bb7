"""The encryptions that `Omemo` can speak: how each is written in XML, and which backend of the library computes it.

`omemo_2` is that of XEP-0384. An application that has to talk to older clients passes another `Method` beside it, with
a backend that it has chosen itself; docs/encryption.md says how.

Keys are checked here, before the library sees them: their length, and how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import twomemo.twomemo as ratchet
import x3dh
from omemo import Backend
from omemo import Bundle as OmemoBundle
from omemo.message import Content, EncryptedKeyMaterial, KeyExchange
from omemo.storage import Storage
from twomemo import Twomemo
from twomemo.twomemo_pb2 import OMEMOAuthenticatedMessage, OMEMOMessage

from ...jid import JID
from ...protocol.elements import omemo as elements
from ...record import record
from ...xep.pubsub import Access, Node, Options
from .errors import BadBundle, Malformed, NotForUs

__all__ = ["Incoming", "Listed", "Method", "OutgoingKey", "omemo_2"]

#: Octets of a public key, and of a signature.
KEY: Final = 32
SIGNATURE: Final = 64
#: The pre-keys of a bundle that are looked at; a device offers about 100.
MAX_PRE_KEYS: Final = 200


@record
class Listed:
    """A device as the list of its account has it: its label, and the signature of that, if it has both."""

    id: int
    label: str | None = None
    signature: bytes | None = None


@record
class OutgoingKey:
    """The key of a message, encrypted for one device; with the key exchange while the device has not answered."""

    jid: JID
    material: EncryptedKeyMaterial
    exchange: KeyExchange | None


@record
class Incoming:
    """An encrypted message as far as it concerns this device.

    `raw` are the octets of the key for us, and `exchange_id` octets that no other key exchange has.
    """

    sender: JID
    device: int
    content: Content | None
    material: EncryptedKeyMaterial
    exchange: KeyExchange | None
    raw: bytes
    exchange_id: bytes = b""


class Method(Protocol):
    """One version of OMEMO: its namespace, its nodes, its XML and its backend."""

    namespace: str
    devices: Node[Any]
    """The node with the list of devices, in one item."""
    element: type[Any]
    """The class of the payload that holds an encrypted message."""
    envelope: bool
    """Whether it encrypts an envelope (XEP-0420), and not the body alone."""
    needs_identity: bool
    """Whether a message can be read only if the identity key of its sender is known: it is fetched then."""

    def backend(self, storage: Storage) -> Backend:
        """Return the backend of the library that computes this encryption."""
        ...

    def bundle_node(self, device: int) -> tuple[Node[Any], str]:
        """Return the node that holds the bundle of a device, and the id of the item."""
        ...

    def read_devices(self, payload: Any) -> list[Listed]:
        """Return the devices that a list names."""
        ...

    def write_devices(self, devices: Iterable[Listed]) -> Any:
        """Return the payload of a list of devices."""
        ...

    def read_bundle(self, payload: Any, jid: JID, device: int) -> OmemoBundle:
        """Return the bundle of a device. Raises `BadBundle`."""
        ...

    def write_bundle(self, bundle: OmemoBundle) -> Any:
        """Return the payload with a bundle."""
        ...

    def sender_device(self, payload: Any) -> int:
        """Return the id of the device that sent an encrypted message."""
        ...

    def is_empty(self, payload: Any) -> bool:
        """Return whether an encrypted message says nothing, and only moves sessions on."""
        ...

    def read_message(self, payload: Any, sender: JID, account: JID, device: int, identity: bytes | None) -> Incoming:
        """Return what of an encrypted message is for this device. Raises `NotForUs` and `Malformed`.

        `identity` is the identity key of the sending device, if that is known.
        """
        ...

    def write_message(self, device: int, content: Content, keys: Iterable[OutgoingKey]) -> Any:
        """Return the payload with an encrypted message from `device`."""
        ...


class _Omemo2:
    """XEP-0384 in the namespace ``urn:xmpp:omemo:2``."""

    namespace = elements.NS
    devices = Node(elements.DEVICES, elements.Devices, options=Options(access=Access.OPEN, persist=True))
    bundles = Node(
        elements.BUNDLES,
        elements.Bundle,
        multi=True,
        options=Options(access=Access.OPEN, persist=True, max_items="max"),
    )
    element = elements.Encrypted
    envelope = True
    needs_identity = False

    def backend(self, storage: Storage) -> Backend:
        return Twomemo(storage)

    def bundle_node(self, device: int) -> tuple[Node[Any], str]:
        return self.bundles, str(device)

    def read_devices(self, payload: elements.Devices) -> list[Listed]:
        return [Listed(each.id, each.label, each.labelsig) for each in payload.devices]

    def write_devices(self, devices: Iterable[Listed]) -> elements.Devices:
        return elements.Devices(
            devices=tuple(
                elements.Device(id=each.id)
                if each.label is None or each.signature is None
                else elements.Device(id=each.id, label=each.label, labelsig=each.signature)
                for each in devices
            )
        )

    def read_bundle(self, payload: elements.Bundle, jid: JID, device: int) -> OmemoBundle:
        pre_keys = {each.key: each.id for each in payload.prekeys[:MAX_PRE_KEYS] if len(each.key) == KEY}
        if len(payload.ik) != KEY or len(payload.spk.key) != KEY or len(payload.spks) != SIGNATURE:
            raise BadBundle(f"a key of device {device} of {jid} has the wrong length")
        if not pre_keys:
            raise BadBundle(f"device {device} of {jid} offers no pre-keys")
        bundle = x3dh.Bundle(payload.ik, payload.spk.key, payload.spks, frozenset(pre_keys))
        return ratchet.BundleImpl(str(jid), device, bundle, payload.spk.id, pre_keys)

    def write_bundle(self, bundle: OmemoBundle) -> elements.Bundle:
        assert isinstance(bundle, ratchet.BundleImpl)
        keys = bundle.bundle
        ids: Mapping[bytes, int] = bundle.pre_key_ids
        return elements.Bundle(
            spk=elements.SignedPreKey(id=bundle.signed_pre_key_id, key=keys.signed_pre_key),
            spks=keys.signed_pre_key_sig,
            ik=keys.identity_key,
            prekeys=tuple(elements.PreKey(id=ids[key], key=key) for key in sorted(keys.pre_keys, key=ids.__getitem__)),
        )

    def sender_device(self, payload: elements.Encrypted) -> int:
        return payload.header.sid

    def is_empty(self, payload: elements.Encrypted) -> bool:
        return payload.payload is None

    def read_message(
        self, payload: elements.Encrypted, sender: JID, account: JID, device: int, identity: bytes | None
    ) -> Incoming:
        key = _key_for(payload, account, device)
        try:
            exchange, data = ratchet.KeyExchangeImpl.parse(key.data) if key.kex else (None, key.data)
            id = b"" if exchange is None else exchange.identity_key + exchange.header.ephemeral_key
            _check_lengths(data, id)
            material = ratchet.EncryptedKeyMaterialImpl.parse(data, str(account), device)
        except Exception as exc:  # what protobuf raises has no base in common with what the library makes of it
            raise Malformed(f"the key for this device is malformed: {exc}") from exc
        content = None if payload.payload is None else ratchet.ContentImpl(payload.payload)
        return Incoming(sender, payload.header.sid, content, material, exchange, key.data, id)

    def write_message(self, device: int, content: Content, keys: Iterable[OutgoingKey]) -> elements.Encrypted:
        assert isinstance(content, ratchet.ContentImpl)
        accounts: dict[JID, list[elements.Key]] = {}
        for each in keys:
            accounts.setdefault(each.jid, []).append(_written(each))
        header = elements.Header(
            sid=device, keys=tuple(elements.Keys(jid=jid, keys=tuple(written)) for jid, written in accounts.items())
        )
        if content.empty:
            return elements.Encrypted(header=header)
        return elements.Encrypted(header=header, payload=content.ciphertext)


omemo_2: Final[Method] = _Omemo2()
"""XEP-0384 in the namespace ``urn:xmpp:omemo:2``, on the backend `twomemo`."""


def _key_for(payload: elements.Encrypted, account: JID, device: int) -> elements.Key:
    for keys in payload.header.keys:
        if keys.jid == account:
            for key in keys.keys:
                if key.rid == device:
                    return key
    raise NotForUs("the message has no key for this device")


def _check_lengths(data: bytes, exchange_id: bytes) -> None:
    """Check the public keys in a message. Raises ValueError, and what protobuf raises."""
    inner = OMEMOMessage.FromString(OMEMOAuthenticatedMessage.FromString(data).message)
    if len(inner.dh_pub) != KEY or len(exchange_id) not in (0, 2 * KEY):
        raise ValueError("a public key has the wrong length")


def _written(key: OutgoingKey) -> elements.Key:
    assert isinstance(key.material, ratchet.EncryptedKeyMaterialImpl)
    data = key.material.serialize()
    if key.exchange is None:
        return elements.Key(rid=key.material.device_id, data=data)
    assert isinstance(key.exchange, ratchet.KeyExchangeImpl)
    return elements.Key(rid=key.material.device_id, kex=True, data=key.exchange.serialize(data))
