"""The end of a run: who ended it, by how the session was managed. Nine cells, each seen from outside."""

from __future__ import annotations

import pytest
import trio

from tests.dialogs import HI, R
from trioxmpp import IQ, DestructionRequested, IQType, Message, MessageType, StanzaState
from trioxmpp.protocol.elements.ping import Ping

ASKED = "<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
POISON = "<message from='tybalt@example.test'/>"
ERROR = LookupError("what a filter raised")

ENDINGS = ["stop", "failure", "close"]
MANAGEMENTS = ["none", "not resumable", "resumable"]
SURVIVES = {("stop", "resumable"), ("failure", "resumable")}


class Witness:
    """Everything that an application notices of the end of a session."""

    def __init__(self, scene) -> None:
        self.scene = scene
        self.failures: list[Exception] = []
        self.reasons: list[Exception] = []
        self.answer: object = "still waiting"
        self.handler = "not called"
        scene.stream.on_failure.connect(self.failures.append)
        scene.stream.on_stream_destroyed.connect(self.reasons.append)

    async def asks(self) -> None:
        try:
            self.answer = await self.scene.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
        except ConnectionError as exc:
            self.answer = exc

    async def handles(self, iq: IQ) -> None:
        self.handler = "running"
        try:
            await trio.sleep_forever()
        finally:
            self.handler = "cancelled"


async def end(scene, peer, how: str):
    """End the run in this way; return a token that was still in the queue when it happened."""
    if how == "stop":
        scene.stream.stop()
        token = scene.client.enqueue(Message(to="juliet@example.test", body="too late"))
        await scene.stream.wait_stop()
        await peer.expects_nothing(60)  # the link is left as it is
    elif how == "failure":
        tokens = []

        def breaks(stanza):
            tokens.append(scene.client.enqueue(Message(to="juliet@example.test", body="too late")))
            raise ERROR

        with scene.stream.app_inbound_message_filter.context_register(breaks):
            await peer.says(POISON)
            await scene.outcome()
        (token,) = tokens
    else:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.stream.aclose)
            await trio.testing.wait_all_tasks_blocked()
            token = scene.client.enqueue(Message(to="juliet@example.test", body="too late"))
            await peer.says_footer()
    return token


@pytest.mark.parametrize("management", MANAGEMENTS)
@pytest.mark.parametrize("how", ENDINGS)
async def test_the_end_of_a_run(autojump_clock, scene, nursery, how, management):
    witness = Witness(scene)
    managed = management != "none"
    peer = await scene.starts(sm="sm-1" if managed else None, resumable=management == "resumable")
    with scene.client.iq_handler(IQType.SET, Ping, witness.handles):
        await peer.says("<iq type='set' id='theirs' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        sent = scene.client.enqueue(Message(to="juliet@example.test", type=MessageType.CHAT, body="Hi"))
        await peer.expects(HI)
        nursery.start_soon(witness.asks)
        if managed:
            await peer.expects(R)
        await peer.expects(ASKED)
        if managed:
            await peer.expects(R)
        assert witness.handler == "running"

        queued = await end(scene, peer, how)
        outcome = await scene.outcome()
        await trio.testing.wait_all_tasks_blocked()

    # A failure is told, whether or not the session survives it; nothing else is one.
    assert outcome is (ERROR if how == "failure" else None)
    assert witness.failures == ([ERROR] if how == "failure" else [])
    if (how, management) in SURVIVES:
        assert not witness.reasons
        assert (sent.state, queued.state) == (StanzaState.SENT, StanzaState.ACTIVE)
        assert witness.answer == "still waiting"
        assert witness.handler == "running"
        assert scene.stream.established
        assert scene.stream.sm_enabled
    else:
        (reason,) = witness.reasons
        assert reason is ERROR if how == "failure" else isinstance(reason, DestructionRequested)
        assert (sent.state, queued.state) == (StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED)
        assert isinstance(witness.answer, ConnectionError)
        assert (witness.answer is reason) == (how != "failure")
        assert witness.handler == "cancelled"
        assert not scene.stream.established
        assert not scene.stream.sm_enabled
    # The last words to the server: an ack only with a close, no footer if the session is to survive.
    if how == "close":
        if managed:
            await peer.expects("<a xmlns='urn:xmpp:sm:3' h='1'/>")
        await peer.expects_footer()
    if how == "failure" and management != "resumable":
        await peer.expects_footer()
    if how != "stop":
        await peer.expects_end()


async def test_the_events_of_a_failure_come_in_order(autojump_clock, scene):
    """The session is over, then the XML stream is closed, then the failure is told, then the run raises it."""
    told = []
    xmlstream, peer = await scene.link()
    scene.stream.on_stream_destroyed.connect(lambda reason: told.append(("destroyed", xmlstream.closed)))
    scene.stream.on_failure.connect(lambda cause: told.append(("failed", xmlstream.closed)))

    async def run(xmlstream, *, task_status):
        try:
            await scene.stream.run(xmlstream, task_status=task_status)
        except LookupError:
            told.append(("raised", xmlstream.closed))

    await scene.runs(xmlstream, run)
    await end(scene, peer, "failure")
    assert told == [("destroyed", False), ("failed", True), ("raised", True)]
