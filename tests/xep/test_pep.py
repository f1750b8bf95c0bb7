"""Watches and mirrors of personal nodes (XEP-0163): whose events are heard, and what a new session changes."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from tests.capable import befriend, present
from tests.dialogs import renewed, resumed
from trioxmpp import JID, Client, MessageType, Presence, xml
from trioxmpp.errors import InboxOverflow
from trioxmpp.im.roster import open_roster
from trioxmpp.protocol.elements.roster import RosterQuery
from trioxmpp.testing import Dialect, Server, inject, open_server
from trioxmpp.xep import pubsub
from trioxmpp.xep.pep import mirrored, watch
from trioxmpp.xep.pubsub import (
    PRIVATE,
    Access,
    Change,
    Configured,
    Deleted,
    EventHub,
    Node,
    Options,
    Published,
    Purged,
    Retracted,
    SubscriptionChanged,
    SubscriptionState,
)

NS = "urn:example:tune"
EVENT = "http://jabber.org/protocol/pubsub#event"


@xml.element(NS, "tune")
class Tune:
    title: str = xml.attr(default="")


TUNES = Node(NS, Tune)
LISTS = Node("urn:example:list", Tune, multi=True, options=PRIVATE)


def connect(server: Server, name: str = "romeo", resource: str = "1", **options: Any) -> Any:
    options = {"endpoint": server.endpoint, "allow_plaintext": True, **options}
    return trioxmpp.connect(f"{name}@example.test/{resource}", "secret", **options)


def event(node: str, inner: str, from_: str, to: str = "romeo@example.test/1", beside: str = "") -> str:
    return (
        f"<message from='{from_}' to='{to}' type='headline'>"
        f"<event xmlns='{EVENT}'>{inner.replace('NODE', node)}</event>{beside}</message>"
    )


def item(id: str, title: str) -> str:
    return f"<items node='NODE'><item id='{id}'><tune xmlns='{NS}' title='{title}'/></item></items>"


def titles(changes: list[Change[Tune]]) -> list[str | None]:
    return [change.payload and change.payload.title for change in changes if isinstance(change, Published)]


async def first_heard(changes: Any, publisher: Client, node: Node[Tune], owner: JID) -> Any:
    """Publish until the server knows what the client offers; return the first event of this owner."""
    for number in range(100):
        await pubsub.publish(publisher, node, Tune(title=str(number)), id="n" if node.multi else None)
        with trio.move_on_after(1):
            while (change := await anext(changes)).owner != owner:
                pass
            return change
    raise AssertionError("nothing was heard")


# --- watching


@pytest.mark.item("D7.2")
@on_every_bench(accounts=2)
async def test_a_watch_hears_our_own_account_and_our_contacts(bench: Bench) -> None:
    romeo, juliet = bench.clients
    await romeo.send(Presence())
    await juliet.send(Presence())
    await befriend(romeo, juliet)
    async with watch(romeo, TUNES) as changes:
        await present(romeo)
        for owner in (romeo, juliet):
            change = await first_heard(changes, owner, TUNES, owner.jid.bare)
            assert (change.owner, change.item_id) == (owner.jid.bare, "current")
            await pubsub.publish(owner, TUNES, Tune(title="Lark"))
            while titles([change]) != ["Lark"]:
                change = await anext(changes)
            assert change == Published(owner.jid.bare, NS, "current", Tune(title="Lark"))


@pytest.mark.item("D7.7")
@on_every_bench(accounts=1)
async def test_a_watch_hears_of_what_is_retracted_purged_and_deleted(bench: Bench) -> None:
    (client,) = bench.clients
    async with watch(client, LISTS, owners=()) as changes:
        await present(client)
        heard = await first_heard(changes, client, LISTS, client.jid.bare)
        await pubsub.publish(client, LISTS, Tune(title="b"), id="b")
        while not (isinstance(heard, Published) and heard.item_id == "b"):
            heard = await anext(changes)
        await pubsub.retract(client, LISTS, "b")
        if bench.dialect.tells_of_retraction:
            assert await anext(changes) == Retracted(client.jid.bare, LISTS.name, "b")
        await pubsub.purge(client, LISTS)
        if bench.dialect.tells_of_purge:
            assert await anext(changes) == Purged(client.jid.bare, LISTS.name)
        await pubsub.delete(client, LISTS)
        if bench.dialect.tells_of_deletion:
            assert await anext(changes) == Deleted(client.jid.bare, LISTS.name)


async def test_a_watch_hears_of_a_configuration_and_of_a_subscription(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, watch(client, TUNES, owners=()) as changes:
        form = "<x xmlns='jabber:x:data' type='result'><field var='pubsub#title'><value>New</value></field></x>"
        inject(client.stream, event(NS, f"<configuration node='NODE'>{form}</configuration>", "romeo@example.test"))
        inject(client.stream, event(NS, "<configuration node='NODE'/>", "romeo@example.test"))
        about = "<subscription node='NODE' jid='juliet@example.test' subscription='pending' subid='7'/>"
        inject(client.stream, event(NS, about, "romeo@example.test"))
        first, second, third = changes.take_all()
        assert isinstance(first, Configured)
        assert first.form is not None
        assert [(field.var, field.values) for field in first.form.fields] == [("pubsub#title", ("New",))]
        assert second == Configured(client.jid.bare, NS)
        juliet = JID.parse("juliet@example.test")
        assert third == SubscriptionChanged(client.jid.bare, NS, juliet, SubscriptionState.PENDING, "7")


@pytest.mark.item("D7.2")
async def test_in_a_new_session_a_last_item_that_is_known_is_not_given_again(autojump_clock: Any) -> None:
    for dialect in (Dialect.PROSODY_13, Dialect.EJABBERD_26):
        async with (
            open_server(dialect=dialect) as server,
            connect(server) as client,
            watch(client, TUNES) as changes,
            watch(client, TUNES, repeats=True) as all_changes,
        ):
            await pubsub.publish(client, TUNES, Tune(title="Lark"))
            await present(client)
            assert titles([await anext(changes)]) == ["Lark"]
            await renewed(server, client)
            await present(client)
            await trio.testing.wait_all_tasks_blocked()
            assert changes.take_all() == []
            first, second = all_changes.take_all()
            assert isinstance(first, Published)
            assert isinstance(second, Published)
            assert (first.repeated, second.repeated) == (False, True)
            # While the client did not listen, another one came, with the same id.
            async with connect(server, resource="2") as other:
                await other.send(Presence())
                server.sessions[str(client.jid)].link.reset()
                await pubsub.publish(other, TUNES, Tune(title="Owl"))
            await client.wait_linked()
            assert titles([await anext(changes)]) == ["Owl"]


async def test_a_silent_last_session_keeps_events_from_all_where_the_server_passes_them_on_by_it(
    autojump_clock: Any,
) -> None:
    """As ejabberd does (docs/nodes.md)."""
    async with (
        open_server(dialect=Dialect.EJABBERD_26, contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        connect(server, "juliet") as juliet,
        watch(client, TUNES) as ours,
        watch(juliet, TUNES) as theirs,
    ):
        await present(client)
        await present(juliet)
        await trio.testing.wait_all_tasks_blocked()
        for resource, available, heard in (("0", False, True), ("2", False, False), ("2", True, True)):
            async with connect(server, resource=resource) as other:
                if available:
                    await other.send(Presence())
                title = f"{resource} {available}"
                await pubsub.publish(other, TUNES, Tune(title=title))
                await trio.testing.wait_all_tasks_blocked()
            for changes in (ours, theirs):
                assert titles(changes.take_all()) == [title] * heard


@pytest.mark.item("D7.1")
async def test_a_strange_payload_is_given_as_it_came(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, watch(client, TUNES, owners=()) as changes:
        strange = "<items node='NODE'><item id='1'><mood xmlns='urn:m'/></item><item id='2'/></items>"
        inject(client.stream, event(NS, strange, "romeo@example.test"))
        first, second = changes.take_all()
        assert isinstance(first, Published)
        assert isinstance(second, Published)
        assert first.payload is None
        assert first.raw is not None
        assert first.raw.tag == "{urn:m}mood"
        assert (second.payload, second.raw) == (None, None)


@pytest.mark.item("D7.11")
async def test_events_of_others_are_dropped_and_counted(autojump_clock: Any) -> None:
    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        watch(client, TUNES) as contacts,
        watch(client, LISTS, owners=()) as own,
        watch(client, LISTS, owners=["pubsub.example.test"]) as service,
        client.messages.subscribe() as others,
    ):
        inject(
            client.stream,
            event(NS, item("1", "full JID of a contact"), "juliet@example.test/balcony"),
            event(NS, item("1", "our own full JID"), "romeo@example.test/1"),
            event(NS, item("1", "stranger"), "tybalt@example.test"),
            event(LISTS.name, item("1", "contact, of a node that only we have"), "juliet@example.test"),
            event(LISTS.name, item("1", "service that is not watched"), "other.example.test"),
            event(NS, item("1", "service, of a node of contacts"), "pubsub.example.test"),
        )
        assert contacts.take_all() == own.take_all() == service.take_all() == []
        with client.shared(EventHub.of) as hub:
            assert hub.dropped == 6
        inject(client.stream, event(LISTS.name, item("1", "service"), "pubsub.example.test"))
        assert titles(service.take_all()) == ["service"]
        assert own.take_all() == []
        inject(client.stream, event(NS, item("1", "ours"), "romeo@example.test"))
        inject(client.stream, event(NS, item("1", "hers"), "juliet@example.test"))
        assert titles(contacts.take_all()) == ["ours", "hers"]
        assert len(others) == 0
        # Events that no block watches, and messages that are more than an event, are for the application.
        inject(client.stream, event("urn:other", item("1", "x"), "juliet@example.test"))
        inject(client.stream, event(NS, item("2", "y"), "juliet@example.test", beside="<body>Hi</body>"))
        assert len(others) == 2
        assert titles(contacts.take_all()) == ["y"]


@pytest.mark.item("D7.11")
async def test_a_full_jid_is_never_an_owner_even_if_all_are_watched(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as client,
        watch(client, TUNES, owners=lambda jid: True) as changes,
    ):
        inject(client.stream, event(NS, item("1", "forged"), "juliet@example.test/balcony"))
        assert changes.take_all() == []
        inject(client.stream, event(NS, item("1", "genuine"), "juliet@example.test"))
        assert titles(changes.take_all()) == ["genuine"]


async def test_a_contact_that_is_accepted_meanwhile_is_heard(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as romeo,
        connect(server, "juliet") as juliet,
        watch(romeo, TUNES) as changes,
    ):
        await present(romeo)
        await present(juliet)
        await befriend(romeo, juliet)
        await pubsub.publish(juliet, TUNES, Tune(title="Nightingale"))
        assert titles([await anext(changes)]) == ["Nightingale"]


@pytest.mark.item("D7.12")
async def test_a_flood_of_large_events_ends_the_watch_and_nothing_else(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as client,
        watch(client, TUNES, owners=(), octets=4 << 20) as changes,
        watch(client, LISTS, owners=()) as other,
    ):
        inject(client.stream, event(NS, item("big", "x" * (1 << 20)), "romeo@example.test"))
        assert len(titles([await anext(changes)])[0] or "") == 1 << 20
        many = "".join(f"<item id='{n}'><tune xmlns='{NS}' title='{n}'/></item>" for n in range(5000))
        inject(client.stream, event(NS, f"<items node='NODE'>{many}</items>", "romeo@example.test"))
        assert titles(changes.take_all()) == [str(n) for n in range(5000)]
        for number in range(10):
            inject(client.stream, event(NS, item(f"b{number}", "x" * (1 << 20)), "romeo@example.test"))
        assert len(changes) == 3
        with pytest.raises(InboxOverflow):
            async for _ in changes:
                pass
        inject(client.stream, event(LISTS.name, item("1", "still here"), "romeo@example.test"))
        assert titles(other.take_all()) == ["still here"]


async def test_the_memory_of_items_is_bounded(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as client,
        watch(client, TUNES, owners=lambda jid: True, limit=10, capacity=1000) as changes,
    ):
        for number in range(100):
            inject(client.stream, event(NS, item("current", "a"), f"user{number}@example.test"))
        assert len(changes.take_all()) == 100
        inject(client.stream, event(NS, item("current", "a"), "user99@example.test"))
        assert changes.take_all() == []
        inject(client.stream, event(NS, item("current", "a"), "user0@example.test"))
        assert len(changes.take_all()) == 1, "it was forgotten, so it is new again"


async def test_an_owner_that_purges_again_and_again_costs_no_walk_through_all_items(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as client,
        watch(client, TUNES, owners=lambda jid: True, limit=50) as changes,
    ):
        for number in range(40):
            inject(client.stream, event(NS, item("current", "a"), f"user{number}@example.test"))
        for _ in range(30):
            inject(client.stream, event(NS, item("x", "a"), "mallory@example.test"))
            inject(client.stream, event(NS, "<purge node='NODE'/>", "mallory@example.test"))
        changes.take_all()
        inject(client.stream, event(NS, item("current", "a"), "user0@example.test"))
        assert changes.take_all() == [], "the items of others are still known"


async def test_the_roster_may_say_which_owners_are_believed(autojump_clock: Any) -> None:
    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        open_roster(client) as roster,
        watch(client, TUNES, owners=roster) as changes,
    ):
        inject(client.stream, event(NS, item("1", "stranger"), "tybalt@example.test"))
        inject(client.stream, event(NS, item("1", "contact"), "juliet@example.test"))
        inject(client.stream, event(NS, item("1", "ours"), "romeo@example.test"))
        assert titles(changes.take_all()) == ["contact", "ours"]


def rosters_asked_for(server: Server) -> int:
    return sum(payload.tag == xml.tag_of(RosterQuery) for each in server.log for payload in each.stanza)


async def test_watches_ask_for_the_roster_once_a_session(autojump_clock: Any) -> None:
    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        watch(client, TUNES) as changes,
        watch(client, TUNES) as others,
        watch(client, LISTS),
    ):
        assert rosters_asked_for(server) == 1
        await renewed(server, client)
        assert rosters_asked_for(server) == 2
        inject(client.stream, event(NS, item("1", "stranger"), "tybalt@example.test"))
        inject(client.stream, event(NS, item("1", "contact"), "juliet@example.test"))
        assert titles(changes.take_all()) == titles(others.take_all()) == ["contact"]


async def test_an_open_roster_tells_the_watches_whose_presence_we_see(autojump_clock: Any) -> None:
    def hears_of_juliet(id: str) -> bool:
        inject(client.stream, event(NS, item(id, "contact"), "juliet@example.test"))
        return titles(changes.take_all()) == ["contact"]

    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        open_roster(client) as roster,
        watch(client, TUNES) as changes,
    ):
        assert rosters_asked_for(server) == 1
        assert hears_of_juliet("1")
        await renewed(server, client)
        assert rosters_asked_for(server) == 2
        await roster.remove("juliet@example.test")
        assert not hears_of_juliet("2")


async def test_a_watch_knows_the_contacts_of_a_roster_that_was_closed(autojump_clock: Any) -> None:
    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        watch(client, TUNES) as changes,
    ):
        async with open_roster(client):
            pass
        asked = rosters_asked_for(server)
        inject(client.stream, event(NS, item("1", "contact"), "juliet@example.test"))
        assert titles(changes.take_all()) == ["contact"]
        await renewed(server, client)
        assert rosters_asked_for(server) == asked + 1
        inject(client.stream, event(NS, item("2", "contact"), "juliet@example.test"))
        assert titles(changes.take_all()) == ["contact"]


async def test_malformed_events_harm_nothing(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, watch(client, TUNES, owners=()) as changes:
        for inner in (
            "",
            "<items/>",
            "<items node='NODE'/>",
            "<items node='NODE'><retract/></items>",
            "<items node='NODE'><item><a xmlns='urn:a'/><b xmlns='urn:b'/></item></items>",
            "<delete/>",
            "<subscription node='NODE'/>",
            "<configuration/>",
            "<collection node='NODE'/>",
        ):
            inject(client.stream, event(NS, inner, "romeo@example.test"))
        inject(client.stream, event(NS, item("1", "fine"), "romeo@example.test"))
        assert titles(changes.take_all())[-1] == "fine"


async def test_a_chat_message_is_not_looked_into(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, watch(client, TUNES, owners=()) as changes:
        async with client.messages.subscribe(MessageType.CHAT) as inbox:
            message = event(NS, item("1", "x"), "romeo@example.test").replace("headline", "chat")
            inject(client.stream, message)
            assert len(inbox) == 1
        assert changes.take_all() == []


async def test_leaving_a_watch_takes_the_offer_back(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        before = client.offers.info
        async with watch(client, TUNES) as changes:
            assert f"{NS}+notify" in client.offers.info.features
        assert client.offers.info == before
        async with client.messages.subscribe() as inbox:
            inject(client.stream, event(NS, item("1", "x"), "romeo@example.test"))
            assert len(inbox) == 1
        assert [change async for change in changes] == []


# --- mirrors


@pytest.mark.item("D7.2")
@on_every_bench(accounts=1)
async def test_a_mirror_has_what_was_there_and_follows_other_clients(bench: Bench) -> None:
    (client,) = bench.clients
    await pubsub.publish(client, LISTS, Tune(title="before"), id="1")
    async with mirrored(client, LISTS) as mirror, mirror.on_change.subscribe() as heard:
        assert {id: each.payload for id, each in mirror.items()} == {"1": Tune(title="before")}
        await present(client)
        # The last session in order: ejabberd sends no events while this one has sent no presence.
        async with bench.connect(0, "other") as other:
            if bench.dialect.events_by_last_session:
                await other.send(Presence())
            change = await first_heard(heard, other, LISTS, client.jid.bare)
            assert change.item_id in mirror
            await pubsub.retract(other, LISTS, "1")
            if bench.dialect.tells_of_retraction:
                while change != Retracted(client.jid.bare, LISTS.name, "1"):
                    change = await anext(heard)
                assert "1" not in mirror
            await pubsub.purge(other, LISTS)
            if bench.dialect.tells_of_purge:
                while not isinstance(change, Purged):
                    change = await anext(heard)
                assert len(mirror) == 0


def _asked(server: Server) -> int:
    tag = "{http://jabber.org/protocol/pubsub}items"
    return sum(each.stanza.find(f".//{tag}") is not None and each.stanza.get("type") == "get" for each in server.log)


@pytest.mark.item("D7.10")
async def test_a_mirror_is_fetched_in_each_new_session_but_not_when_one_is_resumed(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, connect(server, resource="2") as other:
        await pubsub.publish(other, LISTS, Tune(title="1"), id="1")
        async with mirrored(client, LISTS) as mirror, mirror.on_change.subscribe() as heard:
            await present(client)
            await trio.testing.wait_all_tasks_blocked()
            asked = _asked(server)
            server.sessions[str(client.jid)].link.reset()
            await pubsub.publish(other, LISTS, Tune(title="2"), id="2")
            assert (await anext(heard)).item_id == "2"
            assert _asked(server) == asked
            await pubsub.retract(other, LISTS, "1")
            assert await anext(heard) == Retracted(client.jid.bare, LISTS.name, "1")
            await resumed(server, client)
            await renewed(server, client)
            assert _asked(server) == asked + 1
            assert [*mirror] == ["2"]
            assert heard.take_all() == []


async def test_a_mirror_finds_what_changed_between_sessions(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, connect(server, resource="2") as other:
        for id in ("1", "2"):
            await pubsub.publish(other, LISTS, Tune(title=id), id=id)
        async with mirrored(client, LISTS) as mirror, mirror.on_change.subscribe() as heard:
            await pubsub.publish(other, LISTS, Tune(title="other"), id="1")
            await pubsub.publish(other, LISTS, Tune(title="3"), id="3")
            await pubsub.retract(other, LISTS, "2")
            assert [*mirror] == ["1", "2"], "without presence no events come"
            await renewed(server, client)
            found = heard.take_all()
            assert titles(found) == ["other", "3"]
            assert Retracted(client.jid.bare, LISTS.name, "2") in found
            assert sorted(mirror) == ["1", "3"]


async def test_a_mirror_of_a_node_that_is_not_there_is_empty_and_fills(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, mirrored(client, LISTS) as mirror:
        assert dict(mirror) == {}
        await present(client)
        await trio.testing.wait_all_tasks_blocked()
        await pubsub.publish(client, LISTS, Tune(title="1"), id="1")
        await trio.testing.wait_all_tasks_blocked()
        assert [*mirror] == ["1"]


async def test_an_item_that_is_announced_without_its_payload_is_fetched(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        await pubsub.publish(client, LISTS, Tune(title="1"), id="1")
        async with mirrored(client, LISTS) as mirror, mirror.on_change.subscribe() as heard:
            await pubsub.publish(client, LISTS, Tune(title="new"), id="1")
            inject(client.stream, event(LISTS.name, "<items node='NODE'><item id='1'/></items>", "romeo@example.test"))
            change = await anext(heard)
            assert change.payload == Tune(title="new")
            item = mirror["1"]
            assert item.payload == Tune(title="new")


async def test_a_mirror_of_one_item_keeps_one(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, mirrored(client, TUNES) as mirror:
        inject(client.stream, event(NS, item("a", "first"), "romeo@example.test"))
        inject(client.stream, event(NS, item("b", "second"), "romeo@example.test"))
        assert [*mirror] == ["b"]
        inject(client.stream, event(NS, item("b", "forged"), "juliet@example.test"))
        current = mirror["b"].payload
        assert current == Tune(title="second")


async def test_a_mirror_is_bounded(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, mirrored(client, LISTS, limit=5) as mirror:
        for number in range(20):
            inject(client.stream, event(LISTS.name, item(str(number), "x"), "romeo@example.test"))
        assert len(mirror) == 5


async def test_an_application_may_publish_to_others_while_it_watches(autojump_clock: Any) -> None:
    node = Node(NS, Tune, options=Options(access=Access.OPEN))
    async with open_server() as server, connect(server) as client, connect(server, "juliet") as juliet:
        await pubsub.publish(juliet, node, Tune(title="open"))
        async with mirrored(client, node, owner="juliet@example.test") as mirror:
            current = mirror["current"].payload
            assert current == Tune(title="open")
            inject(client.stream, event(NS, item("current", "ours"), "romeo@example.test"))
            current = mirror["current"].payload
            assert current == Tune(title="open")
