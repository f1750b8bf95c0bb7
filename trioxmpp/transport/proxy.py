"""Links through a proxy: SOCKS5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110 §9.3.6). The proxy looks up names.

A proxy is not trusted more than a server: its answer is bounded, read to the last octet and no further, and an error
names the proxy. python-socks 3.2.1 was tried in place of this module: 38 of its 43 tests passed, two failed by a header
that it adds. It reads the answer of an HTTP proxy by one call. If the header comes in two segments, the second one is
handed out as the server's first octets; octets behind the header are dropped. A password that is not ASCII cannot be
sent.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import socket
from typing import Self
from urllib.parse import unquote, urlsplit

import trio

from ..record import field, record
from .endpoint import Endpoint, host_in, in_url, without_password, without_zone

__all__ = ["Proxy", "explain_refusal", "open_tunnel"]

_PORTS = {"socks5": 1080, "http": 8080}

#: Octets of the answer of an HTTP proxy.
MAX_ANSWER = 1 << 14

_VERSION, _NO_LOGIN, _PASSWORD, _NOTHING = 5, 0, 2, 0xFF
_V4, _NAME, _V6 = 1, 3, 4
_REFUSALS = {
    1: "it has failed, and gives no reason",
    2: "its rules do not allow it",
    3: "it cannot reach the network",
    4: "the host cannot be found or reached from there",
    5: "the connection was refused",
    6: "it took too long",
    7: "it does not know the command to connect",
    8: "it does not know this kind of address",
}
_STATUS = re.compile(rb"HTTP/1\.[01] +([0-9]{3})(?:[ \t]+([ -~]{0,60}))?\r?\Z")


@record
class Proxy:
    """A proxy that connects for us. Raises ValueError for values that cannot be one.

    `scheme` is ``socks5``, or ``http`` for its CONNECT. The password is never shown.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.scheme not in _PORTS:
            raise ValueError(f"{self.scheme!r} is not one of {', '.join(_PORTS)}")
        Endpoint("xmpp", self.host, self.port)
        if (self.username is None) != (self.password is None):
            raise ValueError("a user name needs a password, and a password a user name")
        if self.username is None or self.password is None:
            return
        if self.scheme == "http" and ":" in self.username:
            raise ValueError("the user name cannot have a colon (RFC 7617 §2)")
        if self.scheme == "socks5" and not all(0 < len(each.encode()) < 256 for each in (self.username, self.password)):
            raise ValueError("user name and password have 1 to 255 octets each (RFC 1929 §2)")

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the proxy of a URL such as ``socks5://user:password@host:1080``. Raises ValueError."""
        try:
            if " " in url or not url.isprintable():
                raise ValueError("there is a space or a control character in it")
            parts = urlsplit(url)
            if parts.scheme == "socks5h":  # other software calls it so if the proxy looks up names; here it always does
                parts = parts._replace(scheme="socks5")
            if parts.scheme not in _PORTS or not parts.hostname:
                raise ValueError("it is like socks5://host:1080 or http://host:8080")
            if parts.path not in ("", "/") or parts.query or parts.fragment:
                raise ValueError("nothing may follow the port")
            port = _PORTS[parts.scheme] if parts.port is None else parts.port
            username = None if parts.username is None else unquote(parts.username)
            password = None if parts.password is None else unquote(parts.password)
            return cls(parts.scheme, host_in(parts), port, username, password)
        except ValueError as exc:
            # The words of urlsplit may contain the password, if that was not quoted.
            reason = "" if "@" in url else f" ({exc})"
            raise ValueError(f"not a proxy: {without_password(url)!r}{reason}") from None

    def __str__(self) -> str:
        return f"{self.scheme}://{in_url(self.host)}:{self.port}"


async def open_tunnel(proxy: Proxy, host: str, port: int) -> trio.abc.Stream:
    """Connect to a host, in ASCII, by way of `proxy`.

    Raises OSError, which tells whether the proxy cannot be reached, or has refused. Has no deadline of its own.
    Cancelling leaves nothing open.
    """
    host = without_zone(host)
    try:
        stream = await trio.open_tcp_stream(proxy.host, proxy.port)
    except socket.gaierror as exc:
        raise socket.gaierror(exc.errno, f"cannot find the address of the proxy {proxy}: {exc.strerror}") from exc
    except OSError as exc:
        raise explain_refusal(exc, f"the proxy {proxy} cannot be reached") from exc
    try:
        if proxy.scheme == "socks5":
            await _Socks(proxy, stream).connect(host, port)
        else:
            await _connect_by_http(proxy, stream, host, port)
    except trio.BrokenResourceError as exc:
        await trio.aclose_forcefully(stream)
        raise ConnectionResetError(f"the connection to the proxy {proxy} broke before it had connected us") from exc
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


class _Socks:
    """The client of SOCKS5, on a link to the proxy."""

    def __init__(self, proxy: Proxy, stream: trio.abc.Stream) -> None:
        self._proxy = proxy
        self._stream = stream

    async def connect(self, host: str, port: int) -> None:
        await self._log_in()
        await self._stream.send_all(bytes([_VERSION, 1, 0]) + _address(host) + port.to_bytes(2, "big"))
        version, reply, _, kind = await self._receive(4)
        self._check(version == _VERSION)
        if reply != 0:
            reason = _REFUSALS.get(reply, f"it gives no reason that is known ({reply})")
            raise ConnectionRefusedError(f"the proxy {self._proxy} could not connect us to {host}:{port}: {reason}")
        # The address that the proxy connects from is of no use, but has to be read.
        if kind == _NAME:
            await self._receive((await self._receive(1))[0] + 2)
        else:
            self._check(kind in (_V4, _V6))
            await self._receive((4 if kind == _V4 else 16) + 2)

    async def _log_in(self) -> None:
        user, password = self._proxy.username, self._proxy.password
        methods = [_NO_LOGIN] if user is None else [_NO_LOGIN, _PASSWORD]
        await self._stream.send_all(bytes([_VERSION, len(methods), *methods]))
        version, method = await self._receive(2)
        self._check(version == _VERSION and method in (*methods, _NOTHING))
        if method == _NOTHING and user is None:
            raise PermissionError(f"the proxy {self._proxy} wants a user and a password: socks5://user:password@host")
        if method == _NOTHING:
            raise PermissionError(f"the proxy {self._proxy} accepts no login by user and password")
        if method == _PASSWORD and user is not None and password is not None:
            name, secret = user.encode(), password.encode()
            await self._stream.send_all(b"\1" + bytes([len(name)]) + name + bytes([len(secret)]) + secret)
            _, status = await self._receive(2)
            if status != 0:
                raise PermissionError(f"the proxy {self._proxy} does not accept the user and the password")

    async def _receive(self, count: int) -> bytes:
        """Read `count` octets and not one more: what follows is from the server."""
        data = b""
        while len(data) < count:
            more = await self._stream.receive_some(count - len(data))
            if not more:
                raise ConnectionResetError(f"the proxy {self._proxy} closed the connection before it had connected us")
            data += more
        return data

    def _check(self, is_socks: bool) -> None:
        if not is_socks:
            raise ConnectionAbortedError(f"what answers at {self._proxy} is not a SOCKS5 proxy")


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        return bytes([_NAME, len(name)]) + name
    return bytes([_V4 if address.version == 4 else _V6]) + address.packed


async def _connect_by_http(proxy: Proxy, stream: trio.abc.Stream, host: str, port: int) -> None:
    authority = f"{in_url(host)}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.username is not None:
        login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {login}")
    await stream.send_all("\r\n".join([*lines, "", ""]).encode())
    status, reason, rest = await _answer(proxy, stream)
    if status == 407:
        wanted = "wants a user and a password: http://user:password@host"
        unwanted = "does not accept the user and the password"
        raise PermissionError(f"the proxy {proxy} {wanted if proxy.username is None else unwanted}")
    if not 200 <= status < 300:
        answer = f"{status} {reason}".strip()
        raise ConnectionRefusedError(f"the proxy {proxy} did not connect us to {authority}: it answered HTTP {answer}")
    if rest:  # the client speaks first, in XMPP as in TLS
        raise ConnectionAbortedError(
            f"the proxy {proxy} sent more than its answer, before the server could say anything"
        )


async def _answer(proxy: Proxy, stream: trio.abc.Stream) -> tuple[int, str, bytes]:
    """Return the status, its reason, and what follows the header."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = await stream.receive_some(4096)
        if not more and not answer:
            raise ConnectionResetError(f"the proxy {proxy} closed the connection before it had connected us")
        answer += more
        is_http = answer.startswith(b"HTTP/"[: len(answer)])
        if not is_http or not more or len(answer) > MAX_ANSWER:
            raise ConnectionAbortedError(f"what answers at {proxy} is not an HTTP proxy")
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = _STATUS.match(head.partition(b"\n")[0])
    if status is None:
        raise ConnectionAbortedError(f"what answers at {proxy} is not an HTTP proxy")
    return int(status[1]), (status[2] or b"").decode(), rest


def explain_refusal(error: OSError, what: str) -> OSError:
    """Return the error that trio raises when no address can be connected to, with words for what failed, and why."""
    attempts = error.__cause__.exceptions if isinstance(error.__cause__, BaseExceptionGroup) else (error,)
    numbers = {getattr(attempt, "errno", None) for attempt in attempts}
    reasons = dict.fromkeys(
        os.strerror(attempt.errno) if isinstance(attempt, OSError) and attempt.errno else str(attempt)
        for attempt in attempts
    )
    text = ": ".join(filter(None, [what, "; ".join(reasons)]))
    if len(numbers) == 1 and None not in numbers:
        return OSError(numbers.pop(), text)  # which makes it a ConnectionRefusedError, for one
    return OSError(text)
