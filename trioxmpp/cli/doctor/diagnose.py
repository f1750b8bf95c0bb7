"""The diagnosis: every candidate for a server is tried by itself, as far as it leads."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import trio

from ... import __version__
from ...client.policy import ReconnectPolicy
from ...transport.discovery import prepare
from ...transport.endpoint import Endpoint
from ..terminal import listed
from .findings import Diagnosis, Login, Tool, Visit
from .login import log_in_at
from .lookup import find_addresses_of, find_candidates
from .probe import probe
from .target import Candidate, Target

__all__ = ["diagnose"]

#: Redirections that are followed.
MAX_REDIRECTIONS = ReconnectPolicy().redirects


async def diagnose(target: Target, status: Callable[[str], object] = lambda text: None) -> Diagnosis:
    """Return all findings about `target`, in ``target.timeout`` seconds; `status` is told each step.

    A third of the time is for the look-up of candidates. All are probed at once, so that a silent one delays no other.
    Raises nothing. Cancelling leaves nothing open.
    """
    began = trio.current_time()
    deadline = began + target.timeout
    diagnosis = Diagnosis(target.domain, _tool(target))
    # Imports take time, which must not be blamed on a server.
    await trio.to_thread.run_sync(_prepare, abandon_on_cancel=True)
    status(f"looking for the server of {target.domain}")
    candidates = await find_candidates(target, diagnosis, target.timeout / 6)
    left = deadline - trio.current_time()
    until = deadline if target.jid is None else deadline - left / 2
    visits: list[Visit] = []
    for _ in range(MAX_REDIRECTIONS + 1):
        untried = candidates[len(visits) :]
        if untried:
            status(f"trying {listed([str(candidate.endpoint) for candidate in untried])}")
        visits += await _probe_all(target, untried, until - trio.current_time())
        elsewhere = _elsewhere(candidates, visits)
        if not elsewhere:
            break
        candidates += await find_addresses_of(target, diagnosis, elsewhere, (until - trio.current_time()) / 2)
    diagnosis.visits += visits
    if target.jid is not None:
        status(f"logging in as {target.jid}")
        diagnosis.login = await _log_in(target, candidates, visits, deadline)
    diagnosis.seconds = trio.current_time() - began
    return diagnosis


def _prepare() -> None:
    from ...transport import websocket  # noqa: F401

    prepare()
    with suppress(ImportError):
        from cryptography import x509  # noqa: F401


def _tool(target: Target) -> Tool:
    clock = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    proxy = None if target.proxy is None else str(target.proxy)
    return Tool(__version__, platform.python_version(), ssl.OPENSSL_VERSION, clock, proxy)


def _elsewhere(candidates: list[Candidate], visits: list[Visit]) -> dict[Endpoint, str]:
    """Return the endpoints that servers redirect us to, and that were not tried."""
    known = {candidate.endpoint for candidate in candidates}
    wanted = [Endpoint.parse(visit.sent_to) for visit in visits if visit.sent_to is not None]
    return dict.fromkeys((endpoint for endpoint in wanted if endpoint not in known), "see-other-host")


async def _probe_all(target: Target, candidates: list[Candidate], patience: float) -> list[Visit]:
    visits: dict[int, Visit] = {}

    async def go(number: int, candidate: Candidate) -> None:
        visits[number] = await probe(target, candidate, patience)

    async with trio.open_nursery() as nursery:
        for each in enumerate(candidates):
            nursery.start_soon(partial(go, *each))
    return [visits[number] for number in range(len(candidates))]


async def _log_in(target: Target, candidates: list[Candidate], visits: list[Visit], deadline: float) -> Login:
    assert target.jid is not None
    reached = [pair for pair in zip(candidates, visits, strict=True) if pair[1].error is None]
    if not reached:
        return Login("", error="no server was reached, so there is none to log in at")
    candidate, _ = next((pair for pair in reached if pair[1].could_log_in), reached[0])
    return await log_in_at(target, target.jid, candidate, max(deadline - trio.current_time(), 0.0))
