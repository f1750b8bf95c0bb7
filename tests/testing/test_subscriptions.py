"""Subscriptions on the embedded server, in all their states (RFC 6121 §3, appendix A)."""

from __future__ import annotations

import pytest

from tests.testing.dialogs import heard
from tests.testing.raw import RawClient, log_in
from trioxmpp.testing import Dialect, open_server

ROSTER = "jabber:iq:roster"
ROMEO, JULIET = "romeo@example.test", "juliet@example.test"


async def available(server, name: str, resource: str) -> RawClient:
    """A client that wants roster pushes and is available."""
    client = await log_in(server, name, resource)
    await client.says(f"<iq type='get' id='r'><query xmlns='{ROSTER}'/></iq><presence/>")
    await heard(client)
    return client


def summary(elements) -> list[str]:
    """The stanzas that came, in words: presence types and roster pushes."""
    found = []
    for element in elements:
        item = element.find(f"{{{ROSTER}}}query/{{{ROSTER}}}item")
        if item is not None:
            state = item.get("subscription") + (" ask" if item.get("ask") else "")
            found.append(f"push {state}")
        elif element.tag.endswith("}presence"):
            found.append(element.get("type", "available"))
    return found


def states(server) -> tuple[str, str]:
    found = []
    for name, contact in (("romeo", JULIET), ("juliet", ROMEO)):
        item = server.accounts[name].roster.get(contact)
        found.append("none" if item is None else str(item.subscription))
    return found[0], found[1]


async def says(client: RawClient, kind: str, to: str) -> None:
    await client.says(f"<presence type='{kind}' to='{to}'/>")


@pytest.fixture
async def server(autojump_clock):
    async with open_server(dialect=Dialect.EJABBERD_26) as server:
        yield server


async def test_a_request_is_approved_and_cancelled_again(autojump_clock, server):
    romeo, juliet = await available(server, "romeo", "orchard"), await available(server, "juliet", "balcony")
    await says(romeo, "subscribe", JULIET)
    assert summary(await heard(romeo)) == ["push none ask"]
    assert summary(await heard(juliet)) == ["subscribe"]
    await says(juliet, "subscribed", ROMEO)
    assert summary(await heard(romeo)) == ["push to", "subscribed", "available"]
    assert summary(await heard(juliet)) == ["push from"]
    assert states(server) == ("to", "from")
    await says(juliet, "subscribe", ROMEO)
    await heard(romeo)
    await says(romeo, "subscribed", JULIET)
    await heard(romeo)
    await heard(juliet)
    assert states(server) == ("both", "both")
    await says(juliet, "unsubscribed", ROMEO)
    assert summary(await heard(romeo)) == ["push from", "unsubscribed", "unavailable"]
    assert states(server) == ("from", "to")
    await says(juliet, "unsubscribe", ROMEO)
    await heard(juliet)
    assert states(server) == ("none", "none")


async def test_a_request_is_denied(autojump_clock, server):
    romeo, juliet = await available(server, "romeo", "orchard"), await available(server, "juliet", "balcony")
    await says(romeo, "subscribe", JULIET)
    await heard(romeo)
    await says(juliet, "unsubscribed", ROMEO)
    assert summary(await heard(romeo)) == ["push none", "unsubscribed"]
    assert states(server) == ("none", "none")


async def test_a_request_waits_for_a_contact_that_is_offline(autojump_clock, server):
    romeo = await available(server, "romeo", "orchard")
    await says(romeo, "subscribe", JULIET)
    await heard(romeo)
    juliet = await log_in(server, "juliet", "balcony")
    await juliet.says("<presence/>")
    assert summary(await heard(juliet)) == ["available", "subscribe"]


async def test_a_request_that_was_approved_beforehand_is_answered_at_once(autojump_clock, server):
    juliet = await available(server, "juliet", "balcony")
    await says(juliet, "subscribed", ROMEO)
    romeo = await available(server, "romeo", "orchard")
    await says(romeo, "subscribe", JULIET)
    assert summary(await heard(romeo)) == ["push none ask", "push to", "subscribed", "available"]
    assert "subscribe" not in summary(await heard(juliet))
    assert states(server) == ("to", "from")


async def test_removing_a_contact_ends_both_directions(autojump_clock, server):
    server.add_contacts("romeo", "juliet")
    romeo, juliet = await available(server, "romeo", "orchard"), await available(server, "juliet", "balcony")
    await heard(romeo)
    remove = f"<item jid='{JULIET}' subscription='remove'/>"
    await romeo.says(f"<iq type='set' id='1'><query xmlns='{ROSTER}'>{remove}</query></iq>")
    assert "push remove" in summary(await heard(romeo))
    assert set(summary(await heard(juliet))) >= {"unsubscribed", "unavailable"}
    assert states(server) == ("none", "none")


async def test_an_approval_without_a_request_changes_nothing(autojump_clock, server):
    romeo, juliet = await available(server, "romeo", "orchard"), await available(server, "juliet", "balcony")
    await says(juliet, "subscribed", ROMEO)
    assert summary(await heard(romeo)) == []
    assert states(server) == ("none", "none")


async def test_a_probe_is_answered_for_contacts_only(autojump_clock, server):
    romeo, _ = await available(server, "romeo", "orchard"), await available(server, "juliet", "balcony")
    await says(romeo, "probe", JULIET)
    assert await heard(romeo) == []
    server.add_contacts("romeo", "juliet")
    await says(romeo, "probe", JULIET)
    assert summary(await heard(romeo)) == ["available"]


async def test_a_roster_version_that_the_client_has_is_answered_by_nothing(autojump_clock):
    for dialect in (Dialect.PROSODY_13, Dialect.EJABBERD_26):
        async with open_server(contacts=[("romeo", "juliet")], dialect=dialect) as server:
            romeo = await log_in(server)
            await romeo.says(f"<iq type='get' id='1'><query xmlns='{ROSTER}' ver=''/></iq>")
            (answer,) = await heard(romeo)
            await romeo.says(f"<iq type='get' id='2'><query xmlns='{ROSTER}' ver='{answer[0].get('ver')}'/></iq>")
            (answer,) = await heard(romeo)
            assert answer.get("type") == "result"
            assert len(answer) == 0
