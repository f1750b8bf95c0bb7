"""Ports of the loopback interface."""

from __future__ import annotations

import random
import socket

import trio

__all__ = ["answers", "free_ports", "loopback"]


def loopback() -> tuple[str, ...]:
    """Return the loopback addresses of this machine."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and free after a restart: below the range of outgoing connections."""
    addresses, found = loopback(), list[int]()
    held: list[socket.socket] = []
    try:
        while len(found) < count:
            port = random.randint(12000, 30000)
            try:
                for address in addresses:
                    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                    held.append(bound)
                    bound.bind((address, port))
            except OSError:
                continue
            found.append(port)
        return found
    finally:
        for bound in held:
            bound.close()


async def answers(port: int, question: bytes, answer: bytes) -> bool:
    """Return whether the listener at a port sends `answer` within two seconds."""
    received = b""
    with trio.move_on_after(2):
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(question)
                while answer not in received and (data := await stream.receive_some()):
                    received += data
        except (OSError, trio.BrokenResourceError):
            return False
    return answer in received
