"""XEP-0384: OMEMO Encryption, version ``urn:xmpp:omemo:2``."""

from __future__ import annotations

from typing import Final

from ... import xml
from ...jid import JID

__all__ = [
    "BUNDLES",
    "DEVICES",
    "MAX_DEVICE_ID",
    "NS",
    "Bundle",
    "Device",
    "Devices",
    "Encrypted",
    "Header",
    "Key",
    "Keys",
    "PreKey",
    "SignedPreKey",
]

NS: Final = "urn:xmpp:omemo:2"
#: The names of the two nodes: the devices of an account, and the public keys of each (§5.3).
DEVICES: Final = "urn:xmpp:omemo:2:devices"
BUNDLES: Final = "urn:xmpp:omemo:2:bundles"
#: The largest id of a device (§5.1).
MAX_DEVICE_ID: Final = 2**31 - 1

_ID: Final = xml.integer(1, MAX_DEVICE_ID)
_KEY_ID: Final = xml.integer(0, 2**32 - 1)


@xml.element(NS, "device")
class Device:
    """A device of an account (§5.3.1). `labelsig` is the signature of the label by the identity key (§4.7)."""

    id: int = xml.attr(codec=_ID)
    label: str | None = xml.attr(default=None)
    labelsig: bytes | None = xml.attr(default=None, codec=xml.lenient(bytes))


@xml.element(NS, "devices")
class Devices:
    """The devices of an account that take part."""

    devices: tuple[Device, ...] = xml.children(lenient=True)


@xml.element(NS, "spk")
class SignedPreKey:
    """The public key that a device signs, and replaces now and then."""

    id: int = xml.attr(codec=_KEY_ID)
    key: bytes = xml.text()


@xml.element(NS, "pk")
class PreKey:
    """A public key that is used once."""

    id: int = xml.attr(codec=_KEY_ID)
    key: bytes = xml.text()


@xml.element(NS, "bundle")
class Bundle:
    """The public keys of a device (§5.3.2): `ik` is its identity key, `spks` the signature of `spk` by it."""

    spk: SignedPreKey = xml.child()
    spks: bytes = xml.child_text()
    ik: bytes = xml.child_text()
    prekeys: tuple[PreKey, ...] = xml.children(inside="prekeys", lenient=True)


@xml.element(NS, "key")
class Key:
    """The key of the message, encrypted for the device `rid`. `kex`: a key exchange is around it."""

    rid: int = xml.attr(codec=_ID)
    kex: bool = xml.attr(default=False)
    data: bytes = xml.text()


@xml.element(NS, "keys")
class Keys:
    """The keys for the devices of one account."""

    jid: JID = xml.attr()
    keys: tuple[Key, ...] = xml.children(lenient=True)


@xml.element(NS, "header")
class Header:
    """The keys of a message, for all devices. `sid` is the device that sends it."""

    sid: int = xml.attr(codec=_ID)
    keys: tuple[Keys, ...] = xml.children(lenient=True)


@xml.element(NS, "encrypted")
class Encrypted:
    """An encrypted message (§5.5). Without a payload it moves the session of two devices on, and says nothing."""

    header: Header = xml.child()
    payload: bytes | None = xml.child_text(default=None)
