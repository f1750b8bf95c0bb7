"""What a session can begin with, asked for along with the login (XEP-0386): on the wire."""

from __future__ import annotations

import pytest

from trioxmpp.protocol import ns, sm
from trioxmpp.stream.sasl2 import Wish

ENABLE = f"<enable xmlns='{ns.SM}' resume='true'/>"
CARBONS = f"<enable xmlns='{ns.CARBONS}'/>"
INACTIVE = f"<inactive xmlns='{ns.CSI}'/>"
RESUME = f"<resume xmlns='{ns.SM}' h='3' previd='sm-1'/>"
FULL = "<authorization-identifier>romeo@example.test/trioxmpp.1</authorization-identifier>"
ALL = Wish(bind=True, enable=sm.Enable(resume=True), carbons=True, inactive=True)


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
    logins.wish = ALL
    enabled = f"<enabled xmlns='{ns.SM}' id='sm-2' resume='1'/>"
    await logins.logs_in(bind_offer(ns.CARBONS, ns.CSI, ns.SM), bind(ENABLE + CARBONS + INACTIVE), bound(enabled))
    settled = logins.features.settled
    assert settled.managed == sm.Enabled("sm-2", True)
    assert settled.carbons
    assert settled.inactive
    assert logins.features.csi


async def test_some_servers_say_that_carbons_are_on(logins, autojump_clock):
    """Prosody does; others say nothing, and they are on all the same."""
    logins.wish = Wish(bind=True, carbons=True)
    await logins.logs_in(bind_offer(ns.CARBONS), bind(CARBONS), bound(f"<enabled xmlns='{ns.CARBONS}'/>"))
    assert logins.features.settled.carbons
    assert logins.features.settled.managed is None


@pytest.mark.parametrize(
    ("offered", "asked"), [((), ""), ((ns.CARBONS,), CARBONS), ((ns.CSI,), INACTIVE), ((ns.SM,), ENABLE)]
)
async def test_nothing_is_asked_for_that_is_not_offered(logins, autojump_clock, offered, asked):
    logins.wish = ALL
    await logins.logs_in(bind_offer(*offered), bind(asked), bound())
    settled = logins.features.settled
    assert settled.carbons == (ns.CARBONS in offered)
    assert settled.inactive == (ns.CSI in offered)


async def test_nothing_is_asked_for_that_nobody_wants(logins, autojump_clock):
    logins.wish = Wish(bind=True)
    await logins.logs_in(bind_offer(ns.CARBONS, ns.CSI, ns.SM), bind(""), bound())
    assert not logins.features.settled.carbons
    assert not logins.features.settled.inactive


async def test_a_session_that_is_resumed_has_begun_with_nothing(logins, autojump_clock):
    """What was asked for it, in case it had to be bound, does not count."""
    logins.wish = Wish(resume=sm.Resume(h=3, previd="sm-1"), bind=True, carbons=True, inactive=True)
    offer = bind_offer(ns.CARBONS, ns.CSI) + f"<sm xmlns='{ns.SM}'/>"
    answer = success(f"<resumed xmlns='{ns.SM}' h='7' previd='sm-1'/>")
    await logins.logs_in(offer, RESUME + bind(CARBONS + INACTIVE), answer, "")
    assert logins.features.settled.resumed
    assert not logins.features.settled.carbons
    assert not logins.features.settled.inactive
    assert logins.features.csi  # it is known, though no features follow
