"""Where to connect to."""

from __future__ import annotations

import ipaddress
import re
from typing import Self
from urllib.parse import urlsplit

import idna

from ..record import record

__all__ = ["Endpoint", "to_ascii", "without_password"]

_PORTS = {"xmpp": 5222, "xmpps": 5223, "ws": 80, "wss": 443}
_WITH_PATH = ("ws", "wss")
# Letters, digits and hyphens, and the underscore that names in private networks like to have.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


@record
class Endpoint:
    """A host and a port, and what to speak there. Raises ValueError for what cannot be one.

    `scheme` is ``xmpp`` (TCP, then STARTTLS), ``xmpps`` (TLS from the first byte, XEP-0368), ``ws`` or ``wss``.
    `host` is a name or an IP address, that without brackets. `path` is of WebSocket only, and includes a query.
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
        """The endpoint that a URL such as ``xmpps://host:5223`` names. Raises ValueError."""
        try:
            if " " in url or not url.isprintable():  # urlsplit would drop some of these
                raise ValueError("there is a space or a control character in it")
            parts = urlsplit(url)
            if parts.scheme not in _PORTS:
                raise ValueError("it begins with xmpp://, xmpps://, wss:// or ws://")
            if not parts.hostname:
                raise ValueError(f"it is like {parts.scheme}://host:port")
            if parts.username is not None:
                raise ValueError("a user and a password have no place in it")
            if parts.fragment or (parts.query and parts.scheme not in _WITH_PATH):
                raise ValueError(f"it is like {parts.scheme}://host:port")
            path = parts.path if parts.scheme in _WITH_PATH else parts.path.removesuffix("/")
            port = _PORTS[parts.scheme] if parts.port is None else parts.port
            return cls(parts.scheme, parts.hostname, port, path + (parts.query and f"?{parts.query}"))
        except ValueError as exc:
            raise ValueError(f"not an endpoint: {without_password(url)!r} ({exc})") from None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, and not a name."""
        return _is_address(self.host)

    @property
    def is_onion(self) -> bool:
        """Whether the host is of Tor. Nobody else must be asked for it (RFC 7686 §2)."""
        return self.host.lower().removesuffix(".").endswith(".onion")


def to_ascii(host: str) -> str:
    """A host or a domain as DNS, SNI and certificates have it: in A-labels (RFC 5890), an address without brackets.

    Raises ValueError if it cannot be one.
    """
    if host.startswith("[") and host.endswith("]"):  # as an address of XMPP has it (RFC 7622 §3.2)
        host = host[1:-1]
    if _is_address(host):
        return host
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except ValueError as exc:
        raise ValueError(f"{host!r} is not a host name: {exc}") from None
    name = name.removesuffix(".")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{host!r} is not a host name")
    return name


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def without_password(url: str) -> str:
    """A URL as an error may show it."""
    authority, at, rest = url.rpartition("@")
    return f"{authority.partition('//')[0]}//…@{rest}" if at else url
