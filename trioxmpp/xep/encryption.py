"""How a message was protected between two devices: values that each service and application can read.

An entry of a timeline, or a line of a conversation, has one of these, or None if its conversation was never encrypted:

    match entry.encryption:
        case Encrypted(device=device):
            print("from", device.fingerprint, device.trust.value)
        case Plain():
            print("not protected, although this conversation is")
        case Unreadable(error=error):
            print("cannot be read:", error)
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TypeAlias

from ..jid import JID
from ..protocol.stanza import Message
from ..record import field, record

__all__ = ["Device", "Encrypted", "Encryption", "Plain", "Sealed", "Trust", "Unreadable", "may_touch"]


class Trust(enum.Enum):
    """Whether the key of a device is believed to be that of its account."""

    VERIFIED = "a person has compared the fingerprint"
    BLIND = "believed without a comparison"
    UNDECIDED = "not decided yet"
    DISTRUSTED = "not believed"

    @property
    def is_trusted(self) -> bool:
        """Whether messages are encrypted for such a device."""
        return self in (Trust.VERIFIED, Trust.BLIND)


@record
class Device:
    """A device of an account, by the number that it has given itself.

    `key` is its public identity key, or None while that is not known, and `fingerprint` the form of it that persons
    compare. A device that its account does not list is not `active`: nothing is encrypted for it. `label` is a name
    that the device has signed. `unanswered` is the number of messages that were encrypted for it since it last wrote.
    """

    jid: JID
    id: int
    key: bytes | None = None
    trust: Trust = Trust.UNDECIDED
    active: bool = True
    fingerprint: str = ""
    label: str | None = None
    unanswered: int = field(default=0, compare=False)


@record
class Encrypted:
    """Only the recipients could read it, and `device` wrote it, as far as `device.trust` goes.

    `method` is the namespace of the encryption. `sealed` is when the device encrypted it, as it says itself. `punctual`
    is false if that differs much from the time at which the server got the message: it was held back. `whole` is false
    if the encryption, that of older clients, covers the text and nothing else: what such a client tells of a message,
    for example that it came, cannot be encrypted.
    """

    method: str
    device: Device
    sealed: datetime | None = None
    punctual: bool = True
    whole: bool = True


@record
class Plain:
    """It came without encryption, in a conversation that is encrypted. Every server on its way could write it.

    A correction, a retraction, a reaction, a receipt, a marker or a chat state that has this mark changes nothing.
    """


@record
class Unreadable:
    """It is encrypted and cannot be read, because of `error`. `repeated`: it was read before, and comes again."""

    error: Exception = field(compare=False)
    repeated: bool = False


@record
class Sealed:
    """A message as it is sent in the place of another one, and how it is protected; None if it is not."""

    message: Message
    encryption: Encrypted | None = None


Encryption: TypeAlias = Encrypted | Plain | Unreadable


def may_touch(change: Encryption | None, line: Encryption | None) -> bool:
    """Return whether a message that came with the mark `change` may change one that came with the mark `line`.

    A message that was encrypted as a whole (XEP-0420) is changed by encrypted ones only, for a server could write any
    other. A message that cannot be read may have been one.
    """
    covered = isinstance(line, Unreadable) or (isinstance(line, Encrypted) and line.whole)
    return not covered or isinstance(change, Encrypted)
