"""The findings, for a person."""

from __future__ import annotations

from ..output import Output, Tone
from .advice import advice
from .examine import Diagnosis, Login, Visit

__all__ = ["report"]


def report(diagnosis: Diagnosis, output: Output) -> None:
    """Tell what was found, and what to fix."""
    if diagnosis.looked_up_in is not None:
        output.text(f"{diagnosis.domain}: {len(diagnosis.records)} SRV records, in {diagnosis.looked_up_in:.2f} s")
        for record in diagnosis.records:
            output.text(f"  {record}")
    for visit in diagnosis.visits:
        _visit(visit, output)
    if diagnosis.login is not None:
        _login(diagnosis.login, output)
    to_fix = advice(diagnosis)
    if to_fix:
        output.text()
        output.text("What to fix:")
    for each in to_fix:
        output.text(f"- {each}")
    output.text()
    if diagnosis.login is not None:
        verdict = "logged in" if diagnosis.ok else "could not log in"
    else:
        verdict = "one can log in here" if diagnosis.ok else "one cannot log in here"
    output.text(f"{diagnosis.domain}: {verdict}", "good" if diagnosis.ok else "bad")


def _visit(visit: Visit, output: Output) -> None:
    output.text()
    output.text(f"{visit.endpoint}: {'reached' if visit.error is None else 'failed'}", _tone(visit.error))
    for step, seconds in visit.steps.items():
        output.text(f"  {step}: {seconds:.3f} s")
    if visit.error is not None:
        output.text(f"  {visit.error}")
        return
    output.text(f"  TLS: {visit.tls_version or 'none that is known of'}")
    if visit.days_left is not None:
        output.text(f"  certificate: for {', '.join(visit.names)}; expires in {visit.days_left} days")
    output.text(f"  ways to log in: {', '.join(visit.mechanisms) or 'none'}")
    offered = visit.bindings_offered
    output.text(f"  bindings, announced: {'not told' if offered is None else ', '.join(offered) or 'none'}")
    output.text(f"  bindings, of this link: {', '.join(visit.bindings_known) or 'none'}")
    output.text(f"  SASL2: {'yes' if visit.sasl2 else 'no'}")


def _login(login: Login, output: Output) -> None:
    output.text()
    if login.error is not None:
        output.text(f"login: {login.error}", "bad")
        return
    output.text(f"login: {login.jid}, in {login.seconds:.2f} s", "good")
    kept = "" if login.max_resumption is None else f", for {login.max_resumption} s"
    resumption = f"resumable{kept}" if login.resumable else "not resumable"
    output.text(f"  stream management: {resumption if login.sm else 'no'}")


def _tone(error: str | None) -> Tone:
    return "good" if error is None else "bad"
