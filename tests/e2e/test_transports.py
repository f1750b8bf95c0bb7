"""The same on every way in: STARTTLS, TLS from the first byte, WebSocket, and WebSocket over TLS."""

from __future__ import annotations

import contextlib
import ssl

import pytest
import trio

import trioxmpp
from tests.e2e.ways import Meeting, defect, every_way
from trioxmpp import (
    AuthenticationFailure,
    Destroyed,
    Established,
    Message,
    MessageType,
    Presence,
    Resumed,
    StanzaState,
    Suspended,
    TLSFailure,
)
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing.servers import Relay

HARM = {
    "was reset": Relay.reset,
    "was reset within a stanza": lambda relay: relay.reset(after=100),
    "fell silent": Relay.black_hole,
}


@pytest.fixture
def meeting(real_server, way, nursery) -> Meeting:
    return Meeting(real_server, way, nursery)


@every_way
@pytest.mark.cell("Ways in", "two clients talk, in every script, up to 50 kB at once")
async def test_two_clients_talk(meeting):
    texts = ["Art thou not Romeo?", "<&>\"'", "Привет 😀", "x" * 50_000, *map(str, range(200))]
    async with meeting.connect("romeo") as romeo, meeting.connect("juliet") as juliet:
        async with juliet.messages.subscribe(MessageType.CHAT) as inbox:
            tokens = [romeo.enqueue(Message(to=juliet.jid, type=MessageType.CHAT, body=text)) for text in texts]
            assert [(await anext(inbox)).body for _ in texts] == texts
        await romeo.drain()
        assert {token.state for token in tokens} == {StanzaState.ACKED}
        await romeo.request(Ping(), to=meeting.server.domain)


@every_way
@pytest.mark.parametrize("harm", list(HARM))
@pytest.mark.cell("Coming back", "a session is resumed after a link that {harm}")
async def test_a_broken_link_is_replaced_and_the_session_goes_on(meeting, impatient, way, harm):
    if harm == "was reset within a stanza" and way == "ws" and meeting.server.name == "prosody":
        defect("Prosody reads what is said after a resumption as the rest of the frame that it had read half of")
    got, happened = [], []
    async with (
        meeting.relay() as (relay, url),
        meeting.connect("romeo", url, **impatient) as romeo,
        meeting.connect("juliet") as juliet,
    ):
        romeo.on_event.connect(lambda event: happened.append(type(event)))
        async with juliet.messages.subscribe(MessageType.CHAT) as inbox:
            for n in range(20):
                if n == 10:
                    HARM[harm](relay)
                romeo.enqueue(Message(to=juliet.jid, type=MessageType.CHAT, body=str(n)))
            with trio.fail_after(30):
                got += [(await anext(inbox)).body for _ in range(20)]
        assert got == [str(n) for n in range(20)]
        await romeo.drain()
        assert happened == [Suspended, Resumed]
        assert relay.connections == 2


@pytest.mark.parametrize("way", ["direct TLS", "wss"])
async def test_a_restarted_server_is_found_again(meeting):
    async with meeting.connect("romeo") as romeo:
        await meeting.server.restart()
        with trio.fail_after(50):
            while True:
                with contextlib.suppress(ConnectionError):
                    await romeo.request(Ping())
                    break
                await trio.sleep(0.1)


@every_way
@pytest.mark.cell("Ways in", "a wrong password is told as such")
async def test_a_wrong_password_is_told(meeting):
    with pytest.raises(AuthenticationFailure) as failure:
        async with trioxmpp.connect("romeo@example.test", "wrong", endpoint=meeting.url, **meeting.options):
            pass
    assert failure.value.condition == "not-authorized"


@every_way
@pytest.mark.cell("Ways in", "a certificate that is not trusted is refused; a link without TLS, too")
async def test_the_stream_is_secure_but_for_plain_websocket(meeting, way):
    async with meeting.connect("romeo") as romeo:
        assert romeo.established
    if way == "ws":
        with pytest.raises(TLSFailure, match="wss://"):
            async with meeting.connect("romeo", allow_plaintext=False):
                pass
    else:
        with pytest.raises(TLSFailure, match="not trusted"):
            async with meeting.connect("romeo", tls=ssl.create_default_context()):
                pass


@every_way
@pytest.mark.cell("Ways in", "at an address of IPv6")
async def test_at_an_address_of_ipv6(meeting):
    if "::1" not in meeting.server.addresses:
        pytest.skip("this machine has no IPv6")
    async with meeting.connect("romeo", meeting.url.replace("127.0.0.1", "[::1]")) as romeo:
        await romeo.request(Ping())


@every_way
@pytest.mark.cell("Ways in", "the resource that was asked for")
async def test_the_resource_that_was_asked_for(meeting):
    async with meeting.connect("romeo", resource="orchard") as romeo:
        assert str(romeo.jid) == f"romeo@{meeting.server.domain}/orchard"
        assert romeo.stream.sm_resumable
        async with meeting.connect("romeo", resource=None) as other:
            assert other.jid.resource not in (None, "orchard")


@every_way
@pytest.mark.cell("Coming back", "a refused resumption tells what had arrived, by its count")
@pytest.mark.cell("Coming back", "what came meanwhile is in the new session (offline messages)")
async def test_a_session_that_the_server_gave_up(server_kind, real_servers, guests, way, nursery):
    server = real_servers.get(server_kind.label, sm_timeout=1)
    await server.start()
    meeting = Meeting(server, way, nursery)
    async with (
        meeting.relay() as (relay, url),
        meeting.connect(next(guests), url) as romeo,
        meeting.connect("juliet") as juliet,
        juliet.messages.subscribe(MessageType.CHAT) as inbox,
        romeo.messages.subscribe(MessageType.CHAT) as letters,
        romeo.events() as events,
    ):
        await romeo.send(Presence())
        relay.black_hole("out")
        handled = romeo.enqueue(Message(to=juliet.jid, type=MessageType.CHAT, body="handled"))
        assert (await anext(inbox)).body == "handled"
        relay.black_hole("in")
        lost = romeo.enqueue(Message(to=juliet.jid, type=MessageType.CHAT, body="lost"))
        await lost.wait(StanzaState.SENT)
        relay.blocked = True
        relay.close()  # ejabberd does not always notice that a WebSocket was reset
        await juliet.send(Message(to=romeo.jid, type=MessageType.CHAT, body="meanwhile"))
        await meeting.gives_up_a_session()
        relay.blocked = False
        with trio.fail_after(30):
            assert [type(await anext(events)) for _ in range(3)] == [Suspended, Destroyed, Established]
        assert (handled.state, lost.state) == (StanzaState.ACKED, StanzaState.DISCONNECTED)
        await romeo.send(Presence())
        with trio.fail_after(20):
            assert (await anext(letters)).body == "meanwhile"


async def test_an_address_without_a_websocket(real_server):
    url = real_server.ws_endpoint.replace("xmpp-websocket", "nothing-here")
    with pytest.raises(trioxmpp.ConnectError, match="HTTP 4"):
        async with trioxmpp.connect("romeo@example.test", "montague", endpoint=url, allow_plaintext=True):
            pass
