"""Inline requests, with which a session begins along with the login (XEP-0386): on the wire."""

from __future__ import annotations

import base64
import hmac

import pytest

from trioxmpp import AuthenticationFailure
from trioxmpp.protocol import ns, sm

ENABLE = f"<enable xmlns='{ns.SM}' resume='true'/>"
CARBONS = f"<enable xmlns='{ns.CARBONS}'/>"
INACTIVE = f"<inactive xmlns='{ns.CSI}'/>"
RESUME = f"<resume xmlns='{ns.SM}' h='3' previd='sm-1'/>"
FULL = "<authorization-identifier>romeo@example.test/trioxmpp.1</authorization-identifier>"
FAST = f"<fast xmlns='{ns.FAST}'><mechanism>HT-SHA-256-NONE</mechanism></fast>"
PROOF = f"<additional-data>{base64.b64encode(hmac.digest(b'one', b'Responder', 'sha256')).decode()}</additional-data>"
ALL = {"bind": True, "enable": sm.Enable(resume=True), "carbons": True, "inactive": True}


def bind_offer(*namespaces: str) -> str:
    inline = "".join(f"<feature var='{namespace}'/>" for namespace in namespaces)
    return f"<bind xmlns='{ns.BIND2}'><inline>{inline}</inline></bind>"


def bind(inner: str) -> str:
    return f"<bind xmlns='{ns.BIND2}'><tag>trioxmpp</tag>{inner}</bind>"


def success(inner: str) -> str:
    return f"<success xmlns='{ns.SASL2}'>{inner}{FULL}</success>"


def bound(inner: str = "") -> str:
    return success(f"<bound xmlns='{ns.BIND2}'>{inner}</bound>")


async def test_all_at_once(logins, autojump_clock):
    logins.asks(**ALL)
    enabled = f"<enabled xmlns='{ns.SM}' id='sm-2' resume='1'/>"
    await logins.logs_in(bind_offer(ns.CARBONS, ns.CSI, ns.SM), bind(ENABLE + CARBONS + INACTIVE), bound(enabled))
    settled = logins.results
    assert settled.managed == sm.Enabled("sm-2", True)
    assert ns.CARBONS in settled.begun
    assert ns.CSI in settled.begun
    assert logins.features.csi


async def test_some_servers_say_that_carbons_are_on(logins, autojump_clock):
    """Prosody does; others say nothing, and they are on all the same."""
    logins.asks(bind=True, carbons=True)
    await logins.logs_in(bind_offer(ns.CARBONS), bind(CARBONS), bound(f"<enabled xmlns='{ns.CARBONS}'/>"))
    assert ns.CARBONS in logins.results.begun
    assert logins.results.managed is None


@pytest.mark.parametrize(
    ("offered", "asked"), [((), ""), ((ns.CARBONS,), CARBONS), ((ns.CSI,), INACTIVE), ((ns.SM,), ENABLE)]
)
async def test_nothing_is_asked_for_that_is_not_offered(logins, autojump_clock, offered, asked):
    logins.asks(**ALL)
    await logins.logs_in(bind_offer(*offered), bind(asked), bound())
    settled = logins.results
    assert (ns.CARBONS in settled.begun) == (ns.CARBONS in offered)
    assert (ns.CSI in settled.begun) == (ns.CSI in offered)


async def test_nothing_unwanted_is_asked_for(logins, autojump_clock):
    logins.asks(bind=True)
    await logins.logs_in(bind_offer(ns.CARBONS, ns.CSI, ns.SM), bind(""), bound())
    assert ns.CARBONS not in logins.results.begun
    assert ns.CSI not in logins.results.begun


async def test_a_session_that_is_resumed_has_begun_with_nothing(logins, autojump_clock):
    """Inline requests for the case that it had to be bound do not count."""
    logins.asks(resume=sm.Resume(h=3, previd="sm-1"), bind=True, carbons=True, inactive=True)
    offer = bind_offer(ns.CARBONS, ns.CSI) + f"<sm xmlns='{ns.SM}'/>"
    answer = success(f"<resumed xmlns='{ns.SM}' h='7' previd='sm-1'/>")
    await logins.logs_in(offer, RESUME + bind(CARBONS + INACTIVE), answer, "")
    assert logins.results.resumed
    assert ns.CARBONS not in logins.results.begun
    assert ns.CSI not in logins.results.begun
    assert logins.features.csi  # it is known, though no features follow


# --- the last login by a token


async def test_a_token_is_invalidated_by_using_it(logins, autojump_clock):
    logins.has_token()
    logins.asks(invalidate=True)
    async with logins.link() as peer:
        await peer.expects_header()
        await peer.says_header(logins.offer(bind_offer(ns.SM) + FAST))
        said = logins.by_token("one").replace("<fast ", "<fast invalidate='true' ")
        await peer.expects(said)
        await peer.says(success(PROOF) + logins.INSIDE)
    assert logins.error is None
    assert logins.asked == 0


@pytest.mark.parametrize("condition", ["not-authorized", "credentials-expired", "temporary-auth-failure"])
async def test_if_that_is_refused_nothing_else_is_tried(logins, autojump_clock, condition):
    logins.has_token()
    logins.asks(invalidate=True)
    async with logins.link() as peer:
        await peer.expects_header()
        await peer.says_header(logins.offer(FAST))
        await peer.hears()
        await peer.says(f"<failure xmlns='{ns.SASL2}'><{condition} xmlns='{ns.SASL}'/></failure>")
        await peer.expects_end()
    assert isinstance(logins.error, AuthenticationFailure)
    assert logins.error.condition == condition
    assert logins.asked == 0


async def test_a_client_that_wants_no_tokens_asks_for_none_and_keeps_none(logins, autojump_clock):
    logins.memory.wants_tokens = False
    await logins.logs_in(FAST, "", success(f"<token xmlns='{ns.FAST}' token='t' expiry='2999-01-01T00:00:00Z'/>"))
    assert logins.memory.fast_token is None
    logins.has_token()
    async with logins.link() as peer:
        await peer.expects_header()
        await peer.hears()  # in one flight
        await peer.says_header(logins.offer(FAST))
        await peer.says(success(f"{PROOF}<token xmlns='{ns.FAST}' token='two' expiry='2999-01-01T00:00:00Z'/>"))
        await peer.says(logins.INSIDE)
    assert logins.memory.fast_token.token == "one"
