"""`send` and `enqueue` while a client has no session, and when there will never be one again."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from tests.dialogs import HI, message
from trioxmpp import JID
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedServer

CONFLICT = f"<stream:error><conflict xmlns='{ns.STREAM_ERRORS}'/></stream:error>"


class Served:
    """A client whose server follows a script, link by link."""

    def __init__(self, background) -> None:
        self.server = ScriptedServer()
        self._background = background
        self._started = trio.Event()

    async def starts(self):
        """Have the client connect; return the first peer."""
        self.running = self._background(self._run)
        peer = await self.accepts()
        await self._started.wait()
        return peer

    async def _run(self) -> None:
        async with trioxmpp.connect(
            "romeo@example.test/orchard", "secret", endpoint=self.server.endpoint, allow_plaintext=True, sm=None
        ) as self.client:
            self._started.set()
            await trio.sleep_forever()

    async def accepts(self):
        """Play the server until there is a session; return the peer."""
        peer = await self.server.accept()
        await peer.negotiates(sm=None)
        return peer


@pytest.fixture
def served(background):
    return Served(background)


async def test_a_send_waits_for_the_next_session(autojump_clock, served, background):
    peer = await served.starts()
    peer.reset()
    await trio.testing.wait_all_tasks_blocked()
    assert not served.client.established
    with pytest.raises(ConnectionError, match="no session"):
        served.client.enqueue(message())
    sending = background(served.client.send, message())
    await trio.testing.wait_all_tasks_blocked()
    assert not sending.ended.is_set()
    peer = await served.accepts()
    await peer.expects(HI)
    assert await sending.outcome() is None


async def test_a_send_that_waits_may_be_cancelled(autojump_clock, served, background):
    peer = await served.starts()
    peer.reset()
    await trio.testing.wait_all_tasks_blocked()
    sending = background(served.client.send, message())
    await trio.testing.wait_all_tasks_blocked()
    sending.scope.cancel()
    await sending.ended.wait()
    peer = await served.accepts()
    await peer.expects_nothing(1)


async def test_a_send_ends_when_the_client_is_closed(autojump_clock, served, background):
    peer = await served.starts()
    peer.reset()
    await trio.testing.wait_all_tasks_blocked()
    sending = background(served.client.send, message())
    await trio.testing.wait_all_tasks_blocked()
    served.running.scope.cancel()
    with pytest.raises(ConnectionError):
        await sending.outcome()
    with pytest.raises(ConnectionError):
        await served.client.send(message())
    with pytest.raises(ConnectionError):
        served.client.enqueue(message())


async def test_a_send_ends_when_the_client_fails(autojump_clock, served, background):
    peer = await served.starts()
    peer.reset()
    await trio.testing.wait_all_tasks_blocked()
    sending = background(served.client.send, message())
    peer = await served.server.accept()
    await peer.expects_header()
    await peer.says_header()
    await peer.says(CONFLICT)
    peer.close()
    with pytest.raises(ConnectionError):
        await sending.outcome()


async def test_the_client_knows_itself_by_the_address_that_the_server_bound(autojump_clock, background):
    server = ScriptedServer()

    async def serves():
        peer = await server.accept()
        await peer.negotiates("romeo@example.test/other", sm=None)

    background(serves)
    async with trioxmpp.connect(
        "romeo@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True, sm=None, close_timeout=0
    ) as client:
        assert client.jid == JID.parse("romeo@example.test/other")
        assert client.stream.local_jid == JID.parse("romeo@example.test")
        with pytest.raises(AttributeError):
            client.jid = JID.parse("tybalt@example.test")
