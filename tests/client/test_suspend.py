"""Sessions that go on in another process: suspended, or left behind by one that was killed."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    JID,
    Change,
    ConnectError,
    DestructionRequested,
    FileStore,
    Get,
    MemoryStore,
    Message,
    MessageType,
    PendingRequest,
    SQLiteStore,
    StanzaState,
    StoredSession,
    StoredStanza,
    StoreError,
    xml,
)
from trioxmpp.testing import Faults

TO = "juliet@example.test/orchard"
ROMEO = "romeo@example.test/orchard"


@xml.element("urn:example:thinking", "question")
class Question(Get[None]):
    """What do you think?"""


def chat(body: str, to: str = TO) -> Message:
    return Message(to=to, type=MessageType.CHAT, body=body)


@pytest.fixture(params=["memory", "file", "sqlite"])
def store(request, tmp_path):
    kinds = {
        "memory": MemoryStore,
        "file": lambda: FileStore(tmp_path / "session"),
        "sqlite": lambda: SQLiteStore(tmp_path / "session.db"),
    }
    return kinds[request.param]()


async def reads(inbox, count: int) -> list[str | None]:
    return [(await anext(inbox)).body for _ in range(count)]


async def test_another_process_goes_on_with_a_suspended_session(autojump_clock, road, store):
    async with road.connect(store=store) as client:
        jid = client.jid
        assert client.restored is None
        await client.suspend()
        with pytest.raises(DestructionRequested):
            client.enqueue(chat("too late"))
    session = road.session()
    async with road.connect(store=store) as client:
        assert client.restored.resumed
        assert client.jid == jid
        await client.send(chat("I am back", ROMEO))
        assert session.resumptions == 1
        assert road.session() is session


async def test_a_stanza_that_was_not_acknowledged_goes_with_the_session_and_arrives_once(autojump_clock, road, store):
    async with road.connect("juliet", endpoint=road.server.endpoint) as juliet, juliet.messages.subscribe() as inbox:
        async with road.connect(store=store) as client:
            road.session().link.black_hole("in")
            client.enqueue(chat("sent"))
            await trio.testing.wait_all_tasks_blocked(0.1)
            road.blocked = True
            road.session().link.reset()
            await trio.testing.wait_all_tasks_blocked(0.1)
            client.enqueue(chat("queued"))
            await client.suspend()
        road.blocked = False
        async with road.connect(store=store) as client:
            assert [token.stanza.body for token in client.restored.tokens] == ["sent", "queued"]
            client.enqueue(chat("new"))
            await client.drain()
            assert {token.state for token in client.restored.tokens} == {StanzaState.ACKED}
        assert await reads(inbox, 3) == ["sent", "queued", "new"]
        assert len(inbox) == 0


async def test_a_message_that_arrives_before_any_listener_waits_for_one(autojump_clock, road, store):
    async with road.connect("juliet") as juliet:
        async with road.connect(store=store) as client:
            await client.suspend()
        await juliet.send(chat("meanwhile", ROMEO))
        async with road.connect(store=store) as client:
            await trio.sleep(10)
            async with client.messages.subscribe(MessageType.GROUPCHAT), client.messages.subscribe() as inbox:
                assert await reads(inbox, 1) == ["meanwhile"]


async def test_an_unwanted_message_does_not_hold_up_the_others_forever(autojump_clock, road):
    store = MemoryStore()
    async with road.connect("juliet") as juliet:
        async with road.connect(store=store) as client:
            await client.suspend()
        await juliet.send(chat("meanwhile", ROMEO))
        async with road.connect(store=store) as client:
            await trio.sleep(10)
            assert client.stream.sm_inbound_ctr == 0
            await trio.sleep(60)
            assert client.stream.sm_inbound_ctr == 1


async def test_a_message_that_arrives_in_a_new_session_waits_too(autojump_clock, road, store):
    async with road.connect("juliet") as juliet, road.connect(store=store) as client:
        await juliet.send(chat("early", ROMEO))
        await trio.sleep(10)
        async with client.messages.subscribe(ack="manual") as inbox:
            assert await reads(inbox, 1) == ["early"]
            assert client.stream.sm_inbound_ctr == 0
        assert client.stream.sm_inbound_ctr == 1


async def left_in(store):
    """Return the content of the store while no client uses it."""
    ticket = await store.load()
    await store.aclose()
    return ticket


async def test_leaving_the_block_ends_the_session(autojump_clock, road, store, tmp_path):
    async with road.connect(store=store):
        pass
    assert not (await left_in(store)).has_session
    assert ROMEO not in road.server.sessions
    async with road.connect(store=store) as client:
        assert client.restored is None


async def test_leaving_the_block_by_an_exception_ends_it_too(autojump_clock, road, store):
    with pytest.raises(KeyError):
        async with road.connect(store=store):
            raise KeyError
    assert not (await left_in(store)).has_session


async def test_a_killed_process_leaves_all_that_it_sent(autojump_clock, road):
    store = MemoryStore()
    async with road.connect("juliet", endpoint=road.server.endpoint) as juliet, juliet.messages.subscribe() as inbox:
        async with road.connect(store=store) as old:
            await old.send(chat("0"))
            for n in range(1, 100):
                old.enqueue(chat(str(n)))
            road.session().link.cut_after(5000, "in")
            await road.server.until(lambda: road.session().hibernating)
            road.blocked = True  # for the one that was killed, which is still there in this test
            left = MemoryStore(store.ticket)
            async with road.connect(store=left, endpoint=road.server.endpoint) as client:
                assert client.restored.resumed
                await client.drain()
                await client.send(chat("end"))
        bodies = []
        while "end" not in bodies:
            bodies += await reads(inbox, 1)
        assert len(bodies) > 10
        assert bodies[:-1] == [str(n) for n in range(len(bodies) - 1)]


async def test_requests_that_waited_are_reported(autojump_clock, road, caplog):
    store = MemoryStore()
    async with road.connect("juliet") as juliet, juliet.iq_requests(trioxmpp.IQType.GET, Question) as requests:
        async with trio.open_nursery() as nursery, road.connect(store=store) as client:

            async def ask() -> None:
                with pytest.raises(ConnectionError):
                    await client.request(Question(), to=TO)

            nursery.start_soon(ask)
            request = await anext(requests)
            await client.suspend()
        async with road.connect(store=store) as client:
            assert client.restored.orphaned == (PendingRequest(request.iq.id, juliet.jid),)
            assert f"no task waits any more for the reply of {juliet.jid}" in caplog.text
            request.reply()
            await client.send(chat("still here", ROMEO))
            await client.suspend()
        async with road.connect(store=store) as client:
            assert client.restored.orphaned == ()


async def test_a_session_that_expired_is_replaced(autojump_clock, road, store):
    async with road.connect(store=store) as client:
        road.session().link.black_hole("in")
        client.enqueue(chat("lost"))
        await trio.testing.wait_all_tasks_blocked(0.1)
        await client.suspend()
    road.server.expire(ROMEO)
    async with road.connect(store=store) as client:
        assert not client.restored.resumed
        (token,) = client.restored.tokens
        assert token.state in (StanzaState.DISCONNECTED, StanzaState.SENT_WITHOUT_SM)
        await client.send(chat("new session", ROMEO))
        await client.suspend()
    async with road.connect(store=store) as client:
        assert client.restored.resumed


async def test_a_session_is_kept_while_the_server_cannot_be_reached(autojump_clock, road, store):
    async with road.connect(store=store) as client:
        await client.suspend()
    road.blocked = True
    with pytest.raises(ConnectError):
        async with road.connect(store=store):
            pytest.fail("connected")
    with trio.move_on_after(5):
        road.blocked = False
        road.server.plan(Faults(silent=True))
        async with road.connect(store=store):
            pytest.fail("connected")
    async with road.connect(store=store) as client:
        assert client.restored.resumed


async def test_a_session_is_kept_when_the_client_gives_up(autojump_clock, road):
    store = MemoryStore()
    with pytest.raises(ConnectionResetError):
        async with road.connect(store=store, reconnect=None):
            road.session().link.reset()
            await trio.sleep_forever()
    async with road.connect(store=store) as client:
        assert client.restored.resumed


async def test_suspending_does_not_hide_why_the_client_gave_up(autojump_clock, road):
    with pytest.raises(ConnectionResetError):
        async with road.connect(store=MemoryStore(), reconnect=None) as client:
            road.session().link.reset()
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await client.suspend()


async def test_suspending_in_an_outage(autojump_clock, road, store):
    async with road.connect(store=store) as client:
        road.blocked = True
        road.session().link.reset()
        await trio.sleep(20)
        client.enqueue(chat("queued", ROMEO))
        await client.suspend()
    road.blocked = False
    async with road.connect(store=store) as client:
        (token,) = client.restored.tokens
        await token


async def test_suspending_needs_a_store(autojump_clock, road):
    async with road.connect() as client:
        with pytest.raises(RuntimeError, match="store"):
            await client.suspend()
        with pytest.raises(RuntimeError, match="store"):
            await client.post(chat("hello"))


async def test_the_store_of_another_account_is_refused(autojump_clock, road, store):
    async with road.connect(store=store) as client:
        await client.suspend()
    with pytest.raises(StoreError, match=r"romeo@example\.test"):
        async with road.connect("juliet", store=store):
            pytest.fail("connected")


@pytest.mark.parametrize("text", ["<message", "", "text", "<query xmlns='jabber:iq:roster'/>", "<iq type='who'/>"])
async def test_a_stored_stanza_that_cannot_be_read_is_set_aside(autojump_clock, road, text, caplog):
    good = "<message to='juliet@example.test' id='good'><body>good</body></message>"
    stanzas = (StoredStanza(1, text, sent=1, durable=True), StoredStanza(2, good, durable=True))
    store = MemoryStore(StoredSession(JID.parse(ROMEO), 0.0, stanzas=stanzas))
    async with road.connect(store=store) as client:
        for posted in client.posted:
            await posted
    assert "set aside stanza 1 of the store" in caplog.text
    assert road.server.log[-1].stanza.get("id") == "good"
    assert store.ticket is None or not store.ticket.stanzas


class FullDisk(MemoryStore):
    """Has no room for any change."""

    async def update(self, change: Change) -> None:
        raise StoreError("no space left on device")


async def test_a_store_that_fails_ends_the_client_before_anything_is_sent(autojump_clock, road):
    with pytest.raises(StoreError, match="no space"):
        async with road.connect(store=FullDisk()) as client:
            client.enqueue(chat("hello", ROMEO))
            await trio.sleep_forever()
    assert road.session().resumptions == 0


async def test_without_stream_management_there_is_nothing_to_resume(autojump_clock, road, store):
    road.server.policy.sm = False
    async with road.connect(store=store) as client:
        await client.send(chat("hello", ROMEO))
        await client.suspend()
    async with road.connect(store=store) as client:
        assert client.restored is None or not client.restored.resumed
