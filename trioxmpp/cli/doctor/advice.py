"""What to fix, in words."""

from __future__ import annotations

from .examine import Diagnosis, Visit

__all__ = ["advice"]

#: A certificate that expires in less than so many days had better be renewed now.
SOON = 14


def advice(diagnosis: Diagnosis) -> list[str]:
    """What whoever runs the server, or wants to log in, could do; nothing if all is well."""
    told = [f"the DNS: {trouble}" for trouble in diagnosis.troubles]
    if not diagnosis.visits:
        told.append("there is nowhere to go: check the domain, or name a place with --endpoint")
    for visit in diagnosis.visits:
        told += [f"{visit.endpoint}: {each}" for each in _of(visit)]
    if diagnosis.visits and all(visit.error is not None for visit in diagnosis.visits):
        told.append("nobody can be reached: is the server running, and does a firewall let its ports through?")
    if diagnosis.login is not None and diagnosis.login.error is not None:
        told.append(f"logging in: {diagnosis.login.error}")
    elif diagnosis.login is not None and not diagnosis.login.resumable:
        told.append("the server does not let sessions be resumed (XEP-0198): a broken link loses what was on its way")
    return told


def _of(visit: Visit) -> list[str]:
    if visit.error is not None:
        return [visit.error]
    told = []
    if not visit.could_log_in:
        told.append("SCRAM is not offered; other ways to log in give the password away: have the server offer it")
    if visit.days_left is not None and visit.days_left < SOON:
        told.append(f"the certificate expires in {visit.days_left} days: renew it")
    if visit.tls_version == "TLSv1.2":
        told.append("TLS 1.3 is not spoken; an update of the server would bring it")
    return told
