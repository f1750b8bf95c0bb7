"""The ports and the certificate of a server: how clients reach it by TCP and trust it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol

import trio

from ...transport.channelbinding import server_end_point
from .certificates import Authority
from .policy import Policy, StartTLS

__all__ = ["Listening"]


class Serve(Protocol):
    """Serves the clients that connect to listeners."""

    async def __call__(  # noqa: ASYNC114  (a protocol)
        self,
        listeners: list[trio.SocketListener],
        starttls: StartTLS,
        *,
        direct_tls: bool = False,
        task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled."""
        ...


class Listening:
    """The TCP ports of one server, open or closed, and the authority that issues its certificates."""

    def __init__(self, domain: str, policy: Policy, serve: Serve, changed: Callable[[], object]) -> None:
        self.active: int = 0
        """The number of times that `run` is running."""
        self._domain = domain
        self._policy = policy
        self._serve = serve
        self._changed = changed
        self._authority: Authority | None = None
        self._ports: tuple[str, int, int] | None = None
        self._scope = trio.CancelScope()

    @property
    def ports(self) -> tuple[str, int, int] | None:
        """Host, port for STARTTLS and port for direct TLS, if the server ever listened."""
        return self._ports

    def place(self) -> tuple[str, int, int]:
        """Return the same. Raises RuntimeError if the server never listened."""
        if self._ports is None:
            raise RuntimeError("the server does not listen; await server.listen()")
        return self._ports

    @property
    def authority(self) -> Authority:
        """The issuer of the server's certificates, made on first use."""
        if self._authority is None:
            self._authority = Authority(self._domain)
        return self._authority

    def tls_context(self) -> ssl.SSLContext:
        """Return the server's context, with the certificate that `Policy.certificate` asks for."""
        return self.authority.server_context(self._policy.certificate)

    def end_point(self) -> bytes | None:
        """Return the channel binding of that certificate (``tls-server-end-point``, RFC 5929), once there is one."""
        if self._authority is None:
            return None
        return server_end_point(self._authority.certificate(self._policy.certificate))

    async def open(
        self, host: str, port: int, tls_port: int
    ) -> tuple[list[trio.SocketListener], list[trio.SocketListener]]:
        """Open the ports, and return the listeners for STARTTLS and for direct TLS. Raises OSError."""
        plain = await trio.open_tcp_listeners(port, host=host)
        try:
            direct = await trio.open_tcp_listeners(tls_port, host=host)
        except BaseException:
            for listener in plain:
                listener.socket.close()
            raise
        self._ports = host, plain[0].socket.getsockname()[1], direct[0].socket.getsockname()[1]
        self._scope = trio.CancelScope()
        return plain, direct

    def close(self) -> None:
        """Close the ports. Links that exist stay."""
        self._scope.cancel()

    async def run(
        self,
        plain: list[trio.SocketListener],
        direct: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept clients until `close`."""
        starttls = self._policy.starttls or "required"
        self.active += 1
        with self._scope:
            async with trio.open_nursery() as nursery:
                for listeners, direct_tls in ((plain, False), (direct, True)):
                    await nursery.start(partial(self._serve, direct_tls=direct_tls), listeners, starttls)
                task_status.started()
        self.active -= 1
        self._changed()
