"""The examination: every way to a server, each by itself, as far as it leads."""

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
from .findings import Diagnosis, Login, Tool, Visit
from .login import log_in_at
from .lookup import find_addresses_of, find_places
from .patient import Patient, Place
from .shown import listed
from .visit import visit

__all__ = ["examine"]

#: How often servers may send us on.
MAX_REDIRECTIONS = ReconnectPolicy().redirects


async def examine(patient: Patient, status: Callable[[str], object] = lambda text: None) -> Diagnosis:
    """Everything there is to be found, in ``patient.timeout`` seconds; `status` is told what is being done.

    A third of the time is for looking up where to go. The places are visited all at once, so that one which is silent
    keeps nobody waiting. Raises nothing; cancelling is safe.
    """
    began = trio.current_time()
    deadline = began + patient.timeout
    diagnosis = Diagnosis(patient.domain, _tool(patient))
    # What takes time here is not to be blamed on anybody there.
    await trio.to_thread.run_sync(_prepare, abandon_on_cancel=True)
    status(f"looking for the server of {patient.domain}")
    places = await find_places(patient, diagnosis, patient.timeout / 6)
    left = deadline - trio.current_time()
    until = deadline if patient.jid is None else deadline - left / 2
    visits: list[Visit] = []
    for _ in range(MAX_REDIRECTIONS + 1):
        status(f"trying {listed([str(place.endpoint) for place in places[len(visits) :]])}")
        visits += await _visit_all(patient, places[len(visits) :], until - trio.current_time())
        elsewhere = _elsewhere(places, visits)
        if not elsewhere:
            break
        places += await find_addresses_of(patient, diagnosis, elsewhere, (until - trio.current_time()) / 2)
    diagnosis.visits += visits
    if patient.jid is not None:
        status(f"logging in as {patient.jid}")
        diagnosis.login = await _log_in(patient, places, visits, deadline)
    diagnosis.seconds = trio.current_time() - began
    return diagnosis


def _prepare() -> None:
    from ...transport import websocket  # noqa: F401

    prepare()
    with suppress(ImportError):
        from cryptography import x509  # noqa: F401


def _tool(patient: Patient) -> Tool:
    clock = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    proxy = None if patient.proxy is None else str(patient.proxy)
    return Tool(__version__, platform.python_version(), ssl.OPENSSL_VERSION, clock, proxy)


def _elsewhere(places: list[Place], visits: list[Visit]) -> dict[Endpoint, str]:
    """Where servers send us, and we have not been."""
    known = {place.endpoint for place in places}
    wanted = [Endpoint.parse(visit.sent_to) for visit in visits if visit.sent_to is not None]
    return dict.fromkeys((endpoint for endpoint in wanted if endpoint not in known), "see-other-host")


async def _visit_all(patient: Patient, places: list[Place], patience: float) -> list[Visit]:
    visits: dict[int, Visit] = {}

    async def go(number: int, place: Place) -> None:
        visits[number] = await visit(patient, place, patience)

    async with trio.open_nursery() as nursery:
        for each in enumerate(places):
            nursery.start_soon(partial(go, *each))
    return [visits[number] for number in range(len(places))]


async def _log_in(patient: Patient, places: list[Place], visits: list[Visit], deadline: float) -> Login:
    assert patient.jid is not None
    reached = [pair for pair in zip(places, visits, strict=True) if pair[1].error is None]
    if not reached:
        return Login("", error="there is nowhere to log in at")
    place, _ = next((pair for pair in reached if pair[1].could_log_in), reached[0])
    return await log_in_at(patient, patient.jid, place, max(deadline - trio.current_time(), 0.0))
