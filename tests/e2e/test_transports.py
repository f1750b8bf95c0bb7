"""The same on every way in: STARTTLS, TLS from the first byte, WebSocket, and WebSocket over TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import trio

import trioxmpp
from trioxmpp import AuthenticationFailure, Message, MessageType, Resumed, StanzaState, Suspended, TLSFailure
from trioxmpp.protocol.ping import Ping
from trioxmpp.testing.servers import RealServer, Relay, open_relay

WAYS = {"STARTTLS": "endpoint", "direct TLS": "tls_endpoint", "ws": "ws_endpoint", "wss": "wss_endpoint"}
HARM = {
    "reset": Relay.reset,
    "reset within a stanza": lambda relay: relay.reset(after=100),
    "black hole": Relay.black_hole,
}

every_way = pytest.mark.parametrize("way", list(WAYS))


class Meeting:
    """A real server, and a way into it."""

    def __init__(self, server: RealServer, way: str) -> None:
        self.server = server
        self.url: str = getattr(server, WAYS[way])
        self.options = {"tls": server.ssl_context(), "allow_plaintext": way == "ws", "connect_timeout": 20.0}

    @contextlib.asynccontextmanager
    async def relay(self) -> AsyncIterator[tuple[Relay, str]]:
        """A wire that can be cut, and the URL at which it begins."""
        parts = urlsplit(self.url)
        assert parts.port is not None
        async with open_relay("127.0.0.1", parts.port) as relay:
            port = relay.endpoint.rpartition(":")[2]
            yield relay, parts._replace(netloc=f"127.0.0.1:{port}").geturl()

    def connect(self, user: str, url: str | None = None, **options):
        password = self.server.accounts[user]
        address = f"{user}@{self.server.domain}/here"
        return trioxmpp.connect(address, password, **{**self.options, "endpoint": url or self.url, **options})


@pytest.fixture
def meeting(real_server: RealServer, way: str) -> Meeting:
    return Meeting(real_server, way)


@every_way
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
async def test_a_broken_link_is_replaced_and_the_session_goes_on(meeting, impatient, way, harm):
    if harm == "reset within a stanza" and way == "ws" and meeting.server.name == "prosody":
        pytest.skip("Prosody 0.12 does not get on with a resumed session whose old link broke within a frame")
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
async def test_a_wrong_password_is_told(meeting):
    with pytest.raises(AuthenticationFailure) as failure:
        async with trioxmpp.connect("romeo@example.test", "wrong", endpoint=meeting.url, **meeting.options):
            pass
    assert failure.value.condition == "not-authorized"


@every_way
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


async def test_an_address_without_a_websocket(real_server):
    url = real_server.ws_endpoint.replace("xmpp-websocket", "nothing-here")
    with pytest.raises(trioxmpp.ConnectError, match="HTTP 4"):
        async with trioxmpp.connect("romeo@example.test", "montague", endpoint=url, allow_plaintext=True):
            pass
