"""Certificates that are no good: what the doctor sees of them, and what it says is to be done."""

from __future__ import annotations

import ssl
import sys
import warnings

import pytest
import trio.testing
from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from tests.cli.doctor_helpers import DOMAIN, SCRAM, Authority, codes, words
from tests.records import Records
from trioxmpp import JID
from trioxmpp.cli.doctor.certificate import read_certificate

SRV = x509.OtherName(ObjectIdentifier("1.3.6.1.5.5.7.8.7"), b"\x16\x19_xmpp-client.example.test")
XMPP = x509.OtherName(ObjectIdentifier("1.3.6.1.5.5.7.8.5"), b"\x0c\x0cexample.test")


async def test_one_that_is_good_is_told_with_all_its_names(autojump_clock, town, capsys):
    town.offers(SCRAM, context=town.authority.server(DOMAIN, "*.example.test", SRV, XMPP))
    diagnosis = await town.diagnose()
    (visit,) = diagnosis.visits
    certificate = visit.certificate
    assert certificate.trusted
    assert certificate.dns == (DOMAIN, "*.example.test")
    assert certificate.srv == ("_xmpp-client.example.test",)
    assert certificate.xmpp == (DOMAIN,)
    assert certificate.issuer == "An Authority"
    assert certificate.covers
    assert not certificate.self_signed
    assert certificate.days_left == 100
    told = words(diagnosis, capsys)
    assert "for example.test, *.example.test, SRV _xmpp-client.example.test, XMPP example.test" in told
    assert "100 days left" in told
    assert "second handshake" not in told


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"names": ["other.test"]}, "certificate-name", "this one is for other.test"),
        ({"names": [], "common_name": DOMAIN}, "certificate-name", f"nothing but a common name ({DOMAIN})"),
        ({"names": [SRV]}, "certificate-name", "this one is for SRV _xmpp-client.example.test"),
        ({"days": (-100, -1)}, "certificate-expired", "renew it"),
        ({"days": (1, 100)}, "certificate-not-yet-valid", "is not valid yet"),
        ({"by_itself": True}, "certificate-self-signed", "signed by itself"),
    ],
)
async def test_a_certificate_that_is_refused_is_read_by_a_second_handshake(
    autojump_clock, town, capsys, options, code, says
):
    context = town.authority.server(*options.pop("names", [DOMAIN]), **options)
    town.offers(SCRAM, context=context)
    diagnosis = await town.diagnose()
    (visit,) = diagnosis.visits
    assert visit.fault == code
    assert visit.certificate.readable
    assert not visit.certificate.trusted
    assert visit.tls.version == "TLSv1.3"
    assert visit.offer is None
    assert codes(diagnosis)[code].whose == "admin"
    told = words(diagnosis, capsys)
    assert "read by a second handshake, which trusts any certificate" in told
    assert says in told
    assert not diagnosis.ok


async def test_an_issuer_without_a_name_is_told(autojump_clock, town):
    town.offers(SCRAM, context=Authority().server(DOMAIN))
    diagnosis = await town.diagnose()
    assert diagnosis.visits[0].fault == "certificate-untrusted"
    assert diagnosis.visits[0].certificate.covers
    assert set(codes(diagnosis)) == {"certificate-untrusted", "srv-missing"}


async def test_everything_that_is_wrong_with_it_is_told_at_once(autojump_clock, town):
    context = town.authority.server("other.test", days=(-100, -1), by_itself=True)
    town.offers(SCRAM, context=context)
    told = codes(await town.diagnose())
    assert {"certificate-name", "certificate-expired", "certificate-self-signed"} <= set(told)


@pytest.mark.parametrize("days", [(-100, -1), (1, 100)])
async def test_when_nothing_is_valid_the_clock_is_asked_about(autojump_clock, town, days):
    town.offers(SCRAM, context=town.authority.server(DOMAIN, days=days))
    diagnosis = await town.diagnose()
    assert diagnosis.tool.clock in codes(diagnosis)["clock"].text


async def test_a_clock_that_others_prove_right_is_not(autojump_clock, town):
    town.network.names["b.test"] = ["192.0.2.2"]
    town.offers(SCRAM, context=town.authority.server(DOMAIN, days=(-100, -1)))
    town.offers(SCRAM, address="192.0.2.2")
    diagnosis = await town.diagnose(Records([(1, "example.test.", 5222), (2, "b.test.", 5222)]))
    assert [visit.error is None for visit in diagnosis.visits] == [False, True]
    assert "clock" not in codes(diagnosis)


async def test_on_the_second_handshake_nothing_is_said(autojump_clock, town):
    town.offers(SCRAM, context=town.authority.server("other.test"))
    diagnosis = await town.diagnose(jid=JID.parse(f"romeo@{DOMAIN}"), password="secret")
    assert diagnosis.visits[0].certificate is not None
    await trio.testing.wait_all_tasks_blocked()
    # One link whose handshake we broke off, and one that was closed after it.
    assert town.heard == [b"", b""]
    assert diagnosis.login.error == "no server was reached, so there is none to log in at"


async def test_a_version_of_tls_that_is_too_old_is_told(autojump_clock, town, capsys):
    context = town.authority.server(DOMAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    town.offers(SCRAM, context=context)
    client = town.authority.client
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    diagnosis = await town.diagnose(tls=client)
    assert diagnosis.visits[0].fault == "tls-too-old"
    assert codes(diagnosis)["tls-too-old"].text.startswith("TLSv1.1 is too old")


def test_a_certificate_that_cannot_be_read_is_told_by_its_hash(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    found = read_certificate(b"0\x03\x02\x01\x00", None, DOMAIN, trusted=False)
    assert not found.readable
    assert len(found.sha256) == 64
    assert found.covers is None


@pytest.mark.parametrize("rubbish", [b"", b"0", b"0\x03\x02\x01\x00", b"\xff" * 400])
def test_rubbish_for_a_certificate_is_no_reason_to_fail(rubbish):
    assert not read_certificate(rubbish, None, DOMAIN, trusted=False).readable


async def test_without_cryptography_a_good_one_is_read_by_the_ssl_module(autojump_clock, town, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    town.offers(SCRAM, context=town.authority.server(DOMAIN))
    certificate = (await town.diagnose()).visits[0].certificate
    assert certificate.dns == (DOMAIN,)
    assert certificate.issuer == "An Authority"
    assert certificate.days_left == 100
    assert certificate.not_after.endswith("Z")


@pytest.mark.parametrize(("days", "left"), [(0, "0 days"), (1, "1 day"), (13, "13 days"), (14, None)])
async def test_renewing_is_advised_shortly_before_the_expiry(autojump_clock, town, days, left):
    town.offers(SCRAM, context=town.authority.server(DOMAIN, days=(-10, days)))
    diagnosis = await town.diagnose()
    assert diagnosis.ok
    told = codes(diagnosis).get("expires-soon")
    assert (told and told.text) == (left and f"the certificate expires in {left}: renew it")


async def test_a_common_name_alone_is_refused_also_with_a_context_that_would_accept_it(autojump_clock, town):
    town.offers(SCRAM, context=town.authority.server(common_name=DOMAIN))
    client = town.authority.client
    client.hostname_checks_common_name = True
    diagnosis = await town.diagnose(tls=client)
    assert not diagnosis.ok
    assert codes(diagnosis)["certificate-name"].level == "fault"


async def test_tls_of_the_last_generation_is_a_hint(autojump_clock, town):
    context = town.authority.server(DOMAIN)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    town.offers(SCRAM, context=context)
    diagnosis = await town.diagnose()
    assert diagnosis.ok
    assert diagnosis.visits[0].tls.bindings == ("tls-unique", "tls-server-end-point")
    assert codes(diagnosis)["no-tls13"].level == "hint"
