"""All messages of the account, once each, in order: what was missed, then what comes (`open_timeline`)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from types import MappingProxyType

from ...client import Client, Session, Stage, Step, is_archive_result, supervised
from ...errors import XMPPError
from ...jid import JID
from ...protocol import ns
from ...protocol.elements import pubsub_event
from ...protocol.elements.hints import Store
from ...protocol.elements.markers import Displayed
from ...protocol.elements.reactions import Reactions
from ...protocol.elements.receipts import Received
from ...protocol.elements.retraction import Retract
from ...protocol.stanza import Message, MessageType
from ...xep import carbons
from ...xep.muc import Room
from .archives import AccountArchive
from .catchup import CatchUp
from .cursor import Cursor
from .entry import Entry, Source
from .giving import SAVE_AFTER, Giving, end_with
from .history import History
from .ledger import Ledger

__all__ = ["LOOK_AGAIN", "Timeline", "open_timeline"]

#: Seconds after which the archive is looked at once more.
LOOK_AGAIN = 5.0

_logger = logging.getLogger(__name__)

_TAKEN = frozenset({MessageType.CHAT, MessageType.NORMAL, MessageType.HEADLINE, MessageType.ERROR})
_SPOKEN = frozenset({MessageType.CHAT, MessageType.NORMAL})
_CHANGES = (Retract, Reactions, Displayed, Received)


class Timeline(Giving):
    """The messages of the account, as an asynchronous iterator of `Entry`.

    An entry counts as done when the next one is asked for: only then the cursor moves, so that what a crash interrupts
    is given again. One task iterates.
    """

    def __init__(self, client: Client, archive: AccountArchive, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._books = ledger
        self.forged: int = 0
        """How many messages were dropped that looked like archived ones, or like copies, and were not genuine."""
        self._client = client
        self._archive = archive

    def before(self, peer: JID | str, entry: Entry | None = None, *, size: int = 50) -> History:
        """Return an asynchronous iterator backwards over the messages exchanged with `peer` before `entry`.

        None stands for all messages. Each page is a tuple of at most `size` entries, the oldest first; the next page is
        older. Nothing here moves the cursor. Iterating raises as `archive_page`: `XMPPError` where the archive does not
        know `entry` any more.
        """
        with_ = JID.parse(peer) if isinstance(peer, str) else peer
        return History(self._client, self._archive, with_, entry, size)

    # --- what arrives

    def unwrap(self, message: Message) -> Message | None:
        """At `Stage.CARBON`: take copies; drop what only looks like one, or like an archived message."""
        if is_archive_result(message):
            self.forged += 1
            return None
        if not carbons.is_carbon(message):
            return message
        carbon = carbons.verified_carbon(message, self._archive.owner)
        if carbon is None:
            self.forged += 1
            _logger.debug("dropped a forged copy from %s", message.from_)
        elif carbon.direction is carbons.Direction.SENT:
            self._books.arrived(carbon.message, Source.CARBON_SENT)
        else:
            self._books.arrived(carbon.message, Source.CARBON_RECEIVED)
        return None

    def take(self, message: Message) -> Message:
        """At `Stage.TIMELINE`: note a message, and let others see it, too."""
        if message.type in _TAKEN and not self._is_of_a_room(message) and message.get(pubsub_event.Event) is None:
            self._books.arrived(message, Source.LIVE, self._archive.heard(message))
        return message

    def sent(self, message: Message) -> Message:
        """Note a message that this client sends: a text, or a change of one that is worth an archive.

        Others may be in the archive as well, encrypted ones among them: those are for the next process.
        """
        if message.type in _SPOKEN:
            if message.body is not None or _is_change(message):
                self._books.arrived(message, Source.OWN)
            else:
                self._books.leave_out(message)
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


def _is_change(message: Message) -> bool:
    """Return whether a message without a text is to be archived, and says something of another message."""
    return message.get(Store) is not None and any(message.get(each) is not None for each in _CHANGES)


@asynccontextmanager
async def open_timeline(
    client: Client,
    *,
    rooms: Mapping[JID, Room] = MappingProxyType({}),
    since: datetime | None = None,
    pages: int = 10_000,
    held: int = 10_000,
    capacity: int = 10_000,
    save_after: float = SAVE_AFTER,
    look_again: float | None = LOOK_AGAIN,
) -> AsyncIterator[Timeline]:
    """A block that gives all messages of the account, once each, the oldest first.

    At first it begins now, or at `since`; later it goes on where the application was, also in another process if the
    client has a store. In each session carbons are enabled, and what was missed is read from the archive; live messages
    wait until then, at most `held` of them: more are read from the archive. The same happens if more than `capacity`
    entries wait for the application. `pages` is the number of pages that one catching up reads at most.

    `look_again` seconds after catching up, the archive is asked once more in that session: some servers write a message
    late that they have delivered to other sessions only. That is repeated while it brings something new; None: never.

    `rooms` are the rooms in which we are, by their addresses; the application adds and removes them. The senders of
    private messages in them can then be told from each other by more than their nicks.

    To have carbons along with the login, where the server can do that, pass ``connect(inline=[carbons.Enable()])``.
    The entries that the application is done with are written down `save_after` seconds later, and when the block is
    left; a process that is killed in between gets those entries again, with the same `archive_id`.

    Raises `StoreError` if the notes cannot be read or written, and what `Client.send` raises. Later trouble with the
    archive is told by `Trouble` events, and healed. Cancelling, or leaving the block, undoes everything.
    """
    archive = AccountArchive(client, rooms)
    cursor = Cursor(client.notes("mam"), str(archive.owner))
    ledger = Ledger(archive, cursor, capacity=capacity, held=held)
    await ledger.resume()
    timeline = Timeline(client, archive, ledger)

    with _listening(client, timeline):
        await _take_unclaimed(client, timeline)
        try:
            async with (
                supervised(client, lambda: cursor.keep_saved(save_after), name="timeline"),
                supervised(client, lambda: end_with(client, ledger), name="timeline"),
                client.each_session(Step.SYNC, lambda session: _begin(session, ledger)),
                client.each_session(
                    Step.CATCH_UP,
                    lambda session: _catch_up(
                        client, ledger, CatchUp(client, session, ledger, since, pages, look_again)
                    ),
                ),
            ):
                yield timeline
                ledger.finish()
        finally:
            ledger.queue.close()
            await cursor.save_at_last()  # noqa: ASYNC102  (it shields, and bounds, what it does)


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
async def _catch_up(client: Client, ledger: Ledger, work: CatchUp) -> AsyncIterator[None]:
    """A block for each session, during which the archive is read, if there is one."""
    if await _find_archive(client, ledger):
        await work.begin()
        async with supervised(client, work.run, name="timeline"):
            yield
    else:
        yield


async def _find_archive(client: Client, ledger: Ledger) -> bool:
    """Return whether the account has an archive. If it has none, live messages need not wait."""
    try:
        info = await client.disco.info(client.jid.bare, fresh=True)
    except XMPPError:
        ledger.found_archive(False)
    except BaseException:
        ledger.release_anyway()
        raise
    else:
        ledger.found_archive(ns.MAM in info.features)
    return ledger.has_archive


async def _take_unclaimed(client: Client, timeline: Timeline) -> None:
    """Take the messages that wait for a first subscription: the timeline gives them."""
    async with client.messages.subscribe(capacity=float("inf")) as inbox:
        for message in inbox.take_all():
            timeline.take_unclaimed(message)
    client.messages.drop_unclaimed()
