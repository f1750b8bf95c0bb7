"""Endpoints of a domain, by its SRV records for STARTTLS and for direct TLS (RFC 6120 §3.2, RFC 2782, XEP-0368).

The records of both kinds make one list, in the order of their priorities and weights. Without any record, and if the
DNS fails, the domain itself is the endpoint. The DNS is not trusted: the number of records and the work on them are
bounded, and the certificate is checked against the domain, whatever host the DNS names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Protocol

import trio

from ..record import record
from ..text import because
from .endpoint import Endpoint, to_ascii

__all__ = ["MAX_RECORDS", "SRV", "Discovered", "Resolver", "discover", "in_order", "prepare"]

_SERVICES = {"xmpp": "_xmpp-client._tcp", "xmpps": "_xmpps-client._tcp"}

#: SRV records of both kinds that are used. A domain that needs more has been taken over, or attacks its users.
MAX_RECORDS = 64

# RFC 2782 wants "a very small chance" for records of weight 0 that stand beside heavier ones.
_NEXT_TO_NOTHING = 0.01


class Resolver(Protocol):
    """A `dns.asyncresolver.Resolver`, or an object that behaves like one."""

    async def resolve(self, qname: Any, rdtype: Any, *, backend: Any) -> Any:
        """Return the records of one type. Raises an exception of dnspython."""
        ...


@record
class SRV:
    """One SRV record, with the scheme of its service. The target ``.`` means that there is no service."""

    scheme: str
    priority: int
    weight: int
    target: str
    port: int


@record
class Discovered:
    """The findings of the DNS about the XMPP server of a domain."""

    endpoints: tuple[Endpoint, ...]
    """The endpoints to try, the best first."""
    records: tuple[SRV, ...] = ()
    """The SRV records, in the same order."""
    problems: tuple[str, ...] = ()
    """The failures, and what is wrong with the records, in words."""


def prepare() -> None:
    """Import the modules that `discover` needs. It does so itself; this is for a caller that measures its time."""
    import dns.asyncbackend
    import dns.asyncresolver  # noqa: F401


async def discover(domain: str, *, resolver: Resolver | None = None, rng: random.Random | None = None) -> Discovered:
    """Return the endpoints of the XMPP server of `domain`.

    They are the targets of the SRV records of both kinds (XEP-0368 §5). A kind whose target is ``.`` is not offered. If
    there are no records at all, the endpoint is `domain` itself, on port 5222. So it is if the DNS does not answer, or
    answers with a failure (RFC 6120 §3.2.1), unless the other kind has an endpoint. There is no fallback from records
    that are useless.

    `resolver` is used in place of the system's. `rng` draws among records of one priority. Raises nothing: a failure is
    part of the findings. Cancelling leaves nothing behind.
    """
    try:
        itself = Endpoint("xmpp", to_ascii(domain), 5222)
    except ValueError as exc:
        await trio.lowlevel.checkpoint()
        return Discovered((), problems=(f"there is no XMPP server to look for: {exc}",))
    if itself.is_address or itself.is_onion:
        await trio.lowlevel.checkpoint()
        return Discovered((itself,))
    answers = await _ask_for_all(itself.host, resolver)
    records = [record for answer in answers.values() if not isinstance(answer, str) for record in answer]
    problems = [answer for answer in answers.values() if isinstance(answer, str)]
    # Which answer came first must not matter to a seeded generator.
    ordered = in_order(sorted(records, key=repr), rng)
    if len(ordered) > MAX_RECORDS:
        problems.append(f"the domain has {len(ordered)} SRV records; only the first {MAX_RECORDS} in order are used")
        del ordered[MAX_RECORDS:]
    endpoints = list(dict.fromkeys(endpoint for record in ordered for endpoint in _leads_to(record)))
    if not endpoints:
        all_denied = all(record.target == "." for record in records)
        if all_denied and (not records or isinstance(answers["xmpp"], str)):
            endpoints = [itself]
        elif all_denied:
            problems.append("the domain says in the DNS that it offers no XMPP to clients")
        else:
            problems.append("the SRV records of the domain lead nowhere")
    return Discovered(tuple(endpoints), tuple(ordered), tuple(problems))


def in_order(records: Iterable[SRV], rng: random.Random | None = None) -> list[SRV]:
    """Sort the records by priority, and those of one priority by chance, in proportion to their weights (RFC 2782).

    RFC 2782 draws one record after the other, each time from all that are left, which takes quadratic time. The same
    order comes out if each record waits for an exponential time whose rate is its weight, and the shortest wait is
    first: at each draw, the chance of a record is its share of the weights that are left (Efraimidis and Spirakis,
    2006). A domain may have thousands of records, and its owner may be hostile.
    """
    rng = rng or random.Random()
    return sorted(records, key=lambda record: (record.priority, rng.expovariate(record.weight or _NEXT_TO_NOTHING)))


def _leads_to(record: SRV) -> list[Endpoint]:
    try:
        return [Endpoint(record.scheme, record.target, record.port)]
    except ValueError:  # the root, port 0, or a name that is not a host's
        return []


async def _ask_for_all(host: str, resolver: Resolver | None) -> dict[str, list[SRV] | str]:
    """Return the records of each kind, or the reason why they are not known."""
    answers: dict[str, list[SRV] | str] = {}

    async def ask(scheme: str, service: str) -> None:
        answers[scheme] = await _lookup(scheme, f"{service}.{host}.", resolver)

    async with trio.open_nursery() as nursery:
        for scheme, service in _SERVICES.items():
            nursery.start_soon(ask, scheme, service)
    return {scheme: answers[scheme] for scheme in _SERVICES}


async def _lookup(scheme: str, name: str, resolver: Resolver | None) -> list[SRV] | str:
    """Return the records of one kind, or the reason why it is not known whether there are any."""
    import dns.asyncbackend
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    try:
        # The default backend is guessed once per process, perhaps wrongly, so it is named here.
        answer = await (resolver or dns.asyncresolver.Resolver()).resolve(
            name, "SRV", backend=dns.asyncbackend.get_backend("trio")
        )
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.resolver.NoResolverConfiguration:
        return "this machine has no name server to ask for SRV records"
    except dns.exception.Timeout:
        return f"the DNS did not answer the question for the SRV records {name.removesuffix('.')}"
    except (dns.exception.DNSException, OSError) as exc:
        return because(f"the DNS could not answer the question for the SRV records {name.removesuffix('.')}", exc)
    return [
        SRV(scheme, record.priority, record.weight, str(record.target).removesuffix(".") or ".", record.port)
        for record in answer
    ]
