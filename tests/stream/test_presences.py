"""Presences, from the wire to the application."""

import pytest
import trio
import trio.testing

from trioxmpp import Presence, PresenceShow, PresenceType, StanzaCondition, XMPPCancelError

FROM = "from='juliet@example.test/balcony'"


async def heard(scene, peer, said):
    """The presences that reach the application when the peer says this."""
    presences = []
    with scene.stream.on_presence_received.context_connect(presences.append):
        await peer.says(said)
        await trio.testing.wait_all_tasks_blocked()
    return presences


async def test_a_presence_reaches_a_callback_a_block_and_a_subscription(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.presences.register_callback(PresenceType.AVAILABLE, "juliet@example.test", had.append)
    with scene.client.presences.handler(PresenceType.UNAVAILABLE, None, had.append):
        async with scene.client.presences.subscribe(PresenceType.AVAILABLE) as inbox:
            await peer.says(f"<presence {FROM}/><presence type='unavailable' {FROM}/>")
            had.append(await anext(inbox))
    assert [presence.type for presence in had] == [
        PresenceType.AVAILABLE,
        PresenceType.UNAVAILABLE,
        PresenceType.AVAILABLE,
    ]


async def test_no_type_is_available(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.presences.register_callback(PresenceType.AVAILABLE, None, had.append)
    await peer.says(f"<presence {FROM}/>")
    await trio.testing.wait_all_tasks_blocked()
    assert len(had) == 1


@pytest.mark.parametrize("type_", list(PresenceType))
async def test_a_slot_gets_its_type_only(autojump_clock, scene, type_):
    peer, had = await scene.starts(), []
    scene.client.presences.register_callback(type_, None, had.append)
    for other in PresenceType:
        attribute = f" type='{other.value}'" if other.value else ""
        await peer.says(f"<presence{attribute} {FROM}/>")
    await trio.testing.wait_all_tasks_blocked()
    assert [presence.type for presence in had] == [type_]


async def test_a_subscription_request_is_never_granted_by_itself(autojump_clock, scene):
    peer = await scene.starts()
    await peer.says(f"<presence type='subscribe' {FROM}/><presence type='probe' {FROM}/>")
    await peer.expects_nothing(3600)


@pytest.mark.parametrize("type_", ["garbage", "available", "AVAILABLE"])
async def test_an_unknown_type_is_ignored_but_counted(autojump_clock, scene, type_, caplog):
    """RFC 6121 §4.7.1 has no such presence; taken for available it would say what its sender did not."""
    peer = await scene.starts(sm="sm-1")
    presences = await heard(scene, peer, f"<presence type='{type_}' {FROM}/><r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert not presences
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_the_fields_of_a_presence(autojump_clock, scene):
    peer = await scene.starts()
    (presence,) = await heard(
        scene,
        peer,
        f"<presence {FROM} id='1' xml:lang='en'><show>dnd</show><status>Wooing Romeo</status>"
        "<status xml:lang='it'>Occupata</status><priority>-7</priority></presence>",
    )
    assert presence.show is PresenceShow.DND
    assert presence.statuses == {"en": "Wooing Romeo", "it": "Occupata"}
    assert (presence.status, presence.priority, presence.lang) == ("Wooing Romeo", -7, "en")


@pytest.mark.parametrize("show", ["<show/>", "<show>bored</show>", "<show>  </show>", "<show><away/></show>"])
async def test_an_unknown_show_is_absent(autojump_clock, scene, show):
    peer = await scene.starts()
    (presence,) = await heard(scene, peer, f"<presence {FROM}>{show}</presence>")
    assert presence.show is None


async def test_an_error_comes_with_its_reason(autojump_clock, scene):
    peer = await scene.starts()
    (presence,) = await heard(
        scene,
        peer,
        f"<presence type='error' {FROM}><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "</error></presence>",
    )
    assert type(presence.error) is XMPPCancelError
    assert presence.error.condition is StanzaCondition.CONFLICT


async def test_a_presence_is_sent(autojump_clock, scene):
    peer = await scene.starts()
    await scene.client.send(Presence())
    await peer.expects("<presence/>")
    await scene.client.send(Presence(show=PresenceShow.AWAY, status={"": "Exile", "it": "Esilio"}, priority=5))
    await peer.expects(
        "<presence><show>away</show><status>Exile</status><status xml:lang='it'>Esilio</status>"
        "<priority>5</priority></presence>"
    )
    await scene.client.send(Presence(type=PresenceType.SUBSCRIBED, to="juliet@example.test"))
    await peer.expects("<presence type='subscribed' to='juliet@example.test'/>")
