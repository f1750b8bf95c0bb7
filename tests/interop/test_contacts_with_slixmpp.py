"""One roster: a client of ours and one of slixmpp ask each other, see each other, and part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.interop.conftest import Stage
from tests.interop.driver import SlixmppClient, becomes, eventually
from trioxmpp import Client, PresenceShow
from trioxmpp.im.presence import Appearance, Presences, appear, open_presence
from trioxmpp.im.roster import Roster, SubscriptionRequested, open_roster
from trioxmpp.xep.caps import VerifiedInfos, hash_115, open_caps


@dataclass
class Ours:
    client: Client
    roster: Roster
    presences: Presences
    appearance: Appearance
    jid: str


@asynccontextmanager
async def two_people(stage: Stage) -> AsyncIterator[tuple[Ours, SlixmppClient]]:
    """Our client and slixmpp's, of two accounts that do not know each other; both are available."""
    user = stage.user()
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(user) as client,
        open_roster(client) as roster,
        open_presence(client, roster) as presences,
        appear(client) as appearance,
    ):
        await slixmpp.call("get_roster")
        await slixmpp.appear()
        yield Ours(client, roster, presences, appearance, stage.jid(user)), slixmpp


@asynccontextmanager
async def two_friends(stage: Stage) -> AsyncIterator[tuple[Ours, SlixmppClient]]:
    """Two that are subscribed to each other."""
    async with two_people(stage) as (ours, slixmpp):
        await ours.roster.subscribe(slixmpp.jid.bare)
        await slixmpp.event("presence_subscribe")
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="subscribed")
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="subscribe")
        await eventually(lambda: slixmpp.jid.bare in ours.roster.requests)
        await ours.roster.approve(slixmpp.jid.bare)
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.subscription == "both")
        yield ours, slixmpp


async def subscription_at(slixmpp: SlixmppClient, jid: str) -> str | None:
    return (await slixmpp.do("roster")).get(jid, {}).get("subscription")


async def test_slixmpp_approves_our_request(stage: Stage) -> None:
    async with two_people(stage) as (ours, slixmpp):
        await ours.roster.subscribe(slixmpp.jid.bare, text="Art thou there?", nick="Romeo")
        asked = await slixmpp.event("presence_subscribe")
        assert (asked["from"], asked["status"], asked["nick"]["nick"]) == (ours.jid, "Art thou there?", "Romeo")
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.asked)
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="subscribed")
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.subscription == "to")
        seen = await ours.presences.wait(slixmpp.jid.bare)
        assert seen.jid == slixmpp.jid
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "from")


async def test_we_approve_a_request_of_slixmpp(stage: Stage) -> None:
    async with two_people(stage) as (ours, slixmpp), ours.roster.changes() as changes:
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="subscribe", pnick="Juliet")
        async for change in changes:
            if isinstance(change, SubscriptionRequested):
                assert (change.jid, change.nick) == (slixmpp.jid.bare, "Juliet")
                break
        await ours.roster.approve(slixmpp.jid.bare)
        await slixmpp.event("presence_subscribed", lambda data: data["from"] == ours.jid)
        here = await slixmpp.event("got_online", lambda data: data["from"] == str(ours.client.jid))
        assert here["type"] == "available"
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "to")
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.subscription == "from")


async def test_a_request_that_waits_for_slixmpp_keeps_its_text(stage: Stage) -> None:
    user = stage.user()
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(user) as client,
        open_roster(client) as roster,
    ):
        await roster.subscribe(slixmpp.jid.bare, text="Art thou there?", nick="Romeo")
        await roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.asked)
        await slixmpp.call("get_roster")
        await slixmpp.call("send_presence")
        asked = await slixmpp.event("presence_subscribe")
        assert (asked["from"], asked["status"]) == (stage.jid(user), "Art thou there?")
        # ejabberd 23.01 keeps nothing else of it.
        assert asked.get("nick", {}).get("nick") == (None if stage.runs("ejabberd") else "Romeo")


async def test_slixmpp_refuses_our_request(stage: Stage) -> None:
    async with two_people(stage) as (ours, slixmpp):
        await ours.roster.subscribe(slixmpp.jid.bare)
        await slixmpp.event("presence_subscribe")
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="unsubscribed")
        contact = await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and not contact.asked)
        assert contact is not None
        assert contact.subscription == "none"


async def test_we_refuse_a_request_of_slixmpp(stage: Stage) -> None:
    async with two_people(stage) as (ours, slixmpp):
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="subscribe")
        await eventually(lambda: slixmpp.jid.bare in ours.roster.requests)
        await ours.roster.deny(slixmpp.jid.bare)
        await slixmpp.event("presence_unsubscribed", lambda data: data["from"] == ours.jid)
        assert slixmpp.jid.bare not in ours.roster.requests
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "none")


async def test_slixmpp_cancels_its_approval_and_we_cancel_ours(stage: Stage) -> None:
    async with two_friends(stage) as (ours, slixmpp):
        await ours.presences.wait(slixmpp.jid.bare)
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="unsubscribed")
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.subscription == "from")
        await ours.presences.wait(slixmpp.jid.bare, lambda best: best is None)
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "to")
        await ours.roster.cancel(slixmpp.jid.bare)
        await slixmpp.event("presence_unsubscribed", lambda data: data["from"] == ours.jid)
        await slixmpp.event("got_offline", lambda data: data["from"] == str(ours.client.jid))
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "none")
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.subscription == "none")


async def test_each_side_unsubscribes(stage: Stage) -> None:
    async with two_friends(stage) as (ours, slixmpp):
        await ours.roster.unsubscribe(slixmpp.jid.bare)
        await slixmpp.event("presence_unsubscribe", lambda data: data["from"] == ours.jid)
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "to")
        await slixmpp.call("send_presence_subscription", pto=ours.jid, ptype="unsubscribe")
        await ours.roster.wait(slixmpp.jid.bare, lambda contact: contact and contact.subscription == "none")
        await becomes(lambda: subscription_at(slixmpp, ours.jid), "none")


async def test_presence_is_seen_with_show_status_and_priority(stage: Stage) -> None:
    async with two_friends(stage) as (ours, slixmpp):
        await slixmpp.call("send_presence", pshow="dnd", pstatus="at the mass", ppriority=7)
        seen = await ours.presences.wait(slixmpp.jid.bare, lambda best: best and best.status)
        assert (seen.jid, seen.show, seen.status, seen.priority) == (
            slixmpp.jid,
            PresenceShow.DND,
            "at the mass",
            7,
        )
        ours.appearance.set(show=PresenceShow.XA, status="in Mantua", priority=-3)
        there = await slixmpp.event("changed_status", lambda data: data["status"] == "in Mantua")
        assert (there["from"], there["type"], there["priority"]) == (str(ours.client.jid), "xa", -3)
        known = (await slixmpp.do("roster"))[ours.jid]["presence"]["ours"]
        assert known == {"status": "in Mantua", "show": "xa", "priority": -3}


async def test_each_show_means_the_same_on_both_sides(stage: Stage) -> None:
    async with two_friends(stage) as (ours, slixmpp):
        for show in (*PresenceShow, None):
            ours.appearance.set(show=show, status=f"ours {show}")
            there = await slixmpp.event("changed_status", lambda data, show=show: data["status"] == f"ours {show}")
            assert there["type"] == (show.value if show else "available")
            await slixmpp.call("send_presence", pshow=show.value if show else None, pstatus=f"theirs {show}")
            seen = await ours.presences.wait(
                slixmpp.jid.bare, lambda best, show=show: best and best.status == f"theirs {show}"
            )
            assert seen is not None
            assert seen.show == show


async def test_a_contact_that_leaves_is_gone(stage: Stage) -> None:
    async with two_friends(stage) as (ours, slixmpp):
        await ours.presences.wait(slixmpp.jid.bare)
        await slixmpp.call("send_presence", ptype="unavailable", pstatus="good night")
        await ours.presences.wait(slixmpp.jid.bare, lambda best: best is None)
        await slixmpp.call("send_presence")
        await ours.presences.wait(slixmpp.jid.bare)


async def test_two_clients_of_one_account_share_a_roster(stage: Stage) -> None:
    user, friend = stage.user(), stage.jid(stage.user())
    async with stage.slixmpp(user) as slixmpp, stage.ours(user) as client, open_roster(client) as roster:
        await slixmpp.call("get_roster")
        await slixmpp.appear()
        await roster.put(friend, name="Mercutio", groups=["Friends", "Veronesi"])
        expected = {"subscription": "none", "name": "Mercutio", "groups": ["Friends", "Veronesi"]}
        entry = await eventually(lambda: slixmpp.do("roster"), lambda entries: friend in entries)
        assert {name: entry[friend][name] for name in expected} == expected
        await slixmpp.call("update_roster", friend, name="Tybalt", groups=["Enemies"])
        changed = await roster.wait(friend, lambda contact: contact and contact.name == "Tybalt")
        assert changed is not None
        assert changed.groups == {"Enemies"}
        await slixmpp.call("del_roster_item", friend)
        await roster.wait(friend, lambda contact: contact is None)
        await roster.put(friend, name="Paris")
        await eventually(lambda: slixmpp.do("roster"), lambda entries: entries.get(friend, {}).get("name") == "Paris")
        await roster.remove(friend)
        await eventually(
            lambda: slixmpp.do("roster"),
            lambda entries: entries.get(friend, {}).get("subscription") in (None, "remove"),
        )


async def test_each_side_verifies_the_capabilities_of_the_other(stage: Stage) -> None:
    async with (
        stage.ours(stage.user()) as client,
        open_caps(client, node="https://example.org/balcony", verified=VerifiedInfos()) as caps,
        open_presence(client) as presences,
        stage.slixmpp(stage.user()) as slixmpp,
    ):
        await slixmpp.call("xep_0115.update_caps", broadcast=False)
        await slixmpp.appear()
        await slixmpp.call("send_presence", pto=str(client.jid))
        seen = await presences.wait(slixmpp.jid.bare)
        assert seen is not None
        announced = await slixmpp.call("xep_0115.get_verstring", slixmpp.jid)
        info = await caps.info(slixmpp.jid)
        assert hash_115(info) == announced
        asked = await client.disco.info(slixmpp.jid, fresh=True)
        assert (info.identities, info.features) == (asked.identities, asked.features)
        with client.offers("urn:xmpp:balcony"):
            async with appear(client, to=slixmpp.jid):
                theirs = await slixmpp.event("entity_caps", lambda data: data["from"] == str(client.jid))
                assert theirs["caps"]["node"] == "https://example.org/balcony"
                # slixmpp keeps a hash only if the answer has it.
                known = await eventually(
                    lambda: slixmpp.call("xep_0115.get_caps", client.jid),
                    lambda info: info and "urn:xmpp:balcony" in info["features"],
                )
                assert sorted(known["features"]) == sorted(client.offers.info.features)
