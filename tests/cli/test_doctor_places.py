"""Where the doctor looks, what it meets there, and whose it is to mend that."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import dns.resolver
import pytest
import trio

from tests.cli.doctor_helpers import DOMAIN, SCRAM, codes, words
from tests.records import Records
from trioxmpp.cli.doctor.diagnose import diagnose
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedPeer
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.proxy import Proxy

XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
WEBSOCKET = "urn:xmpp:alt-connections:websocket"


async def test_records_are_told_and_each_leads_to_a_visit(autojump_clock, town, capsys):
    town.network.names |= {"a.test": ["192.0.2.1", "192.0.2.2"], "b.test": ["192.0.2.1"]}
    town.offers(SCRAM)
    town.offers(SCRAM, address="192.0.2.2")
    diagnosis = await town.diagnose(Records([(1, "a.test.", 5222)], [(2, "b.test.", 5223)]))
    assert [(record.scheme, record.target, record.port) for record in diagnosis.dns.records] == [
        ("xmpp", "a.test", 5222),
        ("xmpps", "b.test", 5223),
    ]
    assert [(visit.endpoint, visit.address) for visit in diagnosis.visits] == [
        ("xmpp://a.test:5222", "192.0.2.1"),
        ("xmpp://a.test:5222", "192.0.2.2"),
        ("xmpps://b.test:5223", "192.0.2.1"),
    ]
    assert [visit.error is None for visit in diagnosis.visits] == [True, True, False]
    assert codes(diagnosis)["refused"].places == ["xmpps://b.test:5223 at 192.0.2.1"]
    told = words(diagnosis, capsys)
    assert "DNS: 2 SRV records" in told
    assert "_xmpps-client: b.test:5223, priority 2, weight 0" in told


@pytest.mark.parametrize(
    ("resolver", "code", "whose"),
    [
        (Records([(0, ".", 0)], [(0, ".", 0)]), "srv-denied", "admin"),
        (Records([(0, "a.test.", 0)]), "srv-useless", "admin"),
        (Records(), "srv-missing", "admin"),
        (Records(dns.resolver.LifetimeTimeout(timeout=5, errors=[])), "dns-trouble", "user"),
        (Records([(0, "nowhere.test.", 5222)]), "name-not-found", "admin"),
        (Records([(0, "hole.test.", 5222)]), "dns-silent", "user"),
        (Records([(0, "x.onion.", 5222)]), "onion", "user"),
    ],
)
async def test_faults_of_the_dns_are_told_apart(autojump_clock, town, capsys, resolver, code, whose):
    town.network.names["hole.test"] = None
    diagnosis = await town.diagnose(resolver)
    assert not diagnosis.ok
    assert codes(diagnosis)[code].whose == whose
    assert "one cannot log in here" in words(diagnosis, capsys)


@pytest.mark.parametrize(("domain", "address"), [("192.0.2.1", "192.0.2.1"), ("x.onion", None)])
async def test_an_address_needs_no_records(autojump_clock, town, domain, address):
    diagnosis = await diagnose(replace(town.target(), domain=domain))
    assert diagnosis.dns is None
    assert [visit.address for visit in diagnosis.visits] == [address]
    assert "srv-missing" not in codes(diagnosis)


async def test_a_domain_that_does_not_exist_may_be_spelt_wrong(autojump_clock, town):
    told = []
    diagnosis = await diagnose(replace(town.target(), domain="exmaple.test"), told.append)
    assert told == ["looking for the server of exmaple.test"], "there is nothing to try"
    assert {code: each.whose for code, each in codes(diagnosis).items()} == {"domain-not-found": "user"}


async def test_nothing_is_said_twice_of_a_domain_without_xmpp(autojump_clock, town):
    assert set(codes(await town.diagnose(Records([(0, ".", 0)])))) == {"srv-denied"}


async def refuse() -> trio.abc.Stream:
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


async def forbid() -> trio.abc.Stream:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize(
    ("answer", "code", "whose"),
    [(refuse, "unreachable", "user"), (forbid, "blocked", "user"), (trio.sleep_forever, "silent", "admin")],
)
async def test_faults_of_the_network_are_told_apart(autojump_clock, town, answer, code, whose):
    town.network.answers["192.0.2.1", 5222] = answer
    diagnosis = await town.diagnose()
    assert diagnosis.visits[0].fault == code
    assert codes(diagnosis)[code].whose == whose


@pytest.mark.parametrize(("answer", "code"), [(refuse, "ipv6-unreachable"), (trio.sleep_forever, "family-dead")])
async def test_dead_ipv6_is_a_hint(autojump_clock, town, answer, code):
    town.network.names[DOMAIN] = ["2001:db8::1", "192.0.2.1"]
    town.network.answers["2001:db8::1", 5222] = answer
    town.offers(SCRAM)
    diagnosis = await town.diagnose()
    assert diagnosis.ok
    advice = codes(diagnosis)[code]
    assert advice.level == "hint"
    assert advice.places == ["xmpp://example.test:5222 at 2001:db8::1"]


async def wait(peer: ScriptedPeer) -> None:
    await trio.sleep_forever()


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (HTTP, "http"),
        (b"220 mail.example.test ESMTP\r\n", "not-xmpp"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not-xmpp"),
        (b"", "closed"),
        (None, "hangs"),
    ],
)
async def test_services_that_are_no_xmpp_server_are_told_apart(autojump_clock, town, said, code):
    if said is None:
        town.plays(wait)
    else:
        town.says(said)
    diagnosis = await town.diagnose()
    assert diagnosis.visits[0].fault == code
    assert codes(diagnosis)[code].whose == "admin"


async def test_where_everything_is_a_web_server_one_has_to_log_in_with_a_browser(autojump_clock, town):
    town.says(HTTP)
    town.says(HTTP, port=5223)
    diagnosis = await town.diagnose(Records([(1, "example.test.", 5222)], [(1, "example.test.", 5223)]))
    assert sorted(visit.fault for visit in diagnosis.visits) == ["http", "not-tls"]
    assert codes(diagnosis)["captive-portal"].whose == "user"


@pytest.mark.parametrize(
    ("condition", "code"), [("host-unknown", "host-unknown"), ("internal-server-error", "stream-error")]
)
async def test_a_server_that_ends_the_stream(autojump_clock, town, condition, code):
    async def play(peer: ScriptedPeer) -> None:
        await peer.expects_header()
        await peer.says_header("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await peer.hears()
        await peer.says_raw(f"<stream:error><{condition} xmlns='{ns.STREAM_ERRORS}'/></stream:error>".encode())

    town.plays(play)
    diagnosis = await town.diagnose()
    assert diagnosis.visits[0].fault == code
    assert code in codes(diagnosis)


async def test_a_server_that_sends_us_elsewhere_is_followed(autojump_clock, town):
    async def play(peer: ScriptedPeer) -> None:
        await peer.expects_header()
        await peer.says_header("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await peer.hears()
        there = f"<see-other-host xmlns='{ns.STREAM_ERRORS}'>b.test:5222</see-other-host>"
        await peer.says_raw(f"<stream:error>{there}</stream:error>".encode())

    town.network.names["b.test"] = ["192.0.2.2"]
    town.plays(play)
    town.offers(SCRAM, address="192.0.2.2")
    diagnosis = await town.diagnose()
    assert [(visit.endpoint, visit.found_in) for visit in diagnosis.visits] == [
        ("xmpp://example.test:5222", "dns"),
        ("xmpp://b.test:5222", "see-other-host"),
    ]
    assert diagnosis.ok
    assert "sends clients to xmpp://b.test:5222" in codes(diagnosis)["see-other-host"].text


async def test_servers_that_send_us_round_and_round_are_left(autojump_clock, town):
    async def play(peer: ScriptedPeer) -> None:
        await peer.expects_header()
        await peer.says_header("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await peer.hears()
        town.network.names[f"{len(town.network.asked)}.test"] = ["192.0.2.1"]
        there = f"<see-other-host xmlns='{ns.STREAM_ERRORS}'>{len(town.network.asked)}.test</see-other-host>"
        await peer.says_raw(f"<stream:error>{there}</stream:error>".encode())

    town.plays(play)
    diagnosis = await town.diagnose()
    assert len(diagnosis.visits) == 4
    assert not diagnosis.ok


async def test_a_domain_with_too_many_records_is_tried_in_part(autojump_clock, town):
    town.network.names["a.test"] = [f"198.51.100.{number}" for number in range(1, 100)]
    diagnosis = await town.diagnose(Records([(0, "a.test.", port) for port in range(1000, 1100)]))
    assert len(diagnosis.visits) == 24
    assert "left-out" in codes(diagnosis)
    assert diagnosis.seconds <= 31


async def test_the_host_meta_is_read_in_both_forms_and_each_websocket_is_tried(autojump_clock, town, capsys):
    context = town.authority.server(DOMAIN)
    xrd = f"<XRD xmlns='{XRD}'><Link rel='{WEBSOCKET}' href='wss://example.test/one'/></XRD>"
    json = f'{{"links": [{{"rel": "{WEBSOCKET}", "href": "wss://example.test/two"}}]}}'
    bodies = {"/.well-known/host-meta": xrd, "/.well-known/host-meta.json": json}

    async def web(peer: ScriptedPeer) -> None:
        await peer.starts_tls(context)
        path = (await peer.wire.receive_some()).decode().split()[1]
        body = bodies.get(path)
        status = "404 Not Found" if body is None else "200 OK"
        await peer.says_raw(f"HTTP/1.1 {status}\r\nContent-Length: {len(body or '')}\r\n\r\n{body or ''}".encode())

    town.plays(web, port=443)
    town.offers(SCRAM)
    diagnosis = await town.diagnose()
    assert [(meta.form, meta.endpoints, meta.error) for meta in diagnosis.host_meta] == [
        ("xrd", ["wss://example.test:443/one"], None),
        ("json", ["wss://example.test:443/two"], None),
    ]
    assert [(visit.endpoint, visit.found_in, visit.fault) for visit in diagnosis.visits] == [
        ("xmpp://example.test:5222", "dns", None),
        ("wss://example.test:443/one", "host-meta", "no-websocket"),
        ("wss://example.test:443/two", "host-meta", "no-websocket"),
    ]
    assert diagnosis.visits[1].certificate.dns == (DOMAIN,)
    told = words(diagnosis, capsys)
    assert "host-meta (XRD)" in told
    assert "HTTP 404" in told


async def test_no_host_meta_is_nothing_to_be_fixed(autojump_clock, town):
    town.offers(SCRAM)
    diagnosis = await town.diagnose()
    assert "Connection refused" in diagnosis.host_meta[0].error
    assert set(codes(diagnosis)) == {"srv-missing"}


async def test_through_a_proxy_it_is_the_proxy_that_looks_up_the_host(autojump_clock, town, capsys):
    context = town.authority.server(DOMAIN)
    asked = []

    async def proxy(peer: ScriptedPeer) -> None:
        asked.append((await peer.raw.receive_some()).decode().split()[1])
        if asked[-1].endswith(":443"):
            await peer.says_raw(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        await peer.says_raw(b"HTTP/1.1 200 OK\r\n\r\n")
        await peer.starts_tls(context)
        await peer.expects_header()
        await peer.says_header(SCRAM)
        await peer.wire.receive_some()

    town.network.names["proxy.test"] = ["192.0.2.3"]
    town.plays(proxy, address="192.0.2.3", port=8080)
    records = Records([], [(0, "xmpp.test.", 5223)])
    diagnosis = await town.diagnose(records, proxy=Proxy.parse("http://me:secret@proxy.test"))
    assert diagnosis.ok
    assert [(visit.endpoint, visit.address) for visit in diagnosis.visits] == [("xmpps://xmpp.test:5223", None)]
    assert set(asked) == {"xmpp.test:5223", "example.test:443"}
    assert set(town.network.asked) == {"proxy.test"}
    told = words(diagnosis, capsys)
    assert "through http://proxy.test:8080" in told
    assert "secret" not in told


async def test_a_proxy_that_does_not_connect_is_ours_to_mend(autojump_clock, town):
    endpoint = Endpoint.parse("xmpp://xmpp.test:5222")
    town.network.names["proxy.test"] = ["192.0.2.1"]
    diagnosis = await town.diagnose(endpoints=(endpoint,), proxy=Proxy.parse("socks5://proxy.test"))
    assert codes(diagnosis)["proxy"].whose == "user"
    assert diagnosis.dns is None


async def test_a_slow_step_is_a_hint_with_its_time(autojump_clock, town):
    async def late() -> trio.abc.Stream:
        await trio.sleep(3)
        return await connect()

    town.offers(SCRAM)
    connect = town.network.answers["192.0.2.1", 5222]
    town.network.answers["192.0.2.1", 5222] = late
    assert "3.0 s" in codes(await town.diagnose())["slow-connecting"].text


async def test_all_of_it_ends_by_the_deadline(autojump_clock, town):
    town.network.names |= {"hole.test": None, "a.test": ["192.0.2.66"]}
    began = trio.current_time()
    diagnosis = await town.diagnose(Records([(0, "hole.test.", 5222), (0, "a.test.", 5222)]), timeout=12)
    assert trio.current_time() - began <= 12.1
    assert {visit.fault for visit in diagnosis.visits} == {"dns-silent", "silent"}
