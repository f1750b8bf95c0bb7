"""Rooms that do not let us in: each reason is told, none hangs (D4.2, D4.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.xep.muc.rooms import server_room, until
from trioxmpp import JID, Client, xml
from trioxmpp.errors import StanzaCondition, XMPPCancelError, XMPPWaitError
from trioxmpp.protocol.elements.disco import InfoQuery
from trioxmpp.protocol.elements.forms import DataForm, Field, FormType
from trioxmpp.protocol.elements.muc import AdminItem, AdminSet, Affiliation, Destroy, Join, OwnerSet
from trioxmpp.protocol.stanza import Presence
from trioxmpp.xep.muc import GoneReason, JoinProblem, JoinRefused, Rejoin, RoomConfig, RoomGone, open_room
from trioxmpp.xep.muc.problems import refusal_of


async def refused(client: Client, jid: str, nick: str = "juliet", **options: object) -> JoinRefused:
    """Try to enter, and return the refusal."""
    with pytest.raises(JoinRefused) as caught:
        async with open_room(client, jid, nick, **options):  # type: ignore[arg-type]
            raise AssertionError("the room let us in")
    assert not client.claimed(JID.parse(jid))
    return caught.value


def configured(**fields: object) -> Callable[[RoomConfig], None]:
    def configure(config: RoomConfig) -> None:
        for name, value in fields.items():
            setattr(config, name, value)

    return configure


@pytest.mark.item("D4.2", "B2.6")
@on_every_bench(accounts=2)
async def test_a_nick_that_is_taken_is_refused(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as room:
        assert (await refused(bench.clients[1], jid, "romeo")).reason is JoinProblem.NICK_TAKEN
        assert (await room.say("still here")).by_us


@pytest.mark.item("D4.2")
@on_every_bench(accounts=2)
async def test_a_room_with_a_password_wants_it(bench: Bench) -> None:
    jid = bench.room()
    secret = configured(password_protected=True, password="hyacinth")
    async with open_room(bench.clients[0], jid, "romeo", create=secret):
        assert (await refused(bench.clients[1], jid)).reason is JoinProblem.PASSWORD
        assert (await refused(bench.clients[1], jid, password="rose")).reason is JoinProblem.PASSWORD
        async with open_room(bench.clients[1], jid, "juliet", password="hyacinth") as room:
            assert room.joined


@pytest.mark.item("D4.2")
@on_every_bench(accounts=2)
async def test_only_members_enter_a_room_for_members(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=configured(members_only=True)):
        assert (await refused(bench.clients[1], jid)).reason is JoinProblem.MEMBERS_ONLY


@pytest.mark.item("D4.2")
@on_every_bench(accounts=2)
async def test_a_banned_account_does_not_enter(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True):
        item = AdminItem(jid=bench.clients[1].jid.bare, affiliation=Affiliation.OUTCAST)
        await bench.clients[0].request(AdminSet(items=(item,)), to=jid)
        assert (await refused(bench.clients[1], jid)).reason is JoinProblem.BANNED


@pytest.mark.item("D4.2")
@on_every_bench(accounts=2)
async def test_a_full_room_says_so_in_the_way_of_each_server(bench: Bench) -> None:
    if bench.label == "prosody":
        pytest.skip("Prosody has no limit of occupants")
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True):
        form = (
            Field(var="FORM_TYPE", values=("http://jabber.org/protocol/muc#roomconfig",)),
            Field(var="muc#roomconfig_maxusers", values=("5" if bench.server is None else "1",)),
        )
        await bench.clients[0].request(OwnerSet(form=DataForm(type=FormType.SUBMIT, fields=form)), to=jid)
        if bench.server is None:
            pytest.skip("a real room has room for five at least")
        assert (await refused(bench.clients[1], jid)).reason is JoinProblem.FULL


@pytest.mark.item("D4.2")
@on_every_bench(accounts=1)
async def test_a_room_that_does_not_exist_is_not_created_by_entering(bench: Bench) -> None:
    jid = bench.room()
    assert (await refused(bench.clients[0], jid)).reason is JoinProblem.NO_ROOM
    await trio.sleep(0.5)
    with pytest.raises(Exception, match="item-not-found"):
        await bench.clients[0].request(InfoQuery(), to=jid)


@pytest.mark.item("D4.2", "D4.21")
@on_every_bench(accounts=2)
async def test_a_locked_room_is_not_a_missing_one(bench: Bench) -> None:
    bench.has("pre-created rooms locked")
    jid = bench.room()
    romeo = bench.clients[0]
    async with romeo.presences.subscribe() as inbox:
        await romeo.send(Presence(to=f"{jid}/romeo", payloads=[Join()]))
        await anext(inbox)
    refusal = await refused(bench.clients[1], jid)
    assert refusal.reason in (JoinProblem.LOCKED, JoinProblem.NO_ROOM)
    if bench.server is not None:
        assert refusal.reason is JoinProblem.LOCKED


@pytest.mark.item("D4.2")
@on_every_bench(accounts=2)
async def test_a_room_that_was_destroyed_names_the_other_one(bench: Bench) -> None:
    if not bench.dialect.remembers_destroyed:
        pytest.skip(f"{bench.dialect.name} forgets rooms that were destroyed")
    jid = bench.room()
    other = JID.parse(bench.room())
    with pytest.raises(RoomGone) as gone:
        async with open_room(bench.clients[0], jid, "romeo", create=configured(persistent=True)):
            await bench.clients[0].request(OwnerSet(destroy=Destroy(jid=other, reason="plague")), to=jid)
            await trio.sleep_forever()
    assert (gone.value.reason, gone.value.alternate, gone.value.text) == (GoneReason.DESTROYED, other, "plague")
    refusal = await refused(bench.clients[1], jid, create=True)
    assert (refusal.reason, refusal.condition) == (JoinProblem.NO_ROOM, StanzaCondition.GONE)


@pytest.mark.item("D4.2")
@on_every_bench(accounts=2)
async def test_a_reserved_nick_is_taken(bench: Bench) -> None:
    server, jid = bench.embedded(), bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True):
        server_room(server, jid).nicks[bench.jid(0)] = "montague"
        assert (await refused(bench.clients[1], jid, "montague")).reason is JoinProblem.NICK_TAKEN


@on_every_bench(accounts=1)
async def test_a_room_that_cannot_be_configured_is_left(bench: Bench) -> None:
    server, jid, (client,) = bench.embedded(), bench.room(), bench.clients
    domain = JID.parse(jid).domain
    receive = server.post.hosts[domain]
    left: list[str] = []

    def refuse(stanza: xml.Element) -> None:
        if stanza.get("type") == "set":
            error = "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            server.send(f"<iq type='error' id='{stanza.get('id')}' from='{jid}' to='{client.jid}'>{error}</iq>")
        else:
            left.append(str(stanza.get("type")))
            receive(stanza)

    server.post.hosts[domain] = refuse
    for create in (True, configured(persistent=True)):
        refusal = await refused(client, jid, "romeo", create=create)
        assert (refusal.reason, refusal.condition) == (JoinProblem.OTHER, StanzaCondition.FORBIDDEN)
        assert "the new room cannot be configured" in str(refusal)
        await trio.testing.wait_all_tasks_blocked()
        assert left[-1] == "unavailable"


@pytest.mark.item("D4.2")
def test_each_condition_has_its_reason() -> None:
    found = {
        name: refusal_of(error).reason
        for name, error in {
            "not-acceptable": XMPPCancelError(StanzaCondition.NOT_ACCEPTABLE),
            "jid-malformed": XMPPCancelError(StanzaCondition.JID_MALFORMED),
            "service-unavailable": XMPPWaitError(StanzaCondition.SERVICE_UNAVAILABLE),
            "resource-constraint": XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT),
            "remote-server-not-found": XMPPCancelError(StanzaCondition.REMOTE_SERVER_NOT_FOUND),
            "remote-server-timeout": XMPPWaitError(StanzaCondition.REMOTE_SERVER_TIMEOUT),
            "not-allowed": XMPPCancelError(StanzaCondition.NOT_ALLOWED, "Room creation is denied"),
            "not-allowed remote": XMPPCancelError(StanzaCondition.NOT_ALLOWED, "Remote access is denied"),
            "internal-server-error": XMPPCancelError(StanzaCondition.INTERNAL_SERVER_ERROR),
        }.items()
    }
    assert found == {
        "not-acceptable": JoinProblem.NICK_LOCKED,
        "jid-malformed": JoinProblem.NICK_MALFORMED,
        "service-unavailable": JoinProblem.FULL,
        "resource-constraint": JoinProblem.FULL,
        "remote-server-not-found": JoinProblem.UNREACHABLE,
        "remote-server-timeout": JoinProblem.UNREACHABLE,
        "not-allowed": JoinProblem.NO_ROOM,
        "not-allowed remote": JoinProblem.UNREACHABLE,
        "internal-server-error": JoinProblem.OTHER,
    }


@pytest.mark.item("D4.2")
def test_gone_names_the_other_room_only_if_it_is_one() -> None:
    for address, alternate in (
        ("xmpp:other@conference.example.org?join", JID.parse("other@conference.example.org")),
        ("https://example.org/", None),
        ("", None),
    ):
        refusal = refusal_of(XMPPCancelError(StanzaCondition.GONE, address=address))
        assert refusal.reason is JoinProblem.NO_ROOM
        assert refusal.alternate == alternate, address


@pytest.mark.item("D4.3", "B2.6")
@on_every_bench(accounts=1)
async def test_a_service_that_does_not_answer_is_left_after_the_deadline(bench: Bench) -> None:
    server = bench.embedded()
    swallowed: list[str] = []
    server.post.hosts["silent.example.test"] = lambda stanza: swallowed.append(str(stanza.get("type")))
    began = trio.current_time()
    refusal = await refused(bench.clients[0], "room@silent.example.test", rejoin=Rejoin(deadline=60))
    assert refusal.reason is JoinProblem.UNREACHABLE
    assert 60 <= trio.current_time() - began <= 80
    await until(lambda: swallowed.count("unavailable") == 1)
