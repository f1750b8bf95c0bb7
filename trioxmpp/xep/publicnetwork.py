"""Which hosts are on the public internet, and which are only reached from within a network."""

from __future__ import annotations

import ipaddress
from typing import Final

__all__ = ["is_local_domain", "is_public_address"]

#: Names that are never those of a public server (RFC 6762, RFC 8375, and names that many routers use).
_LOCAL_SUFFIXES: Final = ("localhost", "local", "lan", "home.arpa", "internal", "intranet")


def is_public_address(address: str) -> bool:
    """Return whether an IP address is one of the public internet. Raises ValueError if it is not an IP address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return bool(inner.is_global and not inner.is_multicast)


def is_local_domain(domain: str) -> bool:
    """Return whether a domain is one of a local network, by its name or address."""
    try:
        return not is_public_address(domain.strip("[]"))
    except ValueError:
        name = domain.rstrip(".").lower()
        return "." not in name or name.endswith(tuple([f".{suffix}" for suffix in _LOCAL_SUFFIXES]))
