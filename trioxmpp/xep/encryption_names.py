"""XEP-0380: Explicit Message Encryption: the name of the method that a message is encrypted by."""

from __future__ import annotations

from typing import Final

from ..protocol.elements.eme import Encryption
from ..text import printable

__all__ = ["encryption_name"]

_KNOWN: Final = {
    "urn:xmpp:otr:0": "OTR",
    "jabber:x:encrypted": "Legacy OpenPGP",
    "urn:xmpp:openpgp:0": "OpenPGP for XMPP (OX)",
    "eu.siacs.conversations.axolotl": "OMEMO",
    "urn:xmpp:omemo:1": "OMEMO",
    "urn:xmpp:omemo:2": "OMEMO",
}


def encryption_name(encryption: Encryption) -> str:
    """Return the name to show for a method. The name that the sender claims is shown in quotes, with the namespace."""
    known = _KNOWN.get(encryption.namespace)
    if known is not None:
        return known
    namespace = printable(encryption.namespace, 100)
    return f'"{printable(encryption.name, 50)}" ({namespace})' if encryption.name else namespace
