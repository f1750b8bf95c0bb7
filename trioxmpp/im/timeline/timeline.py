"""All messages of the account, once each, in order: what was missed, then what comes (`open_timeline`)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

import trio

from ...client import Client, Session, Signal, Stage, Step, Subscription, is_archive_result, supervised
from ...jid import JID
from ...protocol.elements import pubsub_event
from ...protocol.stanza import Message, MessageType
from ...xep import carbons
from .catchup import CatchUp
from .cursor import Cursor
from .duplicates import Seen
from .entry import Entry, Source, TimelineEvent
from .history import History
from .ledger import Ledger

__all__ = ["Timeline", "open_timeline"]

_logger = logging.getLogger(__name__)

#: Seconds after which what the application is done with is written down, and for the last time.
SAVE_AFTER = 1.0
LAST_SAVE = 2.0

_TAKEN = frozenset({MessageType.CHAT, MessageType.NORMAL, MessageType.HEADLINE, MessageType.ERROR})
_SPOKEN = frozenset({MessageType.CHAT, MessageType.NORMAL})


class Timeline:
    """The messages of the account, as an asynchronous iterator of `Entry`.

    An entry counts as done when the next one is asked for: only then the cursor moves, so that what a crash interrupts
    is given again. One task iterates.
    """

    def __init__(self, client: Client, ledger: Ledger) -> None:
        self.on_event: Signal[TimelineEvent] = ledger.on_event
        """Emits `CaughtUp`, `Gap` and `NoArchive` when the application is done with all entries before them."""
        self.forged: int = 0
        """How many messages were dropped that looked like archived ones, or like copies, and were not genuine."""
        self._client = client
        self._ledger = ledger

    @property
    def malformed(self) -> int:
        """How many archived messages were passed over, since they could not be read."""
        return self._ledger.malformed

    @property
    def duplicates(self) -> int:
        """How many copies were passed over of messages that had been given."""
        return self._ledger.duplicates

    @property
    def written(self) -> int:
        """How many entries, of those that this timeline has given, are written down as done: a crash repeats none."""
        return self._ledger.cursor.written

    def events(self) -> Subscription[TimelineEvent]:
        """``async with`` block that gives an inbox of `CaughtUp`, `Gap` and `NoArchive` events."""
        return self.on_event.subscribe()

    def __aiter__(self) -> Timeline:
        return self

    async def __anext__(self) -> Entry:
        """Return the next entry; the one before is done. Cancelling loses none.

        Ends with the client. Raises `InboxOverflow` if too many entries waited on a server without an archive.
        """
        return await self._ledger.next()

    def before(self, peer: JID | str, entry: Entry | None = None, *, size: int = 50) -> History:
        """Return an asynchronous iterator backwards over the messages exchanged with `peer` before `entry`.

        None stands for all messages. Each page is a tuple of at most `size` entries, the oldest first; the next page is
        older. Nothing here moves the cursor. Iterating raises as `archive_page`: `XMPPError` where the archive does not
        know `entry` any more.
        """
        with_ = JID.parse(peer) if isinstance(peer, str) else peer
        return History(self._client, self._ledger, with_, entry, size)

    # --- what arrives

    def unwrap(self, message: Message) -> Message | None:
        """At `Stage.CARBON`: take copies; drop what only looks like one, or like an archived message."""
        if is_archive_result(message):
            self.forged += 1
            return None
        if not carbons.is_carbon(message):
            return message
        carbon = carbons.verified_carbon(message, self._ledger.account)
        if carbon is None:
            self.forged += 1
            _logger.debug("dropped a forged copy from %s", message.from_)
        elif carbon.direction is carbons.Direction.SENT:
            self._ledger.arrived(carbon.message, Source.CARBON_SENT)
        else:
            self._ledger.arrived(carbon.message, Source.CARBON_RECEIVED)
        return None

    def take(self, message: Message) -> Message:
        """At `Stage.TIMELINE`: note a message, and let others see it, too."""
        if message.type in _TAKEN and not self._is_of_a_room(message) and message.get(pubsub_event.Event) is None:
            self._ledger.arrived(message, Source.LIVE)
        return message

    def sent(self, message: Message) -> Message:
        """Note a message that this client sends."""
        if message.type in _SPOKEN and message.body is not None:
            self._ledger.arrived(message, Source.OWN)
        return message

    def _is_of_a_room(self, message: Message) -> bool:
        """Return whether a message is the business of the service that claimed a room: not a private one in it."""
        sender = message.from_
        return sender is not None and sender.resource is None and self._client.claimed(sender)

    def take_unclaimed(self, message: Message) -> None:
        """Note a message that arrived before the timeline was opened."""
        rest = self.unwrap(message)
        if rest is not None:
            self.take(rest)


@asynccontextmanager
async def open_timeline(
    client: Client,
    *,
    since: datetime | None = None,
    pages: int = 10_000,
    held: int = 10_000,
    capacity: int = 10_000,
    save_after: float = SAVE_AFTER,
) -> AsyncIterator[Timeline]:
    """A block that gives all messages of the account, once each, the oldest first.

    At first it begins now, or at `since`; later it goes on where the application was, also in another process if the
    client has a store. In each session carbons are enabled, and what was missed is read from the archive; live messages
    wait until then, at most `held` of them: more are read from the archive. The same happens if more than `capacity`
    entries wait for the application. `pages` is the number of pages that one catching up reads at most.

    To have carbons along with the login, where the server can do that, pass ``connect(inline=[carbons.Enable()])``.
    The entries that the application is done with are written down `save_after` seconds later, and when the block is
    left; a process that is killed in between gets those entries again, with the same `archive_id`.

    Raises `StoreError` if the notes cannot be read or written, and what `Client.send` raises. Later trouble with the
    archive is told by `Trouble` events, and healed. Cancelling, or leaving the block, undoes everything.
    """
    cursor, seen = Cursor(client.notes("mam"), str(client.jid.bare)), Seen()
    seen.restore(await cursor.load())
    ledger = Ledger(client, cursor, seen, capacity=capacity, held=held)
    timeline = Timeline(client, ledger)

    with _listening(client, timeline):
        await _take_unclaimed(client, timeline)
        try:
            async with (
                supervised(client, lambda: _save(cursor, save_after), name="timeline"),
                supervised(client, lambda: _end_with(client, ledger), name="timeline"),
                client.each_session(Step.SYNC, lambda session: _begin(session, ledger)),
                client.each_session(
                    Step.CATCH_UP, lambda session: _catch_up(CatchUp(client, session, ledger, since, pages), client)
                ),
            ):
                yield timeline
                ledger.finish()
        finally:
            ledger.queue.close()
            with trio.move_on_after(LAST_SAVE, shield=True):
                await cursor.save()


@contextmanager
def _listening(client: Client, timeline: Timeline) -> Iterator[None]:
    """A block during which the timeline sees the messages that arrive and that are sent."""
    # Behind all other filters, so that it sees a message as it is sent.
    outbound = client.stream.service_outbound_message_filter.context_register(timeline.sent, float("inf"))
    with (
        client.at_stage(Stage.CARBON, message=timeline.unwrap),
        client.at_stage(Stage.TIMELINE, message=timeline.take),
        outbound,
    ):
        yield


@asynccontextmanager
async def _begin(session: Session, ledger: Ledger) -> AsyncIterator[None]:
    """A block for each session: copies are enabled; live messages are held before the next session sends any."""
    await carbons.enable(session)
    try:
        yield
    finally:
        ledger.hold()


@asynccontextmanager
async def _catch_up(work: CatchUp, client: Client) -> AsyncIterator[None]:
    """A block for each session, during which the archive is read, if there is one."""
    if await work.find_archive():
        await work.begin()
        async with supervised(client, work.run, name="timeline"):
            yield
    else:
        yield


async def _save(cursor: Cursor, delay: float) -> None:
    """Write down what has changed, `delay` seconds after the first change."""
    while True:
        await cursor.moved.wait()
        await trio.sleep(delay)
        await cursor.save()


async def _take_unclaimed(client: Client, timeline: Timeline) -> None:
    """Take the messages that wait for a first subscription: the timeline gives them."""
    async with client.messages.subscribe(capacity=float("inf")) as inbox:
        for message in inbox.take_all():
            timeline.take_unclaimed(message)
    client.messages.drop_unclaimed()


async def _end_with(client: Client, ledger: Ledger) -> None:
    """End the timeline when the client ends."""
    reason: Exception | None = None
    try:
        async with client.events() as events:
            async for _ in events:
                pass
    except ConnectionError as exc:
        reason = exc
    ledger.queue.close(reason)
