"""The look-up of candidates: by the DNS and the web server of a domain, and by the addresses of hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import trio

from ...client.race import FAILURES
from ...transport.discovery import discover
from ...transport.endpoint import Endpoint
from ...transport.hostmeta import fetch, host_meta_of, read_json, read_xrd
from ...transport.tcp import find_addresses
from ...transport.tls import ALPN, ALPN_WEBSOCKET, shared_context
from ..terminal import error_text
from .fault import fault_of
from .findings import Diagnosis, HostMeta, Lookup, Record, Step, Visit
from .target import Candidate, Target

__all__ = ["find_addresses_of", "find_candidates"]

#: Candidates that are tried. No domain has more, unless its owner is hostile.
MAX_CANDIDATES = 24

_FORMS: tuple[tuple[str, str, Callable[[bytes], list[Endpoint]]], ...] = (
    ("xrd", "", read_xrd),
    ("json", ".json", read_json),
)


async def find_candidates(target: Target, diagnosis: Diagnosis, patience: float) -> list[Candidate]:
    """Return every address of every endpoint of the domain, the best first, in twice `patience` seconds."""
    endpoints: dict[Endpoint, str] = dict.fromkeys(target.endpoints, "arguments")
    found: list[list[Endpoint]] = [[], [], []]
    async with trio.open_nursery() as nursery:
        if target.tls is None:  # so that no probe waits until the certificates of the system are read
            nursery.start_soon(shared_context, ALPN)
            nursery.start_soon(shared_context, ALPN_WEBSOCKET)
        if not endpoints:
            nursery.start_soon(_look_up, target, diagnosis, patience, found[0])
            for number, form in enumerate(_FORMS, 1):
                meta = HostMeta(form[0], _url(target.domain) + form[1])
                diagnosis.host_meta.append(meta)
                nursery.start_soon(_read, target, meta, form[2], patience, found[number])
    if not endpoints:
        endpoints = dict.fromkeys(found[0], "dns")
        for each in found[1] + found[2]:
            endpoints.setdefault(each, "host-meta")
    return await find_addresses_of(target, diagnosis, endpoints, patience)


def _url(domain: str) -> str:
    try:
        return host_meta_of(domain)
    except ValueError:  # which `fetch` is going to explain
        return f"https://{domain}/.well-known/host-meta"


async def _look_up(target: Target, diagnosis: Diagnosis, patience: float, endpoints: list[Endpoint]) -> None:
    began = trio.current_time()
    lookup = Lookup(0.0)
    with trio.move_on_after(patience) as limit:
        found = await discover(target.domain, resolver=target.resolver)
        endpoints += found.endpoints
        lookup.troubles += found.problems
        if any(endpoint.is_address or endpoint.is_onion for endpoint in found.endpoints) and not found.records:
            return  # the DNS was not asked
        lookup.records += [
            Record(each.scheme, each.priority, each.weight, each.target, each.port) for each in found.records
        ]
    if limit.cancelled_caught:
        lookup.troubles.append(f"the DNS did not answer within {patience:.3g} seconds")
    lookup.seconds = trio.current_time() - began
    diagnosis.dns = lookup


async def _read(
    target: Target,
    meta: HostMeta,
    read: Callable[[bytes], list[Endpoint]],
    patience: float,
    endpoints: list[Endpoint],
) -> None:
    began = trio.current_time()
    with trio.move_on_after(patience) as limit:
        try:
            endpoints += read(await fetch(meta.url, target.tls, target.proxy))
        except FAILURES as exc:
            meta.error = error_text(exc)
    if limit.cancelled_caught:
        meta.error = f"no answer within {patience:.3g} seconds"
    meta.endpoints = [str(endpoint) for endpoint in endpoints]
    meta.seconds = trio.current_time() - began


async def find_addresses_of(
    target: Target, diagnosis: Diagnosis, endpoints: Mapping[Endpoint, str], patience: float
) -> list[Candidate]:
    """Return every address of these endpoints, which are given with their origin, in `patience` seconds.

    An endpoint without an address is noted as a failed visit; those that are too many are counted as left out.
    """
    chosen = dict(list(endpoints.items())[:MAX_CANDIDATES])
    diagnosis.left_out += len(endpoints) - len(chosen)
    if target.proxy is not None:
        return [Candidate(endpoint, None, found_in) for endpoint, found_in in chosen.items()]
    found: dict[Endpoint, Sequence[Candidate]] = {}

    async def find(endpoint: Endpoint, found_in: str) -> None:
        found[endpoint] = await _addresses_of(Candidate(endpoint, None, found_in), target, diagnosis, patience)

    async with trio.open_nursery() as nursery:
        for endpoint, found_in in chosen.items():
            nursery.start_soon(find, endpoint, found_in)
    candidates = [candidate for endpoint in chosen for candidate in found[endpoint]]
    diagnosis.left_out += len(candidates[MAX_CANDIDATES:])
    return candidates[:MAX_CANDIDATES]


async def _addresses_of(
    candidate: Candidate, target: Target, diagnosis: Diagnosis, patience: float
) -> Sequence[Candidate]:
    began = trio.current_time()
    failure: Exception = TimeoutError(f"the DNS did not answer for the address of {candidate.endpoint.host}")
    with trio.move_on_after(patience):
        try:
            addresses = await find_addresses(candidate.endpoint)
            seconds = trio.current_time() - began
            return [Candidate(candidate.endpoint, address, candidate.found_in, seconds) for address in addresses]
        except OSError as exc:
            failure = exc
    visit = Visit(str(candidate.endpoint), None, candidate.found_in, [Step("resolving", trio.current_time() - began)])
    visit.error = error_text(failure)
    visit.fault = fault_of(failure, "resolving", candidate, target)
    diagnosis.visits.append(visit)
    return []
