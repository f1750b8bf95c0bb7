"""The findings, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..output import Output, Tone
from ..terminal import MANY, for_terminal, listed
from .advice import Advice, advice
from .findings import STEPS, Certificate, Diagnosis, HostMeta, Login, Lookup, Managed, Step, Visit
from .offer_text import offer_lines, plan_line

__all__ = ["report"]

_SERVICES = {"xmpp": "_xmpp-client", "xmpps": "_xmpps-client"}


def report(diagnosis: Diagnosis, output: Output) -> None:
    """Write the findings, and what to fix. No text of a server reaches the terminal unescaped."""
    page = _Page(output)
    page.line(_heading(diagnosis))
    if diagnosis.dns is not None or diagnosis.host_meta:
        page.gap()
    if diagnosis.dns is not None:
        _dns(diagnosis.dns, page)
    for meta in diagnosis.host_meta:
        _host_meta(meta, page)
    seen: list[Visit] = []
    for visit in diagnosis.visits:
        _visit(visit, seen, page)
        seen.append(visit)
    if diagnosis.login is not None:
        _login(diagnosis.login, page)
    _to_do(advice(diagnosis), page)
    page.gap()
    page.line(f"{diagnosis.domain}: {_verdict(diagnosis)}, in {diagnosis.seconds:.2f} s", _tone(diagnosis.ok))


class _Page:
    """An output for lines; it escapes characters that do not belong in one."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def line(self, text: str, tone: Tone = "normal") -> None:
        self._output.text(for_terminal(text), tone)

    def gap(self) -> None:
        self._output.text()


def _heading(diagnosis: Diagnosis) -> str:
    tool = diagnosis.tool
    proxy = "" if tool.proxy is None else f", through {tool.proxy}"
    with_ = f"trioxmpp {tool.trioxmpp}, Python {tool.python}, {tool.openssl}"
    return f"{diagnosis.domain}, examined at {tool.clock} by {with_}{proxy}"


def _dns(lookup: Lookup, page: _Page) -> None:
    count = len(lookup.records)
    page.line(f"DNS: {count or 'no'} SRV record{'' if count == 1 else 's'}, in {lookup.seconds:.3f} s")
    for record in lookup.records[:MANY]:
        where = f"{record.target}:{record.port}, priority {record.priority}, weight {record.weight}"
        page.line(f"  {_SERVICES.get(record.scheme, record.scheme)}: {where}")
    _more(lookup.records, page)
    for trouble in lookup.troubles:
        page.line(f"  {trouble}")


def _host_meta(meta: HostMeta, page: _Page) -> None:
    found = meta.error or f"{len(meta.endpoints) or 'no'} WebSocket{'' if len(meta.endpoints) == 1 else 's'}"
    page.line(f"host-meta ({meta.form.upper()}), in {meta.seconds:.3f} s: {found}")
    for endpoint in meta.endpoints[:MANY]:
        page.line(f"  {endpoint}")
    _more(meta.endpoints, page)


def _more(each: Sequence[object], page: _Page) -> None:
    if len(each) > MANY:
        page.line(f"  and {len(each) - MANY} more")


def _visit(visit: Visit, seen: Sequence[Visit], page: _Page) -> None:
    page.gap()
    page.line(f"{visit.place}: {'reached' if visit.error is None else 'failed'}", _tone(visit.error is None))
    _steps(visit.steps, page)
    if visit.error is not None:
        page.line(f"  {visit.error}")
    twin = next((other for other in seen if visit.certificate and _like(visit) == _like(other)), None)
    if twin is not None:
        page.line(
            f"  {'TLS and certificate' if visit.error else 'TLS, certificate and offer'} are those of {twin.place}"
        )
        return
    if visit.before_tls is not None:
        mechanisms = visit.before_tls.mechanisms
        without = f"; to log in without it: {listed(mechanisms)}" if mechanisms else ""
        page.line(f"  STARTTLS: {visit.before_tls.starttls or 'not offered'}{without}")
    _secured(visit, page)
    if visit.offer is not None:
        known = () if visit.tls is None else visit.tls.bindings
        for line in offer_lines(visit.offer, known):
            page.line(f"  {line}")
    if visit.plan is not None:
        page.line(f"  {plan_line(visit.plan)}")


def _like(visit: Visit) -> object:
    return visit.tls, visit.certificate, visit.offer, visit.plan


def _secured(visit: Visit, page: _Page) -> None:
    certificate = visit.certificate
    indent = "  "
    if certificate is not None and not certificate.trusted:
        page.line("  read by a second handshake, which trusts any certificate (nothing else is sent):")
        indent = "    "
    if visit.tls is not None:
        page.line(f"{indent}TLS: {visit.tls.version or 'of an unknown version'}")
    elif visit.error is None:
        page.line(f"{indent}TLS: none")
    if certificate is not None:
        for line in _certificate(certificate):
            page.line(f"{indent}{line}")


def _certificate(certificate: Certificate) -> Iterable[str]:
    if not certificate.readable:
        yield "certificate: reading it takes the extra trioxmpp[tls-exporter]"
    else:
        names = listed(certificate.names, "no name")
        if not certificate.names and certificate.common_name:
            names += f", but for the common name {certificate.common_name}, which does not count"
        issuer = "itself" if certificate.self_signed else certificate.issuer or "an authority without a name"
        yield f"certificate: for {names}; signed by {issuer}"
        yield f"  good from {certificate.not_before} until {certificate.not_after}: {_left(certificate)}"
    if not certificate.trusted:
        yield f"  SHA-256 {certificate.sha256}"


def _left(certificate: Certificate) -> str:
    days = certificate.days_left
    if days is None:
        return "the time left is unknown"
    return _days(days, "left") if days >= 0 else f"expired {_days(-days - 1, 'ago')}"


def _days(count: int, what: str) -> str:
    return f"{count} day{'' if count == 1 else 's'} {what}"


def _steps(steps: Sequence[Step], page: _Page) -> None:
    if steps:
        page.line("  " + ", ".join(f"{STEPS.get(step.name, step.name)} {step.seconds:.3f} s" for step in steps))


def _login(login: Login, page: _Page) -> None:
    page.gap()
    where = (
        login.endpoint
        if login.address is None or login.address in login.endpoint
        else f"{login.endpoint} at {login.address}"
    )
    page.line(
        f"logging in at {where}: {login.jid or 'failed'}" if where else "logging in: failed", _tone(login.error is None)
    )
    _steps(login.steps, page)
    if login.error is not None:
        page.line(f"  {login.error}")
    if login.mechanism is not None:
        token = "" if login.token is None else f"; the next time by a token, {login.token}"
        page.line(
            f"  by {login.profile} and {login.mechanism}, {'' if login.bound else 'not '}bound to the link{token}"
        )
    if login.jid is None:
        return
    page.line(f"  stream management: {'no' if login.sm is None else _managed(login.sm)}")
    if login.ping is not None:
        page.line(f"  a round trip: {login.ping:.3f} s")
    if login.offer is not None:
        for line in offer_lines(login.offer, (), inside=True):
            page.line(f"  {line}")


def _managed(sm: Managed) -> str:
    if not sm.resumable:
        return "yes, but not resumable"
    kept = "for as long as the server chooses" if sm.max is None else f"for {sm.max} s"
    at = "" if sm.location is None else f", at {sm.location}"
    return f"resumable {kept}{at}; id {sm.id}"


def _to_do(told: Sequence[Advice], page: _Page) -> None:
    headings = {
        ("fault", "admin"): "To fix, for the operator of the server:",
        ("fault", "user"): "To fix here:",
        ("hint", "admin"): "To improve at the server:",
        ("hint", "user"): "To improve here:",
    }
    for (level, whose), heading in headings.items():
        chosen = [each for each in told if (each.level, each.whose) == (level, whose)]
        if not chosen:
            continue
        page.gap()
        page.line(heading, "harm" if level == "fault" else "normal")
        for each in chosen:
            page.line(f"- {_places(each.places)}{each.text}")


def _places(places: Sequence[str]) -> str:
    return f"{listed(places)}: " if places else ""


def _verdict(diagnosis: Diagnosis) -> str:
    if diagnosis.login is not None:
        return "logged in" if diagnosis.ok else "could not log in"
    return "one can log in here" if diagnosis.ok else "one cannot log in here"


def _tone(good: bool) -> Tone:
    return "good" if good else "bad"
