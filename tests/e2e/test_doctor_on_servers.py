"""The doctor looks at servers that are well, by every way in."""

from __future__ import annotations

from trioxmpp import JID
from trioxmpp.cli.doctor.advice import advice
from trioxmpp.cli.doctor.examine import Patient, examine
from trioxmpp.transport.endpoint import Endpoint


async def test_it_finds_nothing_wrong(venue):
    user = venue.guest()
    endpoints = tuple(map(Endpoint.parse, (venue.endpoint, venue.tls_endpoint)))
    jid = JID.parse(f"{user}@{venue.domain}")
    diagnosis = await examine(Patient(venue.domain, jid, venue.password(user), endpoints, venue.tls))
    assert diagnosis.ok
    assert advice(diagnosis) == []
    for visit in diagnosis.visits:
        assert visit.tls_version == "TLSv1.3"
        assert venue.domain in visit.names
        assert "SCRAM-SHA-1" in visit.mechanisms
    assert diagnosis.login.jid.startswith(f"{jid}/")
    assert diagnosis.login.resumable


async def test_a_wrong_password_is_what_is_wrong(venue):
    jid = JID.parse(f"{venue.guest()}@{venue.domain}")
    diagnosis = await examine(Patient(venue.domain, jid, "guess", (Endpoint.parse(venue.endpoint),), venue.tls))
    assert not diagnosis.ok
    assert "not-authorized" in diagnosis.login.error
    assert [visit.error for visit in diagnosis.visits] == [None]
