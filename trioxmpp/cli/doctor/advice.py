"""Advice: what to fix, by whom, the important things first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..terminal import listed
from .advice_texts import Level, Whose, advice_texts
from .fault import flaws
from .findings import STEPS, Diagnosis, Login, Visit

__all__ = ["Advice", "advice"]

#: Days before a certificate expires in which to advise renewing it.
SOON = 14

#: Seconds from which on a step is slow.
SLOW = 2.0

#: Faults of the network: no server was reached.
_ON_THE_WAY = frozenset({"name-not-found", "refused", "silent", "unreachable", "blocked", "proxy", "dns-silent"})


@dataclass(slots=True)
class Advice:
    """One thing to do. `places` are the candidates that it is about; empty if it is about all."""

    code: str
    level: Level
    whose: Whose
    text: str
    places: list[str] = field(default_factory=list)


def advice(diagnosis: Diagnosis) -> list[Advice]:
    """Return the advice, faults before hints; empty if all is well."""
    told: dict[tuple[str, str], Advice] = {}
    for code, place, values in _all(diagnosis):
        known = advice_texts()[code]
        text = known.text.format(**{"domain": diagnosis.domain, "name": diagnosis.domain, "more": "", **values})
        each = told.setdefault((code, text), Advice(code, known.level, known.whose, text))
        if place is not None and place not in each.places:
            each.places.append(place)
    return sorted(told.values(), key=lambda each: each.level == "hint")


#: A code, the place that it is about, and the values for its text.
_Told = tuple[str, str | None, dict[str, str]]


def _all(diagnosis: Diagnosis) -> Iterator[_Told]:
    yield from _records(diagnosis)
    for visit in diagnosis.visits:
        if visit.error is not None:
            yield from _failed(visit, diagnosis)
        else:
            yield from _reached(visit)
        yield from _slow(visit)
    yield from _everywhere(diagnosis)
    if diagnosis.login is not None:
        yield from _login(diagnosis.login)


def _records(diagnosis: Diagnosis) -> Iterator[_Told]:
    dns = diagnosis.dns
    if dns is not None:
        led = any(visit.found_in == "dns" for visit in diagnosis.visits)
        if dns.records and not led:
            denied = all(record.target == "." for record in dns.records)
            yield ("srv-denied" if denied else "srv-useless"), None, {}
        elif dns.troubles:
            yield from (("dns-trouble", None, {"more": trouble}) for trouble in dns.troubles)
        elif not dns.records and not _is_unknown(diagnosis):
            yield "srv-missing", None, {}
        if dns.seconds > SLOW:
            yield "slow-resolving", None, {"more": f"{dns.seconds:.1f} s"}
    if diagnosis.left_out:
        yield "left-out", None, {"more": str(diagnosis.left_out)}


def _is_unknown(diagnosis: Diagnosis) -> bool:
    """Tell whether the domain is not in the DNS at all."""
    has_records = diagnosis.dns is None or bool(diagnosis.dns.records or diagnosis.dns.troubles)
    lost = [visit for visit in diagnosis.visits if visit.found_in == "dns" and visit.fault == "name-not-found"]
    return bool(lost) and not has_records


def _failed(visit: Visit, diagnosis: Diagnosis) -> Iterator[_Told]:
    code, name = visit.fault or "closed", _named(visit, diagnosis)
    other = _other_way(visit, diagnosis) if code in _ON_THE_WAY else None
    more = _of_certificate(code, visit)
    if other is not None:
        code, more = "ipv6-unreachable" if code == "unreachable" else "family-dead", other
    elif code == "name-not-found" and visit.found_in == "dns" and _is_unknown(diagnosis):
        code = "domain-not-found"
    elif code == "see-other-host":
        more = visit.sent_to or "another place"
    elif code == "tls-too-old":
        more = (None if visit.tls is None else visit.tls.version) or "what it speaks"
    yield code, visit.place, {"name": name, "more": more}
    certificate = visit.certificate
    for flaw in [] if certificate is None or certificate.trusted else flaws(certificate, diagnosis.tool.clock):
        if flaw != code:
            yield flaw, visit.place, {"name": name, "more": _of_certificate(flaw, visit)}


def _named(visit: Visit, diagnosis: Diagnosis) -> str:
    """Return the name that the certificate must have there."""
    scheme, _, rest = visit.endpoint.partition("://")
    return rest.partition("/")[0].rpartition(":")[0] if scheme in ("ws", "wss") else diagnosis.domain


def _other_way(visit: Visit, diagnosis: Diagnosis) -> str | None:
    """Return an address of the same endpoint, of the other family, where a server was reached; or None."""
    for other in diagnosis.visits:
        is_met = other.endpoint == visit.endpoint and other.fault not in _ON_THE_WAY
        if is_met and visit.address and other.address and (":" in visit.address) != (":" in other.address):
            return other.address
    return None


def _of_certificate(code: str, visit: Visit) -> str:
    certificate = visit.certificate
    if certificate is None:
        return ""
    if code == "certificate-name" and certificate.readable and not certificate.names:
        return f"; this one has nothing but a common name ({certificate.common_name}), which does not count any more"
    if code == "certificate-name" and certificate.names:
        return f"; this one is for {listed(certificate.names)}"
    if code == "certificate-expired" and certificate.not_after:
        return f" (it was good until {certificate.not_after})"
    if code == "certificate-not-yet-valid" and certificate.not_before:
        return f" (it will be good from {certificate.not_before} on)"
    return ""


def _reached(visit: Visit) -> Iterator[_Told]:
    assert visit.offer is not None
    place, offer, plan = visit.place, visit.offer, visit.plan
    mechanisms = offer.mechanisms + (() if offer.sasl2 is None else offer.sasl2.mechanisms)
    if plan is not None and plan.refusal is not None:
        only_plain = "PLAIN" in mechanisms and not any(name.startswith("SCRAM-") for name in mechanisms)
        yield ("only-plain" if only_plain else "no-mechanism"), place, {"more": plan.refusal}
    days = None if visit.certificate is None else visit.certificate.days_left
    if days is not None and days < SOON:
        yield "expires-soon", place, {"more": f"{days} days" if days != 1 else "1 day"}
    if visit.tls is not None and visit.tls.version == "TLSv1.2":
        yield "no-tls13", place, {}
    if visit.before_tls is not None and visit.before_tls is not offer and visit.before_tls.mechanisms:
        yield "login-without-tls", place, {}
    if visit.tls is None or not visit.tls.bindings:
        return
    if (
        not offer.bindings
        and any(name.endswith("-PLUS") for name in mechanisms)
        and "tls-unique" not in visit.tls.bindings
    ):
        yield "bindings-not-told", place, {}
    if (
        "tls-exporter" in (offer.bindings or ())
        and visit.tls.version == "TLSv1.3"
        and "tls-exporter" not in visit.tls.bindings
    ):
        yield "exporter", place, {}


def _slow(visit: Visit | Login) -> Iterator[_Told]:
    place = visit.endpoint if isinstance(visit, Login) else visit.place
    for step in visit.steps:
        if step.seconds <= SLOW or (visit.error is not None and step is visit.steps[-1]):
            continue
        took = f"{step.seconds:.1f} s"
        if step.name in ("resolving", "connecting"):
            yield f"slow-{step.name}", place, {"more": took}
        else:
            yield "slow-server", place, {"more": f"{STEPS[step.name]} took {took}"}


def _everywhere(diagnosis: Diagnosis) -> Iterator[_Told]:
    """Yield the advice that follows from all candidates together."""
    visits = diagnosis.visits
    early = any(visit.fault == "certificate-not-yet-valid" for visit in visits)
    expired = [visit.fault == "certificate-expired" for visit in visits if visit.certificate is not None]
    if early or (expired and all(expired)):
        yield "clock", None, {"more": diagnosis.tool.clock}
    faults = {visit.fault for visit in visits}
    if "http" in faults and faults <= {"http", "not-tls", "closed"}:
        yield "captive-portal", None, {}


def _login(login: Login) -> Iterator[_Told]:
    yield from _slow(login)
    if login.error is not None and login.endpoint:
        mine = login.condition in ("not-authorized", "credentials-expired", "invalid-authzid")
        yield ("login" if mine else "login-server"), None, {"more": login.error}
    elif login.error is None and (login.sm is None or not login.sm.resumable):
        yield "not-resumable", None, {}
