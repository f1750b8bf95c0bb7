"""XMPP addresses (RFC 7622)."""

from .address import JID
from .parts import JIDError

__all__ = ["JID", "JIDError"]
