"""The OMEMO of older clients (``eu.siacs.conversations.axolotl``), as a `Method` for `open_omemo`.

    open_omemo(client, timeline, trust=rule, methods=[omemo_2, older_omemo])

It needs the library `oldmemo`, which is under the AGPL 3.0. This file is under the MIT licence, as the rest of
trioxmpp; a program that uses it together with `oldmemo` has to keep the terms of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import oldmemo.oldmemo as ratchet
import x3dh
import xeddsa
from oldmemo import Oldmemo

from trioxmpp import JID, xml
from trioxmpp.im.omemo import BadBundle, Incoming, Listed, Malformed, NotForUs, OutgoingKey
from trioxmpp.xep.pubsub import Access, Node, Options

NS = "eu.siacs.conversations.axolotl"
OPEN = Options(access=Access.OPEN, persist=True)
MAX_PRE_KEYS = 200


@xml.element(NS, "device")
class Device:
    id: int = xml.attr(codec=xml.integer(1, 2**31 - 1))


@xml.element(NS, "list")
class DeviceList:
    devices: tuple[Device, ...] = xml.children(lenient=True)


@xml.element(NS, "signedPreKeyPublic")
class SignedPreKey:
    id: int = xml.attr("signedPreKeyId")
    key: bytes = xml.text()


@xml.element(NS, "preKeyPublic")
class PreKey:
    id: int = xml.attr("preKeyId")
    key: bytes = xml.text()


@xml.element(NS, "bundle")
class Bundle:
    signed_pre_key: SignedPreKey = xml.child()
    signature: bytes = xml.child_text("signedPreKeySignature")
    identity_key: bytes = xml.child_text("identityKey")
    pre_keys: tuple[PreKey, ...] = xml.children(inside="prekeys", lenient=True)


@xml.element(NS, "key")
class Key:
    rid: int = xml.attr()
    prekey: bool = xml.attr(default=False)
    data: bytes = xml.text()


@xml.element(NS, "header")
class Header:
    sid: int = xml.attr()
    keys: tuple[Key, ...] = xml.children(lenient=True)
    iv: bytes = xml.child_text()


@xml.element(NS, "encrypted")
class Encrypted:
    header: Header = xml.child()
    payload: bytes | None = xml.child_text(default=None)


class OlderOmemo:
    """The `Method`. Its public keys are of another form: the sign of an identity key is hidden in a signature."""

    namespace = NS
    devices: Node[Any] = Node(f"{NS}.devicelist", DeviceList, options=OPEN)
    element: type[Any] = Encrypted
    envelope = False
    needs_identity = True

    def backend(self, storage: Any) -> Any:
        return Oldmemo(storage)

    def bundle_node(self, device: int) -> tuple[Node[Any], str]:
        return Node(f"{NS}.bundles:{device}", Bundle, options=OPEN), "current"

    def read_devices(self, payload: DeviceList) -> list[Listed]:
        return [Listed(each.id) for each in payload.devices]

    def write_devices(self, devices: Iterable[Listed]) -> DeviceList:
        return DeviceList(devices=tuple(Device(id=each.id) for each in devices))

    def read_bundle(self, payload: Bundle, jid: JID, device: int) -> Any:
        try:
            signature = bytearray(payload.signature)
            sign = bool(signature[63] >> 7)
            signature[63] &= 0x7F
            key = ratchet.StateImpl.parse_public_key(payload.identity_key)
            identity = xeddsa.curve25519_pub_to_ed25519_pub(key, sign)
            signed = ratchet.StateImpl.parse_public_key(payload.signed_pre_key.key)
            ids = {ratchet.StateImpl.parse_public_key(each.key): each.id for each in payload.pre_keys[:MAX_PRE_KEYS]}
        except Exception as exc:
            raise BadBundle(f"a key of device {device} of {jid} is malformed: {exc!r}") from exc
        if len(signature) != 64 or not ids:
            raise BadBundle(f"the bundle of device {device} of {jid} is incomplete")
        bundle = x3dh.Bundle(identity, signed, bytes(signature), frozenset(ids))
        return ratchet.BundleImpl(str(jid), device, bundle, payload.signed_pre_key.id, ids)

    def write_bundle(self, bundle: Any) -> Bundle:
        keys, ids = bundle.bundle, bundle.pre_key_ids
        public = ratchet.StateImpl.serialize_public_key
        signature = bytearray(keys.signed_pre_key_sig)
        signature[63] |= keys.identity_key[31] & 0x80
        return Bundle(
            signed_pre_key=SignedPreKey(id=bundle.signed_pre_key_id, key=public(keys.signed_pre_key)),
            signature=bytes(signature),
            identity_key=public(xeddsa.ed25519_pub_to_curve25519_pub(keys.identity_key)),
            pre_keys=tuple(PreKey(id=ids[key], key=public(key)) for key in sorted(keys.pre_keys, key=ids.__getitem__)),
        )

    def sender_device(self, payload: Encrypted) -> int:
        return payload.header.sid

    def is_empty(self, payload: Encrypted) -> bool:
        return payload.payload is None

    def read_message(
        self, payload: Encrypted, sender: JID, account: JID, device: int, identity: bytes | None
    ) -> Incoming:
        key = next((key for key in payload.header.keys if key.rid == device), None)
        if key is None:
            raise NotForUs("the message has no key for this device")
        if identity is None:
            raise Malformed("the keys of the sending device are not known")
        try:
            exchange, data, id = None, key.data, b""
            if key.prekey:
                exchange, data = ratchet.KeyExchangeImpl.parse(key.data, bool(identity[31] >> 7))
                id = exchange.identity_key + exchange.header.ephemeral_key
            material = ratchet.EncryptedKeyMaterialImpl.parse(data, str(account), device)
        except Exception as exc:
            raise Malformed(f"the key for this device is malformed: {exc!r}") from exc
        content = None if payload.payload is None else ratchet.ContentImpl(payload.payload, payload.header.iv)
        return Incoming(sender, payload.header.sid, content, material, exchange, key.data, id)

    def write_message(self, device: int, content: Any, keys: Iterable[OutgoingKey]) -> Encrypted:
        header = Header(sid=device, keys=tuple(map(_written, keys)), iv=content.initialization_vector)
        return Encrypted(header=header) if content.empty else Encrypted(header=header, payload=content.ciphertext)


def _written(key: OutgoingKey) -> Key:
    material: Any = key.material
    data = material.serialize()
    exchange: Any = key.exchange
    if exchange is None:
        return Key(rid=material.device_id, data=data)
    return Key(rid=material.device_id, prekey=True, data=exchange.serialize(data)[0])


older_omemo = OlderOmemo()
