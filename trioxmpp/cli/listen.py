"""Print each message that arrives, as a line of text or of JSON.

It logs in, becomes available, and stays connected: a link that breaks is repaired, a session that is lost is replaced.
A message counts as handled when its line is written, so what arrives while the command dies is sent again. The
events of the connection are told on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import trio

from .. import Client, Event, Message
from ..client.events import in_words
from ..errors import InboxOverflow
from ..im.presence import appear
from ..jid import JID
from ..program.interrupt import run_until_interrupted
from ..protocol.elements.delay import Delay
from ..stream.bare import bare
from ..text import because
from .account import ACCOUNT_HELP, Account, account_of, add_account_options, network_errors_told
from .errors import CommandError, NotDelivered, RoomRefused, UsageError
from .output import escape_unprintable, print_line
from .terminal import for_terminal

__all__ = ["Wanted", "configure", "listen", "run"]

EXAMPLES = """
Examples:

  trioxmpp listen
  trioxmpp listen --from admin@example.org --count 1
  trioxmpp listen --room orchard@conference.example.org --json | jq -r .body

With --json each line is an object: time (when it arrived, UTC), from, to, type, id, body, subject, thread, room and
nick (null outside of rooms), and stamp: when it was sent, as the sender or a server on the way says, if it was delayed.
"""

STATUS = """
Exit status: 0 if --count messages were printed; 1 if messages arrived faster than they could be written; 2 if the
arguments cannot be used; 3 if the server was not reached, or another client has taken the resource; 4 if the server
does not let us log in; 6 if a room does not let us in; 130 on Ctrl-C; 141 if the reader of the output has left.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages to print, and how."""

    senders: frozenset[JID] = frozenset()
    """Bare JIDs; empty: all of them."""
    rooms: tuple[JID, ...] = ()
    nick: str | None = None
    count: int | None = None
    as_json: bool = False
    write: Callable[[str], object] = print_line
    """Called with each line."""
    tell: Callable[[str], object] = lambda text: None
    """Called with each event of the connection, in words."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print a JSON object on each line")
    parser.add_argument(
        "--from", dest="senders", action="append", default=[], metavar="JID", help="of this sender only"
    )
    parser.add_argument(
        "--room", dest="rooms", action="append", default=[], metavar="JID", help="enter this room; may be repeated"
    )
    parser.add_argument("--nick", help="the nick in rooms (default: the user name)")
    parser.add_argument("-n", "--count", type=_count, metavar="N", help="end after this number of messages")
    parser.add_argument("-q", "--quiet", action="store_true", help="tell nothing of the connection")
    add_account_options(parser)
    parser.epilog = EXAMPLES + ACCOUNT_HELP + STATUS


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("one message at least is wanted")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Listen until there were enough messages, or a signal comes."""
    escape_unprintable()
    try:
        senders = frozenset(JID.parse(text).bare for text in arguments.senders)
        rooms = tuple(dict.fromkeys(JID.parse(text) for text in arguments.rooms))
    except ValueError as exc:
        raise UsageError(for_terminal(str(exc))) from exc
    tell = (lambda text: None) if arguments.quiet else _complain
    wanted = Wanted(senders, rooms, arguments.nick, arguments.count, arguments.json, print_line, tell)
    account = account_of(arguments)
    run_until_interrupted(lambda: listen(wanted, account))
    return 0


def _complain(text: str) -> None:
    print(f"trioxmpp: {for_terminal(text)}", file=sys.stderr, flush=True)


async def listen(wanted: Wanted, account: Account) -> None:
    """Write the messages that are `wanted` as they arrive, until there were enough.

    Raises a CommandError if that cannot go on. Cancelling ends it; what was not written counts as not handled.
    """
    listener = _Listener(wanted)
    with network_errors_told():
        async with account.connect(services=[listener.hears_events]) as client:
            await listener.run(client)


class _Listener:
    """Writes messages, and counts them."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._left = wanted.count
        self._failure: CommandError | None = None

    @asynccontextmanager
    async def hears_events(self, client: Client) -> AsyncIterator[None]:
        """A service that tells of the events of a client, from before its first session on."""
        with client.on_event.context_connect(self._on_event):
            yield

    def _on_event(self, event: Event) -> None:
        self._wanted.tell(in_words(event))

    async def run(self, client: Client) -> None:
        """Write until there were enough messages. Raises what ends a room, the first if several end."""
        with bare():
            async with trio.open_nursery() as nursery:
                for room in self._wanted.rooms:
                    nursery.start_soon(self._stay, client, room, nursery.cancel_scope)
                await self._hear(client)
                nursery.cancel_scope.cancel(reason="there were enough messages")
        if self._failure is not None:
            raise self._failure

    async def _stay(self, client: Client, room: JID, end: trio.CancelScope) -> None:
        try:
            await self._hear_room(client, room)
        except CommandError as exc:
            self._failure = self._failure or exc
        end.cancel(reason="there were enough messages, or a room is gone")

    async def _hear(self, client: Client) -> None:
        try:
            # First subscribe, then appear: the server delivers what has waited at once.
            async with client.messages.subscribe(ack="manual") as inbox, appear(client):
                async for message in inbox:
                    if self._is_wanted(message) and self._write(message):
                        return
        except InboxOverflow as exc:
            raise NotDelivered(str(exc)) from exc

    async def _hear_room(self, client: Client, address: JID) -> None:
        from ..xep.muc import JoinRefused, RoomGone, RoomMessage, open_room

        nick = self._wanted.nick or client.jid.local or "guest"
        try:
            async with open_room(client, address, nick) as room, room.events() as events:
                async for event in events:
                    if not isinstance(event, RoomMessage) or event.entry.text is None:
                        continue
                    if self._write(event.entry.message, room=address, nick=event.entry.nick):
                        return
        except (JoinRefused, RoomGone) as exc:
            raise RoomRefused(because(str(address), exc)) from exc
        except ValueError as exc:
            raise UsageError(for_terminal(str(exc))) from exc

    def _is_wanted(self, message: Message) -> bool:
        senders, sender = self._wanted.senders, message.from_
        return message.body is not None and (not senders or (sender is not None and sender.bare in senders))

    def _write(self, message: Message, room: JID | None = None, nick: str | None = None) -> bool:
        """Write a message; return whether there were enough now."""
        if self._left == 0:
            return True
        fields = _fields(message, room, nick)
        if self._wanted.as_json:
            self._wanted.write(json.dumps(fields))
        else:
            text = f"{fields['time']} {fields['from']}: {fields['body']}"
            self._wanted.write(for_terminal(text, len(text)))
        if self._left is not None:
            self._left -= 1
        return self._left == 0


def _fields(message: Message, room: JID | None, nick: str | None) -> dict[str, str | None]:
    """Return what is printed of a message."""
    delay = message.get(Delay)
    return {
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "from": None if message.from_ is None else str(message.from_),
        "to": None if message.to is None else str(message.to),
        "type": message.type.value,
        "id": message.id,
        "body": message.body,
        "subject": message.subject,
        "thread": message.thread,
        "room": None if room is None else str(room),
        "nick": nick,
        "stamp": None if delay is None else delay.stamp.isoformat(),
    }
