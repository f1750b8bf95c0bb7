"""The examination: each way to a server, one after the other, as far as it leads."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from ...client.connect import connect
from ...errors import Stage
from ...jid import JID
from ...protocol.features import StreamFeatures
from ...protocol.sasl import Credentials
from ...stream.negotiate import Terms, secure
from ...stream.xmlstream import XmlStream
from ...transport.discovery import Resolver, discover
from ...transport.endpoint import Endpoint
from ...transport.tcp import StreamTransport, open_transport

__all__ = ["Diagnosis", "Login", "Patient", "Visit", "examine"]

SASL2 = "{urn:xmpp:sasl:2}authentication"


@dataclass(frozen=True, slots=True)
class Patient:
    """What is to be examined, and how."""

    domain: str
    jid: JID | None = None
    password: str | None = field(default=None, repr=False)
    endpoints: tuple[Endpoint, ...] = ()
    """In place of what the DNS says."""
    tls: ssl.SSLContext | None = None
    timeout: float = 15.0
    resolver: Resolver | None = None


@dataclass(slots=True)
class Visit:
    """How far one endpoint let us come, and what was seen there."""

    endpoint: str
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds that each step took, by what was being done."""
    error: str | None = None
    """Why no farther."""
    tls_version: str | None = None
    names: tuple[str, ...] = ()
    """Whom the certificate names."""
    days_left: int | None = None
    """Before the certificate expires."""
    mechanisms: tuple[str, ...] = ()
    bindings_offered: tuple[str, ...] | None = None
    """Types of channel binding that the server announces (XEP-0440)."""
    bindings_known: tuple[str, ...] = ()
    """Types that this link has."""
    sasl2: bool = False

    @property
    def could_log_in(self) -> bool:
        """Whether it offers a way to log in that does not give a password away."""
        return self.error is None and any(name.startswith("SCRAM-") for name in self.mechanisms)


@dataclass(slots=True)
class Login:
    """What came of logging in."""

    endpoint: str
    seconds: float = 0.0
    error: str | None = None
    jid: str | None = None
    sm: bool = False
    resumable: bool = False
    max_resumption: int | None = None
    """For how many seconds the server keeps a lost session, if it says so."""


@dataclass(slots=True)
class Diagnosis:
    """Everything that was found."""

    domain: str
    records: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """What is wrong with the records."""
    looked_up_in: float | None = None
    visits: list[Visit] = field(default_factory=list)
    login: Login | None = None

    @property
    def ok(self) -> bool:
        """Whether one could log in; if it was tried, whether one did."""
        if self.login is not None:
            return self.login.error is None
        return any(visit.could_log_in for visit in self.visits)


async def examine(patient: Patient, status: Callable[[str], object] = lambda text: None) -> Diagnosis:
    """Everything there is to be found; `status` is told what is being done. Raises nothing; cancelling is safe."""
    diagnosis = Diagnosis(patient.domain)
    endpoints = list(patient.endpoints)
    if not endpoints:
        status(f"looking up {patient.domain}")
        endpoints = await _look_up(patient, diagnosis)
    for endpoint in endpoints:
        status(f"trying {endpoint}")
        diagnosis.visits.append(await _visit(patient, endpoint))
    good = [place for place, visit in zip(endpoints, diagnosis.visits, strict=True) if visit.error is None]
    if patient.jid is not None and good:
        status(f"logging in as {patient.jid}")
        diagnosis.login = await _log_in(patient, patient.jid, good[0])
    elif patient.jid is not None:
        diagnosis.login = Login("", error="there is nowhere to log in at")
    return diagnosis


async def _look_up(patient: Patient, diagnosis: Diagnosis) -> list[Endpoint]:
    began = trio.current_time()
    with trio.move_on_after(patient.timeout) as limit:
        found = await discover(patient.domain, resolver=patient.resolver)
    diagnosis.looked_up_in = trio.current_time() - began
    if limit.cancelled_caught:
        diagnosis.troubles.append(f"the DNS did not answer within {patient.timeout:g} seconds")
        return []
    diagnosis.troubles += found.troubles
    diagnosis.records += [
        f"{record.scheme}: {record.target}:{record.port}, priority {record.priority}, weight {record.weight}"
        for record in found.records
    ]
    return list(found.endpoints)


class _Watch:
    """Measures how long each step takes."""

    def __init__(self, steps: dict[str, float]) -> None:
        self._steps = steps
        self._name: str | None = None
        self._began = 0.0

    def __call__(self, stage: Stage) -> None:
        self.stop()
        self._name, self._began = stage.value, trio.current_time()

    def stop(self) -> None:
        """The last one is done, or has failed."""
        if self._name is not None:
            self._steps[self._name] = self._steps.get(self._name, 0.0) + trio.current_time() - self._began
        self._name = None


async def _visit(patient: Patient, endpoint: Endpoint) -> Visit:
    visit = Visit(str(endpoint))
    watch = _Watch(visit.steps)
    with trio.move_on_after(patient.timeout) as limit:
        async with trio.open_nursery() as nursery:  # where a WebSocket lives
            try:
                await _look_around(patient, endpoint, visit, watch, nursery)
            except OSError as exc:
                visit.error = str(exc) or type(exc).__name__
            finally:
                nursery.cancel_scope.cancel(reason="the visit is over")
    if limit.cancelled_caught:
        visit.error = f"no answer within {patient.timeout:g} seconds"
    watch.stop()
    if visit.error is not None and visit.steps:
        visit.error = f"{list(visit.steps)[-1]}: {visit.error}"
    return visit


async def _look_around(
    patient: Patient, endpoint: Endpoint, visit: Visit, watch: _Watch, nursery: trio.Nursery
) -> None:
    transport = await open_transport(endpoint, domain=patient.domain, tls=patient.tls, nursery=nursery, report=watch)
    xmlstream = XmlStream(transport, patient.domain)
    try:
        terms = Terms(JID.parse(patient.domain), Credentials("", ""))
        opened = await secure(xmlstream, terms, patient.tls, watch)
        visit.tls_version = transport.tls_version
        visit.bindings_known = tuple(transport.channel_bindings())
        _see(visit, opened.features)
    finally:
        if isinstance(transport, StreamTransport):
            _read(visit, transport.certificate)
        with trio.CancelScope(shield=True):
            await xmlstream.say_goodbye()
            await xmlstream.aclose()


def _see(visit: Visit, features: StreamFeatures) -> None:
    visit.mechanisms = features.mechanisms
    visit.bindings_offered = features.channel_bindings
    visit.sasl2 = features.has(SASL2)


def _read(visit: Visit, certificate: Mapping[str, Any] | None) -> None:
    if certificate:
        visit.names = tuple(value for _, value in certificate.get("subjectAltName", ()))
        expires = ssl.cert_time_to_seconds(certificate["notAfter"])
        visit.days_left = math.floor((expires - time.time()) / 86400)


async def _log_in(patient: Patient, jid: JID, endpoint: Endpoint) -> Login:
    login = Login(str(endpoint))
    began = trio.current_time()
    try:
        async with connect(
            jid,
            patient.password or "",
            endpoint=endpoint,
            tls=patient.tls,
            reconnect=None,
            connect_timeout=patient.timeout,
            close_timeout=patient.timeout,
        ) as client:
            login.seconds = trio.current_time() - began
            login.jid = str(client.jid)
            login.sm = client.stream.sm_enabled
            if login.sm:
                login.resumable, login.max_resumption = client.stream.sm_resumable, client.stream.sm_max
    except OSError as exc:
        login.error = str(exc)
    return login
