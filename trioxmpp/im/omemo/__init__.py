"""XEP-0384: OMEMO Encryption, with XEP-0420 and XEP-0380. Needs the extra ``omemo``: the libraries `omemo`, `twomemo`.

`trioxmpp.im.omemo.ratchets` says which part of the library is used, and why its `SessionManager` is not.
"""

try:
    import omemo as _omemo
    import twomemo as _twomemo
except ImportError as _missing:
    _TEXT = "OMEMO needs more libraries: pip install 'trioxmpp[omemo]'"
    raise ModuleNotFoundError(_TEXT, name=_missing.name) from _missing

from ...xep.encryption import Device, Encrypted, Encryption, Plain, Trust, Unreadable
from .core import DeviceGone, DeviceSkipped, NewDevice, OmemoEvent, OwnDeviceRestored, SessionReplaced
from .errors import (
    AlreadyDecrypted,
    BadBundle,
    BadEnvelope,
    CannotDecrypt,
    CannotEncrypt,
    KeyChanged,
    Malformed,
    NoDevices,
    NoSession,
    NotForUs,
    OmemoError,
    OwnMessage,
    RoomUnfit,
    SenderDistrusted,
    TooManyKeyExchanges,
    Undecided,
)
from .method import Incoming, Listed, Method, OutgoingKey, omemo_2
from .reading import Reading
from .rooms import EncryptedRoom, RoomReading, open_encrypted_room
from .service import Omemo, open_omemo
from .trust import TrustRule, blind_trust_before_verification, undecided

del _omemo, _twomemo

__all__ = [
    "AlreadyDecrypted",
    "BadBundle",
    "BadEnvelope",
    "CannotDecrypt",
    "CannotEncrypt",
    "Device",
    "DeviceGone",
    "DeviceSkipped",
    "Encrypted",
    "EncryptedRoom",
    "Encryption",
    "Incoming",
    "KeyChanged",
    "Listed",
    "Malformed",
    "Method",
    "NewDevice",
    "NoDevices",
    "NoSession",
    "NotForUs",
    "Omemo",
    "OmemoError",
    "OmemoEvent",
    "OutgoingKey",
    "OwnDeviceRestored",
    "OwnMessage",
    "Plain",
    "Reading",
    "RoomReading",
    "RoomUnfit",
    "SenderDistrusted",
    "SessionReplaced",
    "TooManyKeyExchanges",
    "Trust",
    "TrustRule",
    "Undecided",
    "Unreadable",
    "blind_trust_before_verification",
    "omemo_2",
    "open_encrypted_room",
    "open_omemo",
    "undecided",
]
