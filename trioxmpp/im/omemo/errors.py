"""The errors of encryption, in one tree below `StanzaError`: each concerns one message."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import StanzaError
from ...jid import JID
from ...xep.encryption import Device

__all__ = [
    "AlreadyDecrypted",
    "BadBundle",
    "BadEnvelope",
    "CannotDecrypt",
    "CannotEncrypt",
    "KeyChanged",
    "Malformed",
    "NoDevices",
    "NoSession",
    "NotForUs",
    "OmemoError",
    "OwnMessage",
    "RoomUnfit",
    "SenderDistrusted",
    "TooManyKeyExchanges",
    "Undecided",
]


class OmemoError(StanzaError):
    """A message cannot be encrypted or decrypted."""


# --- on the way out: nothing was sent


class CannotEncrypt(OmemoError):
    """The message was not encrypted, and not sent."""


class Undecided(CannotEncrypt):
    """It has to be decided first whether `devices` are trusted: call `Omemo.trust` for each, and try again."""

    def __init__(self, message: str, devices: Iterable[Device] = ()) -> None:
        self.devices: tuple[Device, ...] = tuple(devices)
        super().__init__(message)


class NoDevices(CannotEncrypt):
    """The accounts `jids` have no device that is trusted and whose keys could be fetched."""

    def __init__(self, message: str, jids: Iterable[JID] = ()) -> None:
        self.jids: tuple[JID, ...] = tuple(jids)
        super().__init__(message)


class RoomUnfit(CannotEncrypt):
    """A room that hides the accounts of its occupants cannot be encrypted (XEP-0384 §6)."""


class BadBundle(CannotEncrypt):
    """The published keys of a device are missing, malformed, or not signed by the device."""


class KeyChanged(OmemoError):
    """A device comes with another identity key than the one that is known: it is another device, or an attack."""


# --- on the way in


class CannotDecrypt(OmemoError):
    """The message cannot be read by this device."""


class Malformed(CannotDecrypt):
    """The message is not of the form that the XEP describes: for example, a key has the wrong length."""


class NotForUs(CannotDecrypt):
    """The sender did not encrypt the message for this device."""


class OwnMessage(CannotDecrypt):
    """This device sent the message itself, in another process, and has no key for it."""


class AlreadyDecrypted(CannotDecrypt):
    """The message was decrypted before; its key is gone. The session is sound."""


class NoSession(CannotDecrypt):
    """There is no session with the sending device that fits: one of the two has lost its own, or gone back to one."""


class SenderDistrusted(CannotDecrypt):
    """The sending device is distrusted."""


class TooManyKeyExchanges(CannotDecrypt):
    """An account begins more sessions than it may within a minute."""


class BadEnvelope(CannotDecrypt):
    """The envelope names another sender or recipient than the stanza (XEP-0420 §4): it was moved."""
