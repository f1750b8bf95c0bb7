"""Our contacts, and requests to see presence (RFC 6121 §2, §3)."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from tests.dialogs import renewed, resumed
from tests.services import NoteKeeper, answer_to, connect, forge, sent
from trioxmpp import JID, Presence, Trouble, XMPPError, XMPPModifyError
from trioxmpp.errors import ErroneousStanza, StanzaCondition
from trioxmpp.im.roster import (
    Contact,
    ContactAdded,
    ContactChanged,
    ContactRemoved,
    RequestWithdrawn,
    SubscriptionRequested,
    SubscriptionState,
    open_roster,
)
from trioxmpp.protocol.elements.roster import Item, Roster, RosterQuery, RosterSet
from trioxmpp.testing import Dialect, ScriptedServer, open_server
from trioxmpp.testing.transcript import parse_script

NS = "jabber:iq:roster"
QUERY = f"{{{NS}}}query"
JULIET = JID.parse("juliet@example.test")
PARIS = JID.parse("paris@example.net")
BOTH = SubscriptionState.BOTH


@pytest.fixture
async def server(autojump_clock):
    async with open_server(contacts=[("romeo", "juliet")]) as server:
        yield server


def push(*items: str, from_: str | None = "romeo@example.test", id: str = "push", ver: str = "") -> str:
    sender = f" from='{from_}'" if from_ else ""
    version = f" ver='{ver}'" if ver else ""
    return f"<iq type='set' id='{id}'{sender}><query xmlns='{NS}'{version}>{''.join(items)}</query></iq>"


def contact(jid: JID | str, subscription: str = "both") -> str:
    return f"<item jid='{jid}' subscription='{subscription}'/>"


def queries(server, client) -> list[str | None]:
    """The versions with which the client asked for its roster."""
    return [iq[0].get("ver") for iq in sent(server, client, "iq") if iq.get("type") == "get" and iq[0].tag == QUERY]


async def next_of(kind, changes):
    """The next event of this kind."""
    async for event in changes:
        if isinstance(event, kind):
            return event
    raise AssertionError("the events have ended")


# --- reading it


@pytest.mark.item("D1.1")
async def test_the_roster_is_asked_for_before_the_first_presence_leaves(server, autojump_clock):
    async def shows_presence(client):
        await client.send(Presence())

    async with connect(server) as client, client.maintain(shows_presence), open_roster(client) as roster:
        assert roster["juliet@example.test"] == Contact(JULIET, subscription=BOTH)
        await renewed(server, client)
        kinds = [str(entry.stanza.tag).rpartition("}")[2] for entry in server.log][-2:]
        assert kinds == ["iq", "presence"]


@pytest.mark.item("D1.2")
async def test_an_empty_answer_keeps_the_contacts_of_the_notes(server, autojump_clock):
    store = NoteKeeper()
    async with connect(server, store=store) as client, open_roster(client) as roster:
        await roster.put(JULIET, name="Juliet", groups=["Capulets", "Lovers"])
        contacts, version = [*roster], roster.version
    async with connect(server, store=store) as client, open_roster(client) as roster, roster.changes() as changes:
        assert queries(server, client)[-1] == version
        assert [*roster] == contacts
        assert contacts[0].groups == {"Capulets", "Lovers"}
        assert len(changes) == 0


@pytest.mark.item("D1.3")
async def test_pushes_before_between_and_after_the_answer_end_in_one_roster(autojump_clock):
    """The answer shows the roster as it was before the pushes, or as it was behind them."""
    pushes = [
        push(contact("a@x", "to"), ver="v1"),
        push(contact("b@x", "remove"), ver="v2"),
        push(contact("c@x"), ver="v3"),
    ]
    old = contact("a@x", "none") + contact("b@x")
    new = contact("a@x", "to") + contact("c@x")
    wrong = []
    for early in range(len(pushes) + 1):
        for items in (old, new) if early == len(pushes) else (old,):
            async with open_server() as server, connect(server) as client:
                gate, done = trio.Event(), trio.Event()

                async def reads(iq, items=items, gate=gate):
                    await gate.wait()
                    found = [(item.get("jid"), item.get("subscription")) for item in parse_script(items)]
                    return Roster(
                        items=tuple([Item(jid=JID.parse(jid), subscription=state) for jid, state in found]), ver="v"
                    )

                server.answer(RosterQuery, reads)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pushes_around, server, client, (gate, done), pushes, early)
                    async with open_roster(client) as roster:
                        await done.wait()
                        found = {(str(one.jid), str(one.subscription)) for one in roster}
                        if found != {("a@x", "to"), ("c@x", "both")} or (early < 3 and roster.version != "v3"):
                            wrong.append((early, items, found, roster.version))
    assert not wrong


async def _pushes_around(server, client, events, pushes, early):
    gate, done = events
    await trio.testing.wait_all_tasks_blocked()
    for number, stanza in enumerate(pushes):
        if number == early:
            gate.set()
            await trio.testing.wait_all_tasks_blocked()
        await forge(server, client, stanza)
    gate.set()
    done.set()


@pytest.mark.item("D1.3")
async def test_a_push_before_an_answer_that_never_comes_does_not_claim_its_version(server, autojump_clock):
    """Changes between the stored version and the push are in the answer, and in nothing else."""
    tell, asked = trio.open_memory_channel[str | None](10)
    async with connect(server) as client, open_roster(client) as roster:
        await roster.put("friend@example.net")
        version = roster.version

        async def never(iq):
            await tell.send(iq.payload.ver)
            await trio.sleep_forever()

        server.answer(RosterQuery, never)
        for _ in range(2):
            server.forget(str(client.jid))
            assert await asked.receive() == version
            await forge(server, client, push(contact(PARIS), ver="later"))
            assert PARIS in roster
            assert roster.version == version


async def test_other_tasks_run_while_a_long_roster_is_taken_over(server, autojump_clock):
    items = tuple([Item(jid=JID.parse(f"friend{number}@example.net"), subscription=BOTH) for number in range(3000)])
    server.answer(RosterQuery, lambda iq: Roster(items=items, ver="v"))
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with connect(server) as client, trio.open_nursery() as nursery:
        nursery.start_soon(other)
        async with open_roster(client) as roster:
            assert len(roster) == 3000
            assert turns >= 60  # the answer is read, and taken over, in slices of a hundred
        nursery.cancel_scope.cancel()


@pytest.mark.item("D1.4")
async def test_the_version_of_the_last_push_is_asked_with_in_the_next_session_and_process(server, autojump_clock):
    store = NoteKeeper()
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert queries(server, client) == [""]
        for number in range(3):
            await roster.put(f"friend{number}@example.net")
        version = server.accounts["romeo"].roster.version("count")
        assert roster.version == version
        await renewed(server, client)
        assert queries(server, client) == ["", version]
        await forge(server, client, push(contact(PARIS), ver="from the last push"))
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert queries(server, client)[-1] == "from the last push"


@pytest.mark.item("D1.5")
async def test_the_removal_of_an_unknown_contact_is_no_error(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        await forge(server, client, push(contact(PARIS, "remove"), id="p"))
        assert answer_to(server, "p") == "result"
        assert len(changes) == 0


@pytest.mark.item("D1.6")
async def test_without_versions_differences_are_told_and_not_all_contacts(server, autojump_clock):
    server.policy.roster_versions = False
    account = server.accounts["romeo"]
    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        assert (queries(server, client), roster.version) == ([None], None)
        for name in ("a", "b"):
            account.roster.add(f"{name}@example.net")
        await renewed(server, client)
        assert [type(event) for event in changes.take_all()] == [ContactAdded] * 2
        account.roster.discard("a@example.net")
        account.roster.add("b@example.net", "Benvolio")
        account.roster.add("c@example.net")
        await renewed(server, client)
        old = Contact(JID.parse("b@example.net"), subscription=BOTH)
        assert changes.take_all() == [
            ContactRemoved(Contact(JID.parse("a@example.net"), subscription=BOTH)),
            ContactChanged(Contact(JID.parse("b@example.net"), "Benvolio", subscription=BOTH), old),
            ContactAdded(Contact(JID.parse("c@example.net"), subscription=BOTH)),
        ]
        await resumed(server, client)
        assert len(queries(server, client)) == 3
        assert len(changes) == 0


# --- changing it


@pytest.mark.item("D1.7")
@on_every_bench(accounts=2)
async def test_contacts_are_put_renamed_and_removed(bench: Bench) -> None:
    client, _ = bench.clients
    friend = bench.jid(1)
    async with open_roster(client) as roster, bench.connect(0, "other") as other, open_roster(other) as mirror:
        await roster.put(friend, name="Friend", groups=["A", "B"])
        assert roster[friend] == Contact(JID.parse(friend), "Friend", frozenset({"A", "B"}))
        await mirror.wait(friend, lambda contact: contact is not None and contact.name == "Friend")
        await roster.put(friend, groups=["C"])
        assert roster[friend].name == "Friend"
        await mirror.wait(friend, lambda contact: contact is not None and contact.groups == {"C"})
        await mirror.put(friend, name=None)
        assert mirror[friend] == Contact(JID.parse(friend), groups=frozenset({"C"}))
        await roster.wait(friend, lambda contact: contact is not None and contact.name is None)
        assert {group: [str(one.jid) for one in members] for group, members in roster.groups().items()} == {
            "C": [friend]
        }
        assert friend in roster
        assert JID.parse(f"{friend}/resource") in roster
        await roster.remove(friend)
        assert (friend in roster, len(roster)) == (False, 0)
        with pytest.raises(KeyError):
            roster[friend]
        assert await mirror.wait(friend, lambda contact: contact is None) is None


@pytest.mark.item("D1.7")
async def test_a_set_says_nothing_of_the_subscription_unless_it_removes(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster:
        await roster.subscribe(PARIS)
        await roster.wait(PARIS, lambda contact: contact is not None and contact.asked)
        await roster.put(PARIS, name="Paris")
        await roster.put(JULIET, groups=["Capulets"])
        await roster.remove(PARIS)
        items = [iq[0][0] for iq in sent(server, client, "iq") if iq.get("type") == "set"]
        assert [dict(item.attrib) for item in items] == [
            {"jid": str(PARIS), "name": "Paris"},
            {"jid": str(JULIET)},
            {"jid": str(PARIS), "subscription": "remove"},
        ]


@pytest.mark.item("D1.8")
async def test_a_change_that_the_server_refuses_is_raised_and_changes_nothing(server, autojump_clock):
    def refuses(iq):
        raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE)

    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        server.answer(RosterSet, refuses)
        before, version = [*roster], roster.version
        for verb in (roster.put(PARIS, name="Paris"), roster.put(JULIET, name="J"), roster.remove(JULIET)):
            with pytest.raises(XMPPModifyError, match="not-acceptable"):
                await verb
        assert ([*roster], roster.version, len(changes)) == (before, version, 0)


@pytest.mark.item("D1.9")
async def test_an_unknown_state_of_a_subscription_counts_as_none(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster:
        await forge(server, client, push(contact(PARIS, "sometimes"), id="p"), push("<item jid='b@x'/>", id="q"))
        assert answer_to(server, "p") == "result"
        assert roster[PARIS].subscription is SubscriptionState.NONE
        assert roster["b@x"].subscription is SubscriptionState.NONE


@pytest.mark.item("D1.10")
async def test_ten_thousand_contacts_in_one_answer(server, autojump_clock):
    for number in range(10_000):
        server.accounts["romeo"].roster.add(f"friend{number}@example.net")
    store = NoteKeeper()
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert len(roster) == 10_001
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert len(roster) == 10_001
        assert roster["friend9999@example.net"].subscription is BOTH


# --- subscriptions


@pytest.mark.item("D1.11")
@pytest.mark.item("D1.12")
@on_every_bench(accounts=2)
async def test_a_subscription_is_asked_for_approved_and_cancelled(bench: Bench) -> None:
    romeo, juliet = bench.clients
    async with (
        open_roster(romeo) as his,
        open_roster(juliet) as hers,
        hers.changes() as changes,
        romeo.maintain(_shows_presence),
        juliet.maintain(_shows_presence),
    ):
        await his.subscribe(bench.jid(1), text="Art thou not Romeo?", nick="Romeo")
        await his.wait(bench.jid(1), lambda contact: contact is not None and contact.asked)
        event = await next_of(SubscriptionRequested, changes)
        assert event == SubscriptionRequested(JID.parse(bench.jid(0)), "Art thou not Romeo?", "Romeo")
        assert [*hers.requests] == [event.jid]
        await trio.sleep(1)
        assert not his[bench.jid(1)].is_seen  # nothing is approved unless the application does it
        await hers.approve(event.jid)
        assert not hers.requests
        contact = await his.wait(bench.jid(1), lambda contact: contact is not None and contact.is_seen)
        assert contact is not None
        assert not contact.asked
        await hers.wait(bench.jid(0), lambda contact: contact is not None and contact.sees_us)
        await hers.cancel(bench.jid(0))
        await his.wait(bench.jid(1), lambda contact: contact is None or not contact.is_seen)
        await his.subscribe(bench.jid(1))
        await next_of(SubscriptionRequested, changes)
        await hers.deny(bench.jid(0))
        assert not hers.requests
        await his.wait(bench.jid(1), lambda contact: contact is None or not contact.asked)


async def _shows_presence(client) -> None:
    await client.send(Presence())


@pytest.mark.item("D1.11")
@on_every_bench(accounts=2)
async def test_a_request_that_was_approved_before_needs_no_answer(bench: Bench) -> None:
    romeo, juliet = bench.clients
    if not juliet.has("urn:xmpp:features:pre-approval"):
        async with open_roster(juliet) as hers:
            with pytest.raises(XMPPError, match="feature-not-implemented"):
                await hers.preapprove(bench.jid(0))
        return
    async with (
        open_roster(romeo) as his,
        open_roster(juliet) as hers,
        romeo.maintain(_shows_presence),
        juliet.maintain(_shows_presence),
    ):
        await hers.preapprove(bench.jid(0))
        await hers.wait(bench.jid(0), lambda contact: contact is not None)  # Prosody 0.12 does not say `approved`
        await his.subscribe(bench.jid(1))
        await his.wait(bench.jid(1), lambda contact: contact is not None and contact.is_seen)
        assert not hers.requests


@pytest.mark.item("D1.11")
async def test_pre_approval_is_sent_only_where_it_is_offered(autojump_clock):
    async with (
        open_server(dialect=Dialect.EJABBERD_23) as server,
        connect(server) as client,
        open_roster(client) as roster,
    ):
        with pytest.raises(XMPPError, match="feature-not-implemented"):
            await roster.preapprove(JULIET)
        assert sent(server, client, "presence") == []


@pytest.mark.item("D1.12")
async def test_a_request_is_told_again_in_the_next_session_and_withdrawn_when_another_client_answers(
    server, autojump_clock
):
    request = f"<presence type='subscribe' from='{PARIS}'><status>{'x' * 5000}</status></presence>"
    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        await forge(server, client, request, request)
        assert changes.take_all() == [SubscriptionRequested(PARIS, "x" * 1000)]
        await renewed(server, client)
        assert not roster.requests
        await forge(server, client, request)
        assert changes.take_all() == [SubscriptionRequested(PARIS, "x" * 1000)]
        await forge(server, client, push(contact(PARIS, "from")))
        assert [type(event) for event in changes.take_all()] == [ContactAdded, RequestWithdrawn]
        assert not roster.requests


async def test_a_request_that_its_sender_withdraws_is_over(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        await forge(server, client, f"<presence type='subscribe' from='{PARIS}'/>")
        await forge(server, client, f"<presence type='unsubscribe' from='{PARIS}'/>")
        assert changes.take_all() == [SubscriptionRequested(PARIS), RequestWithdrawn(PARIS)]
        assert not roster.requests


async def test_the_roster_says_that_a_request_is_approved_beforehand(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster:
        await roster.preapprove(PARIS)
        await roster.wait(PARIS, lambda contact: contact is not None and contact.approved)
        await roster.cancel(PARIS)
        await roster.wait(PARIS, lambda contact: contact is not None and not contact.approved)


async def test_requests_of_strangers_are_bounded(server, autojump_clock):
    async with connect(server) as client, open_roster(client, requests=100) as roster:
        await forge(server, client, *[f"<presence type='subscribe' from='u{number}@x'/>" for number in range(2000)])
        assert [str(jid) for jid in roster.requests] == [f"u{number}@x" for number in range(1900, 2000)]


# --- attacks


@pytest.mark.item("B2.17")
@pytest.mark.item("D1.14")
async def test_a_push_of_another_sender_is_refused(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        strangers = [
            *("juliet@example.test", "juliet@example.test/balcony", "romeo@example.test/orchard"),
            *("romeo@example.test/other", "example.test", "romeo@example.test.example.net"),
        ]
        for number, stranger in enumerate(strangers):
            await forge(server, client, push(contact(PARIS), from_=stranger, id=f"p{number}", ver="forged"))
        answers = {answer_to(server, f"p{number}") for number in range(len(strangers))}
        assert answers == {"service-unavailable"}
        assert len(changes) == 0
        assert roster.version != "forged"
        await forge(server, client, push(contact(PARIS), from_=None, id="without a sender"))
        assert answer_to(server, "without a sender") == "result"
        assert PARIS in roster


@pytest.mark.item("D1.15")
async def test_a_malformed_push_is_a_bad_request(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, roster.changes() as changes:
        malformed = [
            push(contact("a@x"), contact("b@x")),
            push(),
            push(contact("@x")),
            push("<item/>"),
            push(contact("a@x"), contact("@x")),
        ]
        for number, stanza in enumerate(malformed):
            await forge(server, client, stanza.replace("'push'", f"'p{number}'"))
        assert {answer_to(server, f"p{number}") for number in range(len(malformed))} == {"bad-request"}
        assert len(changes) == 0
        await roster.put(PARIS)
        assert PARIS in roster


@pytest.mark.item("D1.16")
async def test_sixty_thousand_pushes_are_told_once_and_read_as_a_whole_next_time(server, autojump_clock):
    store = NoteKeeper()
    async with (
        connect(server, store=store) as client,
        client.events() as events,
        open_roster(client, limit=1000) as roster,
    ):
        for start in range(0, 60_000, 1000):
            await forge(
                server,
                client,
                *[push(contact(f"u{n}@x"), id=f"p{n}", ver=str(n)) for n in range(start, start + 1000)],
            )
        assert len(roster) == 1000
        assert answer_to(server, "p59999") == "result"
        troubles = [event for event in events.take_all() if isinstance(event, Trouble)]
        assert [trouble.service for trouble in troubles] == ["open_roster"]
        assert "more than 1000" in str(troubles[0].exception)
        await renewed(server, client)
        assert queries(server, client)[-1] == ""
        assert len(roster) == 1
    async with connect(server, store=store) as client, open_roster(client, limit=1000) as roster:
        assert len(roster) == 1


@pytest.mark.item("D1.17")
async def test_an_answer_of_another_sender_is_not_believed(autojump_clock):
    scripted = ScriptedServer()
    options = {"endpoint": scripted.endpoint, "allow_plaintext": True}
    async with trio.open_nursery() as nursery:

        async def plays():
            peer = await scripted.accept()
            await peer.negotiates(sm=None)
            await peer.expects(f"<iq type='get' id='$1'><query xmlns='{NS}'/></iq>")
            for from_ in ("juliet@example.test", "example.test", "romeo@example.test/other"):
                await peer.says(
                    f"<iq type='result' id='$1' from='{from_}'><query xmlns='{NS}'>{contact('evil@x')}</query></iq>"
                )
            await peer.says(f"<iq type='result' id='$1'><query xmlns='{NS}'>{contact(JULIET)}</query></iq>")
            await peer.expects_footer()
            await peer.says_footer()

        nursery.start_soon(plays)
        async with (
            trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as client,
            open_roster(client) as roster,
        ):
            assert [str(one.jid) for one in roster] == [str(JULIET)]


async def _opened_with(answer: str) -> list[Contact] | BaseException:
    """Open a roster whose question gets this answer; return its contacts, or what opening it raises."""
    scripted = ScriptedServer()
    options = {"endpoint": scripted.endpoint, "allow_plaintext": True}
    found: list[Contact] | BaseException = []

    async def plays():
        peer = await scripted.accept()
        await peer.negotiates(sm=None)
        await peer.expects(f"<iq type='get' id='$1'><query xmlns='{NS}'/></iq>")
        await peer.says(answer)
        await peer.expects_footer()
        await peer.says_footer()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(plays)
        async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as client:
            try:
                async with open_roster(client) as roster:
                    found = [*roster]
            except Exception as exc:
                found = exc
    return found


async def test_malformed_contacts_of_an_answer_are_passed_over_and_another_answer_is_an_error(autojump_clock, caplog):
    items = ["<item/>", contact("a@x"), contact("@x"), "<other xmlns='urn:x'/>", contact("b@x", "sideways")]
    found = await _opened_with(f"<iq type='result' id='$1'><query xmlns='{NS}'>{''.join(items)}</query></iq>")
    assert found == [
        Contact(JID.parse("a@x"), subscription=BOTH),
        Contact(JID.parse("b@x"), subscription=SubscriptionState.NONE),
    ]
    warnings = [record for record in caplog.records if "malformed contact" in record.getMessage()]
    assert [record.levelname for record in warnings if record.levelname == "WARNING"] == ["WARNING"]
    wrong = await _opened_with("<iq type='result' id='$1'><query xmlns='urn:x'/></iq>")
    assert isinstance(wrong, ErroneousStanza)
    refused = await _opened_with(
        "<iq type='error' id='$1'><error type='cancel'>"
        "<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
    assert isinstance(refused, XMPPError)
    assert refused.condition is StanzaCondition.FORBIDDEN


# --- notes


async def test_a_store_that_fails_is_told_once_and_catches_up_later(server, autojump_clock):
    store = NoteKeeper()
    async with connect(server, store=store) as client, client.events() as events, open_roster(client) as roster:
        await trio.testing.wait_all_tasks_blocked()
        store.failing = True
        for name in ("a", "b", "c"):
            await roster.put(f"{name}@example.net")
            await trio.testing.wait_all_tasks_blocked()
        assert [str(event.exception) for event in events.take_all()] == ["the disk is full"]
        store.failing = False
        await roster.put("d@example.net")
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert queries(server, client)[-1] == server.accounts["romeo"].roster.version("count")
        assert len(roster) == 5


async def test_damaged_notes_cost_the_version_and_no_more(server, autojump_clock):
    store = NoteKeeper()
    async with connect(server, store=store) as client, open_roster(client):
        pass
    damaged = {"juliet@example.test": "[]", "@@": "{}", "b@x": '{"subscription": "remove?"}', "c@x": '{"groups": 7}'}
    await store.write_notes("roster", damaged)
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert queries(server, client)[-1] == ""
        assert [*roster] == [Contact(JULIET, subscription=BOTH)]
    async with connect(server, store=store) as client, open_roster(client) as roster:
        assert queries(server, client)[-1] not in ("", None)
