"""Settings of every session: carbons (XEP-0280), and the inactive client state (XEP-0352)."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing

import trioxmpp
from tests.dialogs import renewed, resumed
from trioxmpp import Client, Established, MemoryStore, Message, MessageType, Resumed, Suspended
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements import carbons
from trioxmpp.testing import ScriptedServer, Server, ServerSession, open_server
from trioxmpp.xep.carbons import Direction, open_carbons

CARBONS = {"inline": [carbons.Enable()], "services": [open_carbons]}
CSI = f"<csi xmlns='{ns.CSI}'/>"
INACTIVE = f"<inactive xmlns='{ns.CSI}'/>"


def session_of(server: Server, client: Client) -> ServerSession:
    return server.sessions[str(client.jid)]


def requests(server: Server) -> list[str]:
    """The requests to the server, without messages."""
    return [str(each.stanza[0].tag) for each in server.log if each.stanza.tag == f"{{{ns.CLIENT}}}iq"]


@pytest.fixture
async def server(autojump_clock):
    async with open_server(starttls="required") as server:
        yield server


@pytest.fixture(params=["classic", "inline"])
def either(request, server):
    server.policy.sasl2 = request.param == "inline"
    return server


def connect(server: Server, name: str = "romeo", **options):
    tls = server.client_tls_context()
    return trioxmpp.connect(f"{name}@example.test", "secret", endpoint=server.endpoint, tls=tls, **options)


# --- carbons


async def test_copies_of_what_others_send_and_get(either, autojump_clock):
    chat = partial(Message, type=MessageType.CHAT)
    async with (
        connect(either) as phone,
        connect(either, "juliet") as juliet,
        connect(either, inline=[carbons.Enable()]) as desk,
        open_carbons(desk) as copies,
        desk.messages.subscribe(MessageType.CHAT) as inbox,
    ):
        await juliet.send(chat(to=phone.jid, body="Art thou not Romeo?"))
        await phone.send(chat(to=juliet.jid, body="Neither, fair saint."))
        received, sent = await anext(copies), await anext(copies)
        assert len(inbox) == 0
    assert (received.direction, received.message.body) == (Direction.RECEIVED, "Art thou not Romeo?")
    assert (sent.direction, sent.message.body) == (Direction.SENT, "Neither, fair saint.")


async def test_a_client_gets_no_copies_without_having_asked(either, autojump_clock):
    async with connect(either) as client:
        assert not session_of(either, client).carbons
        assert requests(either) == []


async def test_they_are_asked_for_along_with_the_login_where_that_is_possible(server, autojump_clock):
    server.policy.sasl2 = True
    async with connect(server, **CARBONS) as client:
        assert session_of(server, client).carbons
        await renewed(server, client)
        assert session_of(server, client).carbons
        assert requests(server) == []


@pytest.mark.parametrize("why", ["no SASL2", "not inline", "a resource of our own"])
async def test_or_else_right_after_it(server, autojump_clock, why):
    server.policy.sasl2 = why != "no SASL2"
    if why == "not inline":
        server.policy.carbons = False  # so that it is not in what the session can begin with
    own = "/orchard" if why == "a resource of our own" else ""
    tls = server.client_tls_context()
    jid = f"romeo@example.test{own}"
    async with trioxmpp.connect(jid, "secret", endpoint=server.endpoint, tls=tls, **CARBONS) as client:
        await client.drain()
        assert requests(server) == [f"{{{ns.CARBONS}}}enable"]
        assert session_of(server, client).carbons == server.policy.carbons


async def test_every_new_session_has_them_and_a_resumed_one_still(either, autojump_clock):
    asked = not either.policy.sasl2
    async with connect(either, **CARBONS) as client:
        await client.drain()
        assert len(requests(either)) == asked
        await resumed(either, client)
        assert session_of(either, client).carbons
        assert len(requests(either)) == asked
        await renewed(either, client)
        await client.drain()
        assert session_of(either, client).carbons
        assert len(requests(either)) == asked * 2


async def test_a_server_without_them_is_no_reason_to_stay_away(server, autojump_clock, caplog):
    server.policy.carbons = False
    async with connect(server, **CARBONS) as client:
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="there"))
        await trio.testing.wait_all_tasks_blocked()
        assert client.established
    assert "going on without carbons: " in caplog.text
    assert "service-unavailable" in caplog.text


async def test_a_process_that_takes_over_the_session_of_another_has_them_too(either, autojump_clock):
    store = MemoryStore()
    async with connect(either, store=store) as client:
        await client.suspend()
    async with connect(either, store=store, **CARBONS) as client:
        await client.drain()
        assert session_of(either, client).resumptions == 1
        assert session_of(either, client).carbons


async def test_the_first_message_is_copied_already(server, autojump_clock):
    """The client need not wait for the answer: the server takes one after the other (RFC 6120 §10.1)."""
    async with connect(server, **CARBONS) as client:
        client.enqueue(Message(to="juliet@example.test", type=MessageType.CHAT, body="first"))
        await client.drain()
        assert [str(each.stanza.tag).rpartition("}")[2] for each in server.log] == ["iq", "message"]


# --- client state: whether a person looks


async def test_the_server_is_told_that_no_person_is_looking(either, autojump_clock):
    async with connect(either) as client:
        session = session_of(either, client)
        assert client.active
        client.set_active(False)
        assert not client.active
        await either.until(lambda: not session.active)
        client.set_active(True)
        await either.until(lambda: session.active)


async def test_it_is_told_again_on_every_link(either, autojump_clock):
    async with connect(either) as client:
        client.set_active(False)
        await either.until(lambda: not session_of(either, client).active)
        await resumed(either, client)
        assert not session_of(either, client).active
        await resumed(either, client)
        assert not session_of(either, client).active
        await renewed(either, client)
        assert not session_of(either, client).active
        client.set_active(True)
        await resumed(either, client)
        await renewed(either, client)
        assert session_of(either, client).active


async def test_a_state_that_is_set_without_a_link_holds_for_the_next(either, autojump_clock):
    async with connect(either) as client, client.events() as events:
        session_of(either, client).link.reset()
        assert isinstance(await anext(events), Suspended)
        client.set_active(False)
        assert isinstance(await anext(events), Resumed)
        await either.until(lambda: not session_of(either, client).active)


async def test_a_person_who_looks_again_while_a_new_session_begins_is_seen(server, autojump_clock):
    """The login that is under way tells the inactive state."""
    server.policy.sasl2 = True
    async with connect(server) as client, client.events() as events:
        client.set_active(False)
        server.forget(str(client.jid))
        client.stream.on_stream_established.connect(lambda: client.set_active(True))
        while not isinstance(await anext(events), Established):
            pass
        await trio.testing.wait_all_tasks_blocked()
        assert session_of(server, client).active


async def test_neither_side_counts_it(either, autojump_clock):
    async with connect(either) as client:
        for number in range(3):
            client.set_active(bool(number % 2))
            await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body=str(number)))
        await resumed(either, client)
        assert session_of(either, client).handled_count == 3


async def test_a_server_that_does_not_want_to_know_is_not_told(either, autojump_clock):
    """It would end the stream."""
    either.policy.csi = False
    async with connect(either) as client:
        client.set_active(False)
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="still here"))
        await resumed(either, client)
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="still here"))
        assert either.link_count == 2
        assert session_of(either, client).active


async def test_a_server_may_learn_to_ask(server, autojump_clock):
    server.policy.csi = False
    async with connect(server) as client:
        client.set_active(False)
        server.policy.csi = True
        await renewed(server, client)
        assert not session_of(server, client).active


async def test_it_stands_before_what_is_sent_later(autojump_clock):
    server = ScriptedServer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk, server)
        peer = await server.accept()
        await peer.authenticates(f"<bind xmlns='{ns.BIND}'/>", CSI)
        await peer.expects(f"<iq type='set' id='$1'><bind xmlns='{ns.BIND}'/></iq>")
        await peer.says(
            f"<iq type='result' id='$1'><bind xmlns='{ns.BIND}'><jid>romeo@example.test/1</jid></bind></iq>"
        )
        await peer.expects(INACTIVE)
        await peer.expects("<message to='juliet@example.test' type='chat'><body>Adieu</body></message>")
        await peer.expects_footer()
        await peer.says_footer()


async def talk(server: ScriptedServer) -> None:
    """As a client whose user has looked away."""
    options = {"endpoint": server.endpoint, "allow_plaintext": True}
    async with trioxmpp.connect("romeo@example.test", "secret", **options) as client:
        client.set_active(False)
        await client.send(Message(to="juliet@example.test", type=MessageType.CHAT, body="Adieu"))
