"""Nodes: publish, fetch, retract, configure; what is private stays private (XEP-0060, XEP-0222, XEP-0223)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import Client, ErroneousStanza, StanzaCondition, XMPPCancelError, XMPPError, XMPPWaitError, xml
from trioxmpp.protocol.elements.disco import Info, InfoQuery
from trioxmpp.protocol.elements.forms import DataForm, Field
from trioxmpp.protocol.elements.nick import Nick
from trioxmpp.protocol.elements.pubsub import Item as RawItem
from trioxmpp.protocol.elements.pubsub import Items as RawItems
from trioxmpp.protocol.elements.pubsub import Options as SubscriptionOptions
from trioxmpp.protocol.elements.pubsub import Publish, PubSub, PubSubGet, PubSubSet
from trioxmpp.protocol.elements.pubsub_owner import OwnerSet
from trioxmpp.protocol.elements.rsm import Page
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep import pubsub
from trioxmpp.xep.pubsub import PRIVATE, PUBLIC, Access, Affiliation, Node, NodeMismatch, Options, SubscriptionState

NS = "urn:example:note"
ALL_DIALECTS = [
    Dialect.PROSODY_0_12,
    Dialect.PROSODY_13_0_1,
    Dialect.PROSODY_13,
    Dialect.EJABBERD_23,
    Dialect.EJABBERD_24,
    Dialect.EJABBERD_26,
]


@xml.element(NS, "note")
class Note:
    text: str = xml.text()


NOTES = Node(NS, Note, multi=True, options=PRIVATE)
OPEN = Options(access=Access.OPEN)


def connect(server: Server, name: str = "romeo") -> Any:
    return trioxmpp.connect(f"{name}@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True)


async def texts(client: Client, node: Node[Note], **options: Any) -> dict[str | None, str | None]:
    found = await pubsub.fetch(client, node, **options)
    return {item.id: item.payload and item.payload.text for item in found}


# --- items


@pytest.mark.item("D7.1")
@on_every_bench(accounts=1)
async def test_items_come_back_as_objects_and_strange_ones_as_xml(bench: Bench) -> None:
    (client,) = bench.clients
    assert await pubsub.publish(client, NOTES, Note(text="Arise, fair sun"), id="1") == "1"
    strange = Node(NS, Nick, multi=True, options=PRIVATE)
    await pubsub.publish(client, strange, Nick(nick="Al"), id="2")
    first, second = sorted(await pubsub.fetch(client, NOTES), key=lambda item: item.id or "")
    assert first.payload == Note(text="Arise, fair sun")
    assert second.payload is None
    assert second.raw is not None
    assert second.raw.get(Nick) == Nick(nick="Al")
    as_xml = await pubsub.fetch_item(client, Node(NS, xml.Element, multi=True), "1")
    assert as_xml is not None
    assert as_xml.payload is not None
    assert as_xml.payload.text == "Arise, fair sun"


@pytest.mark.item("D7.6")
@on_every_bench(accounts=1)
async def test_ids_are_any_text_and_are_made_where_there_are_none(bench: Bench) -> None:
    (client,) = bench.clients
    ids = ["", "a b", "<&'\">", "très 🎭", "x" * 200, "room@conference.example.test/näme"]
    for id in ids[1:]:
        assert await pubsub.publish(client, NOTES, Note(text=id[:20]), id=id) == id
    made = await pubsub.publish(client, NOTES, Note(text="made"))
    assert made not in (*ids, None)
    assert set(await texts(client, NOTES)) == {*ids[1:], made}
    single = Node("urn:example:single", Note, options=PRIVATE)
    assert await pubsub.publish(client, single, Note(text="one")) == "current"


@pytest.mark.item("D7.7")
@on_every_bench(accounts=1)
async def test_retract_purge_and_delete(bench: Bench) -> None:
    (client,) = bench.clients
    for id in ("1", "2", "3", "4"):
        await pubsub.publish(client, NOTES, Note(text=id), id=id)
    await pubsub.retract(client, NOTES, "1", "2")
    assert set(await texts(client, NOTES)) == {"3", "4"}
    with pytest.raises(XMPPError):
        await pubsub.retract(client, Node("urn:example:none", Note), "9")
    await pubsub.retract(client, Node("urn:example:none", Note), "9", missing_ok=True)
    assert await pubsub.fetch_item(client, NOTES, "1") is None
    third = await pubsub.fetch_item(client, NOTES, "3")
    assert third is not None
    assert (third.id, third.payload) == ("3", Note(text="3"))
    newest = await pubsub.fetch_item(client, NOTES)
    assert newest is not None
    assert newest.id == "4"
    await pubsub.purge(client, NOTES)
    assert await texts(client, NOTES) == {}
    await pubsub.delete(client, NOTES)
    with pytest.raises(XMPPError) as caught:
        await pubsub.fetch(client, NOTES)
    assert caught.value.condition is StanzaCondition.ITEM_NOT_FOUND
    assert await pubsub.fetch_item(client, NOTES) is None


# --- options


@pytest.mark.item("B2.19")
@pytest.mark.item("D7.3")
@on_every_bench(accounts=2)
async def test_a_node_with_other_options_is_configured_before_the_item_is_published(bench: Bench) -> None:
    client, other = bench.clients
    await pubsub.publish(client, NOTES, Note(text="before"), id="1", options=OPEN)
    assert set(await texts(other, NOTES, owner=bench.jid(0))) == {"1"}
    await pubsub.publish(client, NOTES, Note(text="secret"), id="2")
    with pytest.raises(XMPPError):
        await pubsub.fetch(other, NOTES, owner=bench.jid(0))
    assert set(await texts(client, NOTES)) == {"1", "2"}
    config = await pubsub.configuration(client, NOTES)
    assert config.access is Access.WHITELIST


@pytest.mark.item("D7.4")
@on_every_bench(accounts=2)
async def test_options_that_a_service_does_not_know_are_given_up_but_not_those_of_access(bench: Bench) -> None:
    client, other = bench.clients
    strange = Options(access=Access.WHITELIST, max_items="max", others=(("pubsub#nonsense", "1"),))
    for id in ("1", "2", "3"):
        await pubsub.publish(client, NOTES, Note(text=id), id=id, options=strange)
    assert set(await texts(client, NOTES)) == {"1", "2", "3"}, "the limit of one item was not raised in time"
    assert (await pubsub.configuration(client, NOTES)).access is Access.WHITELIST
    with pytest.raises(XMPPError):
        await pubsub.fetch(other, NOTES, owner=bench.jid(0))


@pytest.mark.item("D7.5")
async def test_on_no_dialect_an_open_request_leads_to_an_open_node(autojump_clock: Any) -> None:
    failures = []
    for dialect in ALL_DIALECTS:
        async with (
            open_server(dialect=dialect) as server,
            connect(server) as client,
            connect(server, "juliet") as other,
        ):
            await pubsub.publish(client, NOTES, Note(text="s"), id="1")
            try:
                found = await pubsub.fetch(other, NOTES, owner="romeo@example.test")
            except XMPPError:
                continue
            failures.append((dialect.name, found))
    assert not failures


@pytest.mark.item("D7.5")
async def test_a_service_without_options_gets_a_node_that_is_private_before_it_gets_the_item(
    autojump_clock: Any,
) -> None:
    async with open_server() as server, connect(server) as client, connect(server, "juliet") as other:
        features = [each for each in server.features.account.features if "publish-options" not in each]
        server.features.account.features[:] = features
        await pubsub.publish(client, NOTES, Note(text="s"), id="1")
        await pubsub.publish(client, NOTES, Note(text="t"), id="2")
        assert set(await texts(client, NOTES)) == {"1", "2"}
        with pytest.raises(XMPPError):
            await pubsub.fetch(other, NOTES, owner="romeo@example.test")
        tags = [
            str(each.stanza[0][0].tag).rpartition("}")[2] for each in server.log if "pubsub" in str(each.stanza[0].tag)
        ]
        assert tags.index("create") < tags.index("publish")
        # A node that is open, and stays so, gets no item.
        await pubsub.publish(client, Node("urn:example:blog", Note, options=OPEN), Note(text="news"))


async def _publications(server: Server, answer: Callable[[Any], Any], features: tuple[str, ...] = ()) -> list[Any]:
    """Answer requests about nodes by a function; return the requests as they come."""
    seen: list[Any] = []

    def answered(iq: Any) -> Any:
        seen.append(iq.payload)
        return answer(iq.payload)

    server.answer(PubSubSet, answered)
    server.answer(InfoQuery, lambda iq: Info.of(features, ()))
    return seen


OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"


@pytest.mark.item("D7.5")
async def test_a_service_that_refuses_the_access_model_gets_no_item_at_all(autojump_clock: Any) -> None:
    def refuse(request: PubSubSet) -> None:
        raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "Unknown field 'pubsub#access_model'")

    async with open_server() as server, connect(server) as client:
        seen = await _publications(server, refuse, (OPTIONS,))
        with pytest.raises(XMPPError):
            await pubsub.publish(client, NOTES, Note(text="s"))
        assert seen
        for request in seen:
            form = request.publish_options.form
            assert form.field("pubsub#access_model").values == ("whitelist",)


@pytest.mark.item("D7.5")
async def test_a_service_that_refuses_every_option_is_never_asked_without_the_access_model(
    autojump_clock: Any,
) -> None:
    def refuse(request: PubSubSet) -> None:
        raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT)

    async with open_server() as server, connect(server) as client:
        seen = await _publications(server, refuse, (OPTIONS,))
        with pytest.raises(XMPPError):
            await pubsub.publish(client, NOTES, Note(text="s"))
        forms = [request.publish_options.form for request in seen if request.publish is not None]
        assert len(forms) == len(PRIVATE.fields), "all at once, then without one wish after the other"
        assert all(form.field("pubsub#access_model").values == ("whitelist",) for form in forms)


@pytest.mark.item("D7.3")
async def test_a_node_that_cannot_be_configured_is_a_mismatch_after_one_more_attempt(autojump_clock: Any) -> None:
    unmet = xml.fromstring("<precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/>")

    def refuse(request: PubSubSet) -> None:
        raise XMPPCancelError(StanzaCondition.CONFLICT, application=unmet)

    async with open_server() as server, connect(server) as client:
        await pubsub.create(client, NOTES, options=OPEN)
        seen = await _publications(server, refuse, (OPTIONS,))
        with pytest.raises(NodeMismatch) as caught:
            await pubsub.publish(client, NOTES, Note(text="s"))
        assert (caught.value.node, caught.value.wanted) == (NS, PRIVATE)
        assert len(seen) == 2


@pytest.mark.item("D7.5")
async def test_a_service_that_forgets_the_configuration_gets_no_item(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        await pubsub.create(client, NOTES, options=OPEN)
        server.answer(OwnerSet, lambda iq: None)
        seen = await _publications(server, lambda request: None)
        with pytest.raises(NodeMismatch):
            await pubsub.publish(client, NOTES, Note(text="s"))
        assert [request for request in seen if request.publish is not None] == []


@on_every_bench(accounts=1)
async def test_public_data_is_for_contacts(bench: Bench) -> None:
    (client,) = bench.clients
    node = Node("urn:example:public", Note, multi=True, options=PUBLIC)
    await pubsub.publish(client, node, Note(text="hear, hear"), id="1")
    assert (await pubsub.configuration(client, node)).access is Access.PRESENCE
    await pubsub.publish(client, node, Note(text="for all"), id="1", access=Access.OPEN)
    assert (await pubsub.configuration(client, node)).access is Access.OPEN


@pytest.mark.item("D7.7")
@on_every_bench(accounts=1)
async def test_a_configuration_is_read_changed_and_submitted_as_a_whole(bench: Bench) -> None:
    (client,) = bench.clients
    await pubsub.create(client, NOTES, options=Options(access=Access.WHITELIST))
    config = await pubsub.configuration(client, NOTES)
    assert config.access is Access.WHITELIST
    config.access = Access.OPEN
    config.title = "Notes"
    await pubsub.configure(client, NOTES, config)
    changed = await pubsub.configuration(client, NOTES)
    assert (changed.access, changed.title) == (Access.OPEN, "Notes")
    assert {*changed} == {*config}
    await pubsub.configure(client, NOTES, Options(access=Access.PRESENCE))
    again = await pubsub.configuration(client, NOTES)
    assert (again.access, again.title) == (Access.PRESENCE, "Notes")


# --- many items


@pytest.mark.item("D7.8")
@on_every_bench(accounts=1)
async def test_all_items_are_read_by_pages_or_at_once(bench: Bench) -> None:
    bench.has("max_items")
    (client,) = bench.clients
    node = Node("urn:example:many", Note, multi=True, options=PRIVATE)
    numbers = [f"{number:02}" for number in range(25)]
    for number in numbers:
        await pubsub.publish(client, node, Note(text=number), id=number)
    assert await texts(client, node, page=10) == {number: number for number in numbers}
    assert len(await pubsub.fetch(client, node, limit=7)) == 7


@pytest.mark.item("D7.5")
@on_every_bench(accounts=2)
async def test_a_private_node_is_private_on_every_server_even_to_contacts(bench: Bench) -> None:
    await bench.add_contacts(0, 1)
    romeo, juliet = bench.clients
    node = Node("urn:example:secret", Note, multi=True, options=PRIVATE)
    await pubsub.publish(romeo, node, Note(text="for our own clients"), id="1")
    assert (await pubsub.configuration(romeo, node)).access is Access.WHITELIST
    with pytest.raises(XMPPError):
        await pubsub.fetch(juliet, node, owner=bench.jid(0))
    assert await texts(romeo, node) == {"1": "for our own clients"}


@pytest.mark.item("D7.8")
async def test_ten_thousand_items_paged_or_not(autojump_clock: Any) -> None:
    for dialect in (Dialect.PROSODY_13, Dialect.EJABBERD_26):
        async with open_server(dialect=dialect) as server, connect(server) as client:
            await pubsub.create(client, NOTES, options=Options(access=Access.WHITELIST, max_items=10_000))
            for hundred in range(0, 10_000, 100):
                numbers = map(str, range(hundred, hundred + 100))
                items = tuple(RawItem(id=each, payload=xml.Payload(Note(text=each))) for each in numbers)
                await client.request(PubSubSet(publish=Publish(node=NS, items=items)))
            asked = len(server.log)
            found = await texts(client, NOTES, page=1000)
            assert found == {str(number): str(number) for number in range(10_000)}
            assert len(server.log) - asked == (10 if dialect.pages_items else 1), dialect.name
            assert len(await pubsub.fetch(client, NOTES, limit=1500)) == 1500


@pytest.mark.item("D7.8")
async def test_a_service_whose_pages_do_not_move_on_is_asked_no_more(autojump_clock: Any) -> None:
    for title, lasts in {"the same last id": ("1", "1"), "new ids of the same item": ("1", "2")}.items():
        async with open_server() as server, connect(server) as client:
            pages = [
                PubSub(
                    items=RawItems(node=NS, items=(RawItem(id="1", payload=xml.Payload(Note(text="x"))),)),
                    page=Page(first="1", last=last, count=1000),
                )
                for last in lasts
            ]
            server.answer(PubSubGet, lambda iq, pages=pages: pages.pop(0))
            assert len(await pubsub.fetch(client, NOTES)) == 1, title
            assert pages == [], title


# --- subscriptions


@pytest.mark.item("D7.9")
@on_every_bench(accounts=2)
async def test_subscriptions_at_a_service(bench: Bench) -> None:
    owner, reader = bench.clients
    node = Node(f"news-{bench.names[0]}", Note, multi=True)
    # ejabberd has no such lists for the nodes of accounts, and the Prosody of the bench no service.
    at = bench.jid(0) if bench.is_real_prosody else f"pubsub.{bench.domain}"
    await pubsub.create(owner, node, owner=at, options=OPEN)
    await pubsub.publish(owner, node, Note(text="old"), id="1", owner=at)
    subscription = await pubsub.subscribe(reader, node, owner=at)
    assert subscription.subscription == SubscriptionState.SUBSCRIBED
    found = await pubsub.subscribers(owner, node, owner=at)
    assert (reader.jid.bare, "subscribed") in [(each.jid.bare, each.subscription) for each in found]
    (mine,) = await pubsub.subscriptions(reader, owner=at)
    assert (mine.node, mine.subscription) == (node.name, SubscriptionState.SUBSCRIBED)
    await pubsub.unsubscribe(reader, node, owner=at, subid=subscription.subid)
    left = await pubsub.subscribers(owner, node, owner=at)
    assert reader.jid.bare not in [each.jid.bare for each in left if each.subscription != "none"]


async def test_the_options_of_a_subscription_are_read_changed_and_submitted(autojump_clock: Any) -> None:
    held = SubscriptionOptions(form=DataForm(fields=(Field(var="pubsub#digest", type="boolean", values=("0",)),)))
    submitted: list[Any] = []

    def give(iq: Any) -> PubSub:
        submitted.append(iq.payload.options)
        return PubSub(options=held)

    def take(iq: Any) -> None:
        submitted.append(iq.payload.options)

    async with open_server() as server, connect(server) as client:
        server.answer(PubSubGet, give)
        server.answer(PubSubSet, take)
        form = await pubsub.subscription_options(client, NOTES, subid="7")
        form["pubsub#digest"] = True
        await pubsub.configure_subscription(client, NOTES, form, subid="7")
        asked, changed = submitted
        assert (asked.node, asked.jid, asked.subid, asked.form) == (NS, client.jid.bare, "7", None)
        assert (changed.node, changed.jid, changed.subid) == (NS, client.jid.bare, "7")
        assert [(field.var, field.values) for field in changed.form.fields][-1] == ("pubsub#digest", ("1",))
        held = SubscriptionOptions()
        with pytest.raises(ErroneousStanza, match="no form with options"):
            await pubsub.subscription_options(client, NOTES)


@pytest.mark.item("D7.9")
async def test_a_pending_subscription_is_approved_by_the_owner(autojump_clock: Any) -> None:
    node = Node("news", Note, multi=True, options=Options(access=Access.AUTHORIZE))
    at = "pubsub.example.test"
    async with open_server() as server, connect(server) as owner, connect(server, "juliet") as reader:
        server.pubsub.serve()
        await pubsub.create(owner, node, owner=at)
        assert (await pubsub.subscribe(reader, node, owner=at)).subscription == SubscriptionState.PENDING
        with pytest.raises(XMPPError):
            await pubsub.fetch(reader, node, owner=at)
        await pubsub.set_subscriptions(owner, node, {reader.jid.bare: SubscriptionState.SUBSCRIBED}, owner=at)
        assert await pubsub.fetch(reader, node, owner=at) == []
        (mine,) = await pubsub.subscriptions(reader, owner=at)
        assert (mine.node, mine.subscription) == ("news", SubscriptionState.SUBSCRIBED)
        assert await pubsub.subscriptions(reader, "other", owner=at) == ()


@pytest.mark.item("D7.9")
@on_every_bench(accounts=2)
async def test_affiliations_let_others_read_a_closed_node(bench: Bench) -> None:
    owner, reader = bench.clients
    await pubsub.publish(owner, NOTES, Note(text="for two"), id="1")
    with pytest.raises(XMPPError):
        await pubsub.fetch(reader, NOTES, owner=bench.jid(0))
    await pubsub.set_affiliations(owner, NOTES, {bench.jid(1): Affiliation.MEMBER})
    found = await pubsub.affiliations(owner, NOTES)
    assert found[reader.jid.bare] == Affiliation.MEMBER
    assert set(await texts(reader, NOTES, owner=bench.jid(0))) == {"1"}


async def test_own_affiliations_are_told_by_node(autojump_clock: Any) -> None:
    at = "pubsub.example.test"
    async with open_server() as server, connect(server) as owner, connect(server, "juliet") as reader:
        server.pubsub.serve()
        name = await pubsub.create(owner, None, owner=at)
        await pubsub.set_affiliations(owner, name, {reader.jid.bare: Affiliation.PUBLISHER}, owner=at)
        assert await pubsub.own_affiliations(reader, owner=at) == {name: Affiliation.PUBLISHER}
        assert await pubsub.own_affiliations(owner, name, owner=at) == {name: Affiliation.OWNER}
        node = Node(name, Note, multi=True)
        await pubsub.publish(reader, node, Note(text="by another"), id="1", owner=at)
        assert set(await texts(owner, node, owner=at)) == {"1"}


async def test_a_cancelled_request_leaves_the_client_usable(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:

        async def never(iq: Any) -> None:
            await trio.sleep_forever()

        server.answer(PubSubGet, never)
        with trio.move_on_after(1) as scope:
            await pubsub.fetch(client, NOTES)
        assert scope.cancelled_caught
        await pubsub.publish(client, NOTES, Note(text="still here"))
