"""From a domain to endpoints: SRV records for STARTTLS and for direct TLS (RFC 6120 §3.2, RFC 2782, XEP-0368)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from ..errors import ConnectError
from .endpoint import Endpoint, to_ascii

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

__all__ = ["SRV", "discover", "in_order"]

_SERVICES = {"xmpp": "_xmpp-client._tcp", "xmpps": "_xmpps-client._tcp"}

# RFC 2782 wants "a very small chance" for records of weight 0 that stand beside heavier ones.
_NEXT_TO_NOTHING = 0.01


@dataclass(frozen=True, slots=True)
class SRV:
    """One SRV record, and what is spoken where it points to. The target ``.`` says that nothing is."""

    scheme: str
    priority: int
    weight: int
    target: str
    port: int


async def discover(
    domain: str, *, resolver: Resolver | None = None, rng: random.Random | None = None
) -> list[Endpoint]:
    """Where the XMPP server of `domain` may be, the best first.

    If the DNS has no SRV records, or does not answer, that is `domain` itself, on port 5222. `resolver` is to be asked
    in place of the system's; `rng` draws among records of one priority. Raises ConnectError if there are SRV records,
    but none that leads anywhere (then there is no falling back: XEP-0368 §5). Cancelling is safe.
    """
    try:
        host = to_ascii(domain)
    except ValueError as exc:
        raise ConnectError(f"there is no XMPP server to look for: {exc}") from None
    itself = Endpoint("xmpp", host, 5222)
    if itself.is_address:
        await trio.lowlevel.checkpoint()
        return [itself]
    records: list[SRV] = []

    async def ask(scheme: str, service: str) -> None:
        records.extend(await _lookup(scheme, f"{service}.{host}.", resolver))

    async with trio.open_nursery() as nursery:
        for scheme, service in _SERVICES.items():
            nursery.start_soon(ask, scheme, service)
    if not records:
        return [itself]
    # Which answer came first must not matter to a seeded generator.
    endpoints = [endpoint for record in in_order(sorted(records, key=repr), rng) for endpoint in _leads_to(record)]
    if endpoints:
        return endpoints
    if all(record.target == "." for record in records):
        raise ConnectError(f"{domain} says in the DNS that it offers no XMPP to clients")
    raise ConnectError(f"the SRV records of {domain} lead nowhere")


def in_order(records: Iterable[SRV], rng: random.Random | None = None) -> list[SRV]:
    """The records by priority, and among equals by chance, in proportion to their weights (RFC 2782)."""
    rng = rng or random.Random()
    left = sorted(records, key=lambda record: record.priority)
    ordered = []
    while left:
        equals = [record for record in left if record.priority == left[0].priority]
        # Not the draw of integers that RFC 2782 describes: that favours small weights.
        (chosen,) = rng.choices(equals, [record.weight or _NEXT_TO_NOTHING for record in equals])
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def _leads_to(record: SRV) -> list[Endpoint]:
    try:
        return [Endpoint(record.scheme, record.target, record.port)]
    except ValueError:  # the root, port 0, or a name that is not a host's
        return []


async def _lookup(scheme: str, name: str, resolver: Resolver | None) -> list[SRV]:
    """The records of one kind; none if the DNS does not know, or does not answer."""
    import dns.asyncbackend
    import dns.asyncresolver
    import dns.exception

    try:
        # The default backend is guessed once per process, so it is named here.
        answer = await (resolver or dns.asyncresolver.Resolver()).resolve(
            name, "SRV", backend=dns.asyncbackend.get_backend("trio")
        )
    except (dns.exception.DNSException, OSError):
        return []
    return [
        SRV(scheme, record.priority, record.weight, str(record.target).removesuffix(".") or ".", record.port)
        for record in answer
    ]
