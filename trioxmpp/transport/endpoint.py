"""Where to connect to.

A link-local IPv6 address means nothing without its zone, the interface that it is reached by: ``fe80::1%eth0``
(RFC 4007 §11). In a URL the percent sign is escaped: ``xmpp://[fe80::1%25eth0]:5222`` (RFC 6874 §2). The zone has a
meaning on this machine only: we connect with it, and never send it to a server or a proxy.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Self
from urllib.parse import SplitResult, urlsplit

import idna

from ..record import record

__all__ = ["Endpoint", "host_in", "in_url", "is_address", "to_ascii", "without_password", "without_zone"]

_PORTS = {"xmpp": 5222, "xmpps": 5223, "ws": 80, "wss": 443}
_WITH_PATH = ("ws", "wss")
# The name or the number of an interface, of characters that a URL has as they are. Other names have a number, too.
_ZONE = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_BRACKETED = re.compile(r"\[[^]]*](:[0-9]*)?")

# Letters, digits and hyphens, and the underscore that some names in private networks have.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


@record
class Endpoint:
    """A host, a port, and the protocol there. Raises ValueError for values that cannot be one.

    `scheme` is ``xmpp`` (TCP, then STARTTLS), ``xmpps`` (TLS from the first byte, XEP-0368), ``ws`` or ``wss``.
    `host` is a name or an IP address, without brackets; an IPv6 address may have a zone. `path` is for WebSocket only,
    and includes a query.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    def __post_init__(self) -> None:
        if self.scheme not in _PORTS:
            raise ValueError(f"{self.scheme!r} is not one of {', '.join(_PORTS)}")
        to_ascii(self.host)
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is not a port: these are from 1 to 65535")
        if self.path and self.scheme not in _WITH_PATH:
            raise ValueError(f"{self.scheme} has no path")
        if self.path and self.path[0] not in "/?":
            raise ValueError("a path begins with a slash")

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the endpoint of a URL such as ``xmpps://host:5223``. Raises ValueError."""
        try:
            if " " in url or not url.isprintable():  # urlsplit would drop some of these
                raise ValueError("there is a space or a control character in it")
            parts = urlsplit(url)
            if parts.scheme not in _PORTS:
                raise ValueError("it has to begin with xmpp://, xmpps://, wss:// or ws://")
            if not parts.hostname:
                raise ValueError(f"it has to be like {parts.scheme}://host:port")
            if parts.username is not None:
                raise ValueError("a user name and a password cannot be part of it")
            if parts.fragment or (parts.query and parts.scheme not in _WITH_PATH):
                raise ValueError(f"it has to be like {parts.scheme}://host:port")
            path = parts.path if parts.scheme in _WITH_PATH else parts.path.removesuffix("/")
            port = _PORTS[parts.scheme] if parts.port is None else parts.port
            return cls(parts.scheme, host_in(parts), port, path + (parts.query and f"?{parts.query}"))
        except ValueError as exc:
            raise ValueError(f"not an endpoint: {without_password(url)!r} ({exc})") from None

    @classmethod
    def see_other_host(cls, text: str) -> Self:
        """Return where *see-other-host* sends a client over TCP (RFC 6120 §4.9.3.19). Raises ValueError.

        An IPv6 address must stand in brackets: ``::1:5222`` is an address, and an address with a port, too.
        """
        if text.count(":") > 1 and not text.startswith("["):
            raise ValueError(f"an IPv6 address needs brackets here: {text[:100]!r}")
        return cls.parse(f"xmpp://{text}")

    def __str__(self) -> str:
        return f"{self.scheme}://{in_url(self.host)}:{self.port}{self.path}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, and not a name."""
        return is_address(self.host)

    @property
    def is_onion(self) -> bool:
        """Whether the host is of Tor. It must not be looked up in the DNS (RFC 7686 §2)."""
        return self.host.lower().removesuffix(".").endswith(".onion")


def to_ascii(host: str) -> str:
    """Return a host as DNS, SNI and certificates have it: in A-labels (RFC 5890), an address without brackets.

    Raises ValueError if it cannot be one.
    """
    if host.startswith("[") and host.endswith("]"):  # as an address of XMPP has it (RFC 7622 §3.2)
        host = host[1:-1]
    if is_address(host):
        return host
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except ValueError as exc:
        raise ValueError(f"{host!r} is not a host name: {exc}") from None
    name = name.removesuffix(".")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{host!r} is not a host name")
    return name


def is_address(host: str) -> bool:
    """Tell whether `host` is an IP address, with or without a zone, and not a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    zone = getattr(address, "scope_id", None)
    return zone is None or _ZONE.fullmatch(zone) is not None


def without_zone(host: str) -> str:
    """Return `host` as it means the same on another machine (RFC 6874 §3)."""
    return host.partition("%")[0] if is_address(host) else host


def host_in(url: SplitResult) -> str:
    """Return the host of a URL that has one, its zone unescaped. Raises ValueError for a zone that cannot be one."""
    host = url.hostname or ""
    if ":" in host and not _BRACKETED.fullmatch(url.netloc.rpartition("@")[2]):
        raise ValueError("something stands between the address and the port")
    address, percent, zone = host.partition("%")
    if not percent or ":" not in address:
        return host
    # Python, too, writes the percent sign as it is, as people paste it; RFC 6874 §3 lets us take that.
    host = f"{address}%{zone.removeprefix('25')}"
    if not is_address(host):
        raise ValueError("the zone of the address cannot be one")
    return host


def in_url(host: str) -> str:
    """Return `host` as a URL has it: an IPv6 address in brackets, its zone escaped (RFC 6874 §2)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def without_password(url: str) -> str:
    """Return a URL as an error may show it."""
    authority, at, rest = url.rpartition("@")
    return f"{authority.partition('//')[0]}//…@{rest}" if at else url
