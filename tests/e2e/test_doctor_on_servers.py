"""The doctor looks at servers that are well, by every way in, and at what it makes of them if they are not."""

from __future__ import annotations

import json
import ssl

import pytest
import trio
import trustme

from trioxmpp import JID
from trioxmpp.cli import main
from trioxmpp.cli.doctor.advice import advice
from trioxmpp.cli.doctor.diagnose import diagnose
from trioxmpp.cli.doctor.target import Target
from trioxmpp.transport.endpoint import Endpoint


def target(venue, *urls: str, **options) -> Target:
    return Target(venue.domain, endpoints=tuple(map(Endpoint.parse, urls)), **{"tls": venue.tls, **options})


async def test_it_finds_nothing_wrong(venue):
    user = venue.guest()
    jid = JID.parse(f"{user}@{venue.domain}")
    who = {"jid": jid, "password": venue.password(user)}
    diagnosis = await diagnose(target(venue, venue.endpoint, venue.tls_endpoint, **who))
    assert diagnosis.ok
    # ejabberd 23.01 offers to bind, and does not say to what; newer servers know tls-exporter.
    assert {each.code for each in advice(diagnosis)} <= {"bindings-not-told", "exporter"}
    for visit in diagnosis.visits:
        assert visit.tls.version == "TLSv1.3"
        assert visit.certificate.trusted
        assert venue.domain in visit.certificate.dns
        assert "SCRAM-SHA-1" in visit.offer.mechanisms
        assert visit.plan.mechanism.startswith("SCRAM-")
    login = diagnosis.login
    assert login.jid.startswith(f"{jid}/")
    assert login.mechanism == diagnosis.visits[0].plan.mechanism
    assert login.sm.resumable
    assert login.sm.id
    assert login.sm.max == 300
    assert 0 < login.ping < 10


async def test_a_wrong_password_is_what_is_wrong(venue):
    jid = JID.parse(f"{venue.guest()}@{venue.domain}")
    diagnosis = await diagnose(target(venue, venue.endpoint, jid=jid, password="guess"))
    assert not diagnosis.ok
    assert diagnosis.login.condition == "not-authorized"
    assert [visit.error for visit in diagnosis.visits] == [None]


@pytest.mark.parametrize("way", ["endpoint", "tls_endpoint"])
async def test_an_untrusted_certificate_is_shown(venue, way):
    stranger = trustme.CA()
    trusts_another = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.configure_trust(trusts_another)
    diagnosis = await diagnose(target(venue, getattr(venue, way), tls=trusts_another))
    (visit,) = diagnosis.visits
    assert visit.fault == "certificate-untrusted"
    assert not visit.certificate.trusted
    assert venue.domain in visit.certificate.dns
    assert visit.certificate.covers


async def test_a_port_of_one_kind_that_is_taken_for_the_other(venue):
    swapped = (venue.tls_endpoint.replace("xmpps", "xmpp"), venue.endpoint.replace("xmpp", "xmpps"))
    diagnosis = await diagnose(target(venue, *swapped, timeout=20.0))
    assert not diagnosis.ok
    assert diagnosis.visits[1].fault == "not-tls"
    assert diagnosis.visits[0].fault in {"closed", "not-xmpp", "hangs"}


@pytest.mark.parametrize("way", ["endpoint", "tls_endpoint"])
async def test_a_domain_that_is_not_served(real_server, way):
    endpoint = Endpoint.parse(getattr(real_server, way))
    diagnosis = await diagnose(Target("another.test", endpoints=(endpoint,), tls=real_server.ssl_context()))
    assert not diagnosis.ok
    assert diagnosis.visits[0].fault in {"host-unknown", "certificate-name"}


async def test_each_websocket_is_a_way_in(real_server):
    endpoint = Endpoint.parse(real_server.wss_endpoint)
    who = {"jid": JID.parse(f"romeo@{real_server.domain}"), "password": real_server.accounts["romeo"]}
    diagnosis = await diagnose(Target(real_server.domain, endpoints=(endpoint,), tls=real_server.ssl_context(), **who))
    assert diagnosis.ok
    (visit,) = diagnosis.visits
    assert visit.certificate.ip == ("127.0.0.1", "::1")
    assert visit.tls.bindings == ()
    assert diagnosis.login.sm.resumable
    nowhere = Endpoint.parse(real_server.wss_endpoint.removesuffix("xmpp-websocket") + "nothing")
    diagnosis = await diagnose(Target(real_server.domain, endpoints=(nowhere,), tls=real_server.ssl_context()))
    assert diagnosis.visits[0].fault == "no-websocket"


async def test_a_server_that_hangs_keeps_it_no_longer_than_it_may(venue):
    venue.server.pause()
    began = trio.current_time()
    diagnosis = await diagnose(target(venue, venue.endpoint, venue.tls_endpoint, timeout=2.0))
    venue.server.resume_process()
    assert {visit.fault for visit in diagnosis.visits} == {"hangs"}
    assert trio.current_time() - began < 6


def test_the_command_by_itself(real_server, capsys, monkeypatch):
    monkeypatch.setenv("TRIOXMPP_PASSWORD", real_server.accounts["romeo"])
    where = ["--ca-file", str(real_server.directory / "ca.pem"), "--endpoint", real_server.endpoint]
    argv = ["doctor", real_server.domain, "--jid", f"romeo@{real_server.domain}", *where]
    assert main(argv) == 0
    assert f"{real_server.domain}: logged in" in capsys.readouterr().out
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["login"]["sm"]["resumable"]
