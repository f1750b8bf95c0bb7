"""The offers of servers, hostile ones included, as the doctor reads and tells them."""

from __future__ import annotations

import pytest

from tests.cli.doctor_helpers import DOMAIN, SCRAM, Town, codes, lines, mechanisms, words
from trioxmpp import xml
from trioxmpp.cli.doctor.findings import Caps, Limits
from trioxmpp.cli.doctor.offer import plan, read_offer
from trioxmpp.protocol import ns

LIMITS = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes>{}</limits>"
CAPS = "<c xmlns='http://jabber.org/protocol/caps' node='https://a.test/' ver='0123=' hash='sha-1'/>"
BOTH = ("tls-exporter", "tls-server-end-point")


def bindings(*types: str) -> str:
    inner = "".join(f"<channel-binding type='{each}'/>" for each in types)
    return f"<sasl-channel-binding xmlns='{ns.SASL_BINDINGS}'>{inner}</sasl-channel-binding>"


def sasl2(*names: str, inline: str = "", more: str = "") -> str:
    each = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<authentication xmlns='{ns.SASL2}'>{each}<inline>{inline}</inline>{more}</authentication>"


INLINE = (
    f"<bind xmlns='{ns.BIND2}'><inline><feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>"
    f"<feature var='{ns.SM}'/></inline></bind><sm xmlns='{ns.SM}'/>"
    f"<fast xmlns='{ns.FAST}' tls-0rtt='true'><mechanism>HT-SHA-256-ENDP</mechanism></fast>"
)
UPGRADE = f"<upgrade xmlns='{ns.SASL_UPGRADE}'>UPGR-SCRAM-SHA-512</upgrade>"
EVERYTHING = sasl2("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", inline=INLINE, more=UPGRADE)


def features(*each: str) -> xml.Element:
    return xml.fromstring(f"<features xmlns='{ns.STREAM}'>{''.join(each)}</features>")


async def test_everything_a_modern_server_has_is_told(autojump_clock, town, capsys):
    town.offers(SCRAM, EVERYTHING, bindings(*BOTH), LIMITS.format("<idle-seconds>300</idle-seconds>"), CAPS)
    diagnosis = await town.diagnose()
    (visit,) = diagnosis.visits
    offered = visit.offer.sasl2
    assert offered.mechanisms == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    assert offered.inline == ("urn:xmpp:carbons:2", "urn:xmpp:csi:0", ns.SM)
    assert offered.bind2
    assert offered.resumes
    assert offered.fast == ("HT-SHA-256-ENDP",)
    assert offered.tls_0rtt
    assert offered.upgrades == ("UPGR-SCRAM-SHA-512",)
    assert visit.offer.bindings == BOTH
    assert visit.offer.limits == Limits(262144, 300)
    assert visit.offer.caps == Caps("https://a.test/", "0123=", "sha-1")
    assert codes(diagnosis)["exporter"].whose == "user"
    told = words(diagnosis, capsys)
    for line in (
        "SASL2: SCRAM-SHA-256-PLUS, SCRAM-SHA-256",
        "Bind 2 (with carbons, client state, stream management), resumption",
        "tokens (FAST): HT-SHA-256-ENDP; in early data (0-RTT), too",
        "upgrades: UPGR-SCRAM-SHA-512",
        "channel bindings: announced tls-exporter, tls-server-end-point; this link has tls-server-end-point",
        "limits: stanzas of 262144 bytes, 300 s of silence",
        "server: https://a.test/, capabilities 0123= (sha-1)",
        "we would log in by SASL2 and SCRAM-SHA-256-PLUS, bound by tls-server-end-point, then by HT-SHA-256-ENDP",
    ):
        assert line in told


async def test_one_that_wants_the_password_itself(autojump_clock, town, capsys):
    town.offers(mechanisms("PLAIN"))
    diagnosis = await town.diagnose()
    assert not diagnosis.ok
    assert codes(diagnosis)["only-plain"].level == "fault"
    assert "we would not log in: no acceptable way to log in" in words(diagnosis, capsys)


@pytest.mark.parametrize("names", [(), ("EXTERNAL",), ("DIGEST-MD5",)])
async def test_one_without_any_way_to_log_in(autojump_clock, town, names):
    town.offers(mechanisms(*names) if names else "")
    assert "no-mechanism" in codes(await town.diagnose())


async def test_a_server_that_binds_but_announces_no_type_is_a_hint(autojump_clock, town):
    town.offers(mechanisms("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"))
    diagnosis = await town.diagnose()
    assert diagnosis.ok
    assert codes(diagnosis)["bindings-not-told"].level == "hint"


@pytest.mark.parametrize(
    ("offered", "profile", "mechanism"),
    [
        ((SCRAM,), "SASL", "SCRAM-SHA-256"),
        ((SCRAM, sasl2("SCRAM-SHA-1")), "SASL2", "SCRAM-SHA-1"),
        ((SCRAM, sasl2("PLAIN")), "SASL", "SCRAM-SHA-256"),
        ((sasl2("PLAIN"),), "SASL2", None),
        ((SCRAM, sasl2("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1")), "SASL", "SCRAM-SHA-256"),
    ],
)
def test_the_way_in_is_the_one_that_connect_would_take(offered, profile, mechanism):
    intended = plan(read_offer(features(*offered)), {"tls-server-end-point": b"x"}, "TLSv1.3")
    assert (intended.profile, intended.mechanism) == (profile, mechanism)


@pytest.mark.parametrize("limit", ["", "<idle-seconds>soon</idle-seconds>", f"<idle-seconds>{9**99}</idle-seconds>"])
def test_a_limit_that_cannot_be_read_is_not_a_limit(limit):
    assert read_offer(features(LIMITS.format(limit))).limits == Limits(262144, None)


def test_malformed_features_are_not_offered():
    assert read_offer(features("<c xmlns='http://jabber.org/protocol/caps'/>", SCRAM)).mechanisms == ("SCRAM-SHA-256",)


ESCAPE = "\x9b31m\u202e\u200b\x7f"


def hostile(town: Town) -> None:
    evil = f"EVIL{ESCAPE}"
    town.offers(
        mechanisms("SCRAM-SHA-256", evil, "A" * 5000),
        sasl2(
            "SCRAM-SHA-256", evil, inline=f"<bind xmlns='{ns.BIND2}'><inline><feature var='{evil}'/></inline></bind>"
        ),
        bindings(evil),
        f"<c xmlns='http://jabber.org/protocol/caps' node='{evil}' ver='{evil}' hash='{evil}'/>",
        context=town.authority.server(DOMAIN, common_name="\x1b[2J"),
    )


async def test_the_text_of_a_server_is_escaped(autojump_clock, town, capsys):
    hostile(town)
    diagnosis = await town.diagnose()
    assert any(ESCAPE in name for name in diagnosis.visits[0].offer.mechanisms)
    told = lines(diagnosis, capsys)
    assert r"EVIL\x9b31m\u202e\u200b\x7f" in " ".join(told)
    assert all(line.isprintable() for line in told)
    assert len(told) < 60


@pytest.mark.parametrize("options", [{}, {"by_itself": True}])
async def test_the_text_of_a_certificate_is_escaped(autojump_clock, town, capsys, options):
    context = town.authority.server(common_name="\x1b]0;owned\x07\r\n" + DOMAIN, **options)
    town.offers(SCRAM, context=context)
    diagnosis = await town.diagnose()
    assert diagnosis.visits[0].certificate.common_name.startswith("\x1b")
    told = words(diagnosis, capsys)
    assert r"\x1b]0;owned\x07\r\n" in told
    assert all(char.isprintable() for line in told.split("\n") for char in line)


async def test_the_text_of_a_stream_error_is_escaped(autojump_clock, town, capsys):
    error = f"<undefined-condition xmlns='{ns.STREAM_ERRORS}'/><text xmlns='{ns.STREAM_ERRORS}'>go{ESCAPE}</text>"
    begin = f"<stream:stream xmlns='jabber:client' xmlns:stream='{ns.STREAM}' version='1.0' id='1'>"
    town.says(f"{begin}<stream:error>{error}</stream:error>".encode())
    diagnosis = await town.diagnose()
    assert "go\ufffd31m" in diagnosis.visits[0].error
    assert all(char.isprintable() for line in words(diagnosis, capsys).split("\n") for char in line)
