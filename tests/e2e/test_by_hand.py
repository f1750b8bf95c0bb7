"""The low-level API on every server: each step by hand, without a client that looks after the stream."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioxmpp import (
    JID,
    Client,
    Credentials,
    DestructionRequested,
    Message,
    MessageType,
    StanzaState,
    StanzaStream,
    StreamNegotiationFailure,
    XmlStream,
)
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream.negotiation.negotiate import NegotiationOptions, bind, negotiate
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import open_transport


class ByHand:
    """A stanza stream to ourselves; `ended` are the errors that its runs ended with."""

    def __init__(self, venue, relay, stream, nursery) -> None:
        self.venue = venue
        self.relay = relay
        self.stream = stream
        self.client = Client(stream)
        self.user = venue.guest()
        self.jid = JID(self.user, venue.domain, "hand")
        self.got: list[str | None] = []
        self.ended: list[Exception | None] = []
        self._changes = trio.lowlevel.ParkingLot()
        self._nursery = nursery
        stream.local_jid = self.jid.bare
        stream.on_message_received.connect(self._read)

    def _read(self, message: Message) -> None:
        self.got.append(message.body)
        self._changes.unpark_all()

    async def log_in(self):
        """An XML stream that is authenticated and not bound, and what is offered on it."""
        endpoint = Endpoint.parse(self.relay.endpoint)
        xmlstream = XmlStream(await open_transport(endpoint, domain=self.venue.domain, tls=None), self.venue.domain)
        credentials = Credentials.of(self.jid, self.venue.password(self.user))
        options = NegotiationOptions(self.jid.bare, credentials)
        return xmlstream, (await negotiate(xmlstream, options, self.venue.tls)).features

    async def bind_and_run(self, xmlstream, features) -> None:
        assert await bind(xmlstream, features, self.jid.resource) == self.jid
        await self.start(self.stream.run, xmlstream)

    async def start(self, method, xmlstream) -> None:
        """Run or resume, in the background; what that raises before it has started is raised here."""

        async def live(*, task_status):
            is_live = False

            class Status:
                def started(self, value=None):
                    nonlocal is_live
                    is_live = True
                    task_status.started()

            try:
                await method(xmlstream, task_status=Status())
            except ConnectionError as exc:
                if not is_live:
                    raise
                self.ended.append(exc)
            else:
                self.ended.append(None)
            self._changes.unpark_all()

        try:
            await self._nursery.start(live)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def has_ended(self, times: int) -> Exception | None:
        """Wait until the last of these runs is over, and return its result."""
        with trio.fail_after(20):
            while len(self.ended) < times:
                await self._changes.park()
        return self.ended[-1]

    def writes(self, body: str):
        return self.client.enqueue(Message(to=self.jid, type=MessageType.CHAT, body=body))

    async def reads(self, *bodies: str) -> None:
        with trio.move_on_after(20):
            while len(self.got) < len(bodies):
                await self._changes.park()
        assert self.got == list(bodies)


@asynccontextmanager
async def open_hand(venue):
    async with venue.relay() as relay, trio.open_nursery() as nursery, StanzaStream() as stream:
        yield ByHand(venue, relay, stream, nursery)


async def test_a_session_is_stopped_and_resumed_and_cut_and_resumed(venue):
    async with open_hand(venue) as hand:
        stream = hand.stream
        first, features = await hand.log_in()
        assert features.sm
        await hand.bind_and_run(first, features)
        await stream.start_sm()
        assert stream.sm_resumable
        await hand.writes("one")
        await hand.reads("one")

        await stream.wait_stop()
        await first.aclose()
        assert await hand.has_ended(1) is None
        waiting = hand.writes("two")
        assert waiting.state is StanzaState.ACTIVE
        second, _ = await hand.log_in()
        await hand.start(stream.resume, second)
        await waiting
        await hand.reads("one", "two")

        hand.relay.black_hole()
        in_flight = hand.writes("three")
        await in_flight.wait(StanzaState.SENT)
        # It counts as sent before it is written, and the writer must not be the first to meet the reset.
        await wait_all_tasks_blocked()
        hand.relay.reset()
        assert isinstance(await hand.has_ended(2), ConnectionResetError)
        assert not stream.running
        assert stream.sm_unacked_list == [in_flight]
        third, _ = await hand.log_in()
        await hand.start(stream.resume, third)
        await in_flight
        await hand.reads("one", "two", "three")
        assert (stream.sm_outbound_base, stream.sm_inbound_ctr, stream.sm_unacked_count) == (3, 3, 0)


async def test_a_resumption_that_the_server_refuses_with_its_count(open_venue):
    """S161: what it had handled is ACKED, the rest is known not to have arrived. The XML stream is good for binding."""
    async with open_venue(sm_timeout=1) as venue, open_hand(venue) as hand:
        stream, reasons = hand.stream, []
        stream.on_stream_destroyed.connect(reasons.append)
        await hand.bind_and_run(*await hand.log_in())
        await stream.start_sm()
        hand.relay.black_hole("out")
        async with venue.connect(sm=None) as witness, witness.messages.subscribe() as inbox:
            handled = hand.client.enqueue(Message(to=witness.jid, type=MessageType.CHAT, body="handled"))
            assert (await anext(inbox)).body == "handled"
        hand.relay.black_hole("in")
        lost = hand.writes("lost")
        await lost.wait(StanzaState.SENT)
        hand.relay.reset()
        await hand.has_ended(1)
        waiting = hand.writes("waiting")
        await venue.gives_up_a_session()

        xmlstream, features = await hand.log_in()
        with pytest.raises(StreamNegotiationFailure, match="item-not-found"):
            await hand.start(stream.resume, xmlstream)
        assert handled.state is StanzaState.ACKED
        assert lost.state is waiting.state is StanzaState.DISCONNECTED
        assert stream.undelivered == (lost, waiting)
        assert not stream.running
        assert not stream.sm_enabled
        assert [type(reason) for reason in reasons] == [type(reasons[0])]
        assert isinstance(reasons[0], StreamNegotiationFailure)

        await hand.bind_and_run(xmlstream, features)
        await stream.start_sm()
        await hand.writes("a new session")
        await hand.reads("a new session")


async def test_a_resumption_that_the_server_refuses_without_a_count(venue):
    """S162: the fate of stanzas in flight is unknown; those that were never sent have surely not arrived."""
    async with open_hand(venue) as hand:
        stream = hand.stream
        await hand.bind_and_run(*await hand.log_in())
        await stream.start_sm()
        hand.relay.black_hole()
        in_flight = hand.writes("in flight")
        await in_flight.wait(StanzaState.SENT)
        hand.relay.reset()
        await hand.has_ended(1)
        waiting = hand.writes("waiting")
        await venue.server.restart()

        xmlstream, features = await hand.log_in()
        with pytest.raises(StreamNegotiationFailure, match="item-not-found"):
            await hand.start(stream.resume, xmlstream)
        assert in_flight.state is StanzaState.SENT_WITHOUT_SM
        assert waiting.state is StanzaState.DISCONNECTED
        assert stream.undelivered == (in_flight, waiting)
        await hand.bind_and_run(xmlstream, features)
        await hand.client.request(Ping())


async def test_a_stream_that_is_closed_is_over_for_the_server_too(venue):
    """With stream management, too: a stream that was closed in order cannot be resumed."""
    async with open_hand(venue) as hand:
        destroyed = []
        hand.stream.on_stream_destroyed.connect(destroyed.append)
        await hand.bind_and_run(*await hand.log_in())
        await hand.stream.start_sm()
        await hand.writes("one")
        await hand.stream.aclose()
        assert await hand.has_ended(1) is None
        assert isinstance(destroyed[0], DestructionRequested)
        async with venue.connect(hand.user, "hand") as next_one:
            await next_one.request(Ping())
