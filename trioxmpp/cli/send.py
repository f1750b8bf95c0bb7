"""Send a message, or a file, to people or rooms.

The text is that of --message, or else what the standard input says. With --file the file is uploaded (XEP-0363), and
its address is sent. The command waits until the server has each message, and for errors that come back at once; that a
person has read it is not known. A link that breaks meanwhile is repaired, and nothing is sent twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from .. import Client, Message, MessageType, ReconnectPolicy, StanzaToken
from ..errors import OutboxFull, StanzaRefused, StanzaTooLarge, XMPPError
from ..jid import JID
from ..program.interrupt import run_until_interrupted
from ..protocol.elements.ping import Ping
from ..text import because
from .account import ACCOUNT_HELP, Account, account_of, add_account_options, network_errors_told, seconds
from .errors import CommandError, NotDelivered, RoomRefused, TookTooLong, UploadImpossible, UsageError
from .output import escape_unprintable
from .terminal import for_terminal

if TYPE_CHECKING:
    import httpx2

__all__ = ["Order", "configure", "deliver", "run"]

#: Octets of the longest text that is read from the standard input. No server takes a stanza of that size.
MAX_TEXT = 1 << 20

#: Seconds for the answer to a last request, behind which the errors of the server for our messages have come.
LAST_ROUND_TRIP = 10.0

EXAMPLES = """
Examples:

  trioxmpp send juliet@example.org -m 'Art thou not Romeo?'
  uptime | trioxmpp send --jid bot@example.org admin@example.org
  trioxmpp send --room orchard@conference.example.org -m 'Anon, anon!'
  trioxmpp send juliet@example.org --file balcony.jpg
"""

STATUS = """
Exit status: 0 if the server has every message; 1 if a message was refused, or it cannot be known what became of it; 2
if the arguments cannot be used; 3 if the server was not reached, or the session was lost; 4 if it does not let us log
in; 5 if the file was not uploaded; 6 if a room does not let us in; 7 if it took longer than --timeout; 130 on Ctrl-C.
Each failure is told on standard error. If there are several, the status is that of the first.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """The message or file to send, and its recipients."""

    recipients: tuple[JID, ...]
    text: str | None = None
    subject: str | None = None
    file: Path | None = None
    """The file to upload; its address is sent behind the text."""
    is_room: bool = False
    """Whether the recipients are rooms, to be entered as `nick`."""
    nick: str | None = None
    allow_private: bool | None = None
    """Whether the file may be put on a host with a private address; None: if the domain of the account is local."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recipients", nargs="+", metavar="JID", help="whom to send it to")
    parser.add_argument("-m", "--message", metavar="TEXT", help="the text; default: all of the standard input")
    parser.add_argument("-s", "--subject", metavar="TEXT", help="the subject of the message")
    parser.add_argument("-f", "--file", type=Path, help="upload this file, and send its address")
    parser.add_argument(
        "--allow-private", action="store_true", default=None, help="upload to a host with a private address, too"
    )
    parser.add_argument("--room", action="store_true", help="the recipients are rooms: enter them, speak, and leave")
    parser.add_argument("--nick", help="the nick in a room (default: the user name)")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="seconds that all of it may take, connecting half of it (default: %(default)g)",
    )
    add_account_options(parser)
    parser.epilog = EXAMPLES + ACCOUNT_HELP + STATUS


def run(arguments: argparse.Namespace) -> int:
    """Send it, tell of each failure, and return the status of the first."""
    escape_unprintable()
    order = _order(arguments)
    account = account_of(arguments, arguments.timeout / 2)
    with network_errors_told():
        failures = run_until_interrupted(lambda: deliver(order, account, arguments.timeout))
    for failure in failures:
        print(f"trioxmpp: {failure}", file=sys.stderr)
    return failures[0].status if failures else 0


def _order(arguments: argparse.Namespace) -> Order:
    """Return what the arguments ask for. Raises UsageError."""
    try:
        recipients = tuple(dict.fromkeys(JID.parse(text) for text in arguments.recipients))
        text = arguments.message
        if text is None and arguments.file is None:
            if arguments.password_file == "-":
                raise UsageError("the standard input cannot give both the text and the password: use --message")
            text = _standard_input()
        if arguments.file is not None and not arguments.file.is_file():
            raise UsageError(f"{arguments.file} is not a file")
        Message(to=recipients[0], body=text, subject=arguments.subject).validate()
    except ValueError as exc:
        raise UsageError(for_terminal(str(exc))) from exc
    return Order(
        recipients,
        text,
        arguments.subject,
        arguments.file,
        is_room=arguments.room,
        nick=arguments.nick,
        allow_private=arguments.allow_private,
    )


def _standard_input() -> str:
    """Return the text of the standard input. Raises UsageError if it is empty, too long, or not UTF-8."""
    if sys.stdin.isatty():
        print("Type the text of the message, and end it with Ctrl-D.", file=sys.stderr)
    octets = sys.stdin.buffer.read(MAX_TEXT + 1)
    if len(octets) > MAX_TEXT:
        raise UsageError(f"the text is longer than {MAX_TEXT:,} octets: --file sends a file")
    text = octets.decode().removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise UsageError("the standard input has no text, and an empty message is not sent")
    return text


# --- sending


async def deliver(
    order: Order, account: Account, timeout: float = 60.0, *, transport: httpx2.AsyncBaseTransport | None = None
) -> list[CommandError]:
    """Send what `order` says, and return what failed, in order; empty if the server has everything.

    A failure for all of them (no connection, no login, `timeout` seconds over) is raised. `transport` replaces the HTTP
    connection for the file. Cancelling retracts what was not sent yet.
    """
    failures: list[CommandError] = []
    with network_errors_told(timeout), trio.fail_after(timeout):
        async with account.connect(reconnect=ReconnectPolicy(renew=False)) as client:
            try:
                url = None if order.file is None else await _uploaded(client, order, account, transport)
            except UploadImpossible as exc:
                return [exc]
            await (_speak if order.is_room else _send)(client, order, url, failures.append)
    return failures


#: Called with each failure.
_Tell = Callable[[CommandError], object]


def _messages(order: Order, to: JID, url: str | None) -> Iterator[Message]:
    """Yield the messages for one recipient: the text, and the address of the file."""
    kind = MessageType.GROUPCHAT if order.is_room else MessageType.CHAT
    if order.text is not None:
        yield Message(to=to, type=kind, body=order.text, subject=order.subject)
    if url is not None:
        from ..xep.upload import file_message

        yield file_message(url, to=to, type=kind)


async def _uploaded(client: Client, order: Order, account: Account, transport: httpx2.AsyncBaseTransport | None) -> str:
    """Upload the file of the order, and return its URL. Raises UploadImpossible."""
    from ..xep.upload import UploadFailed, upload

    assert order.file is not None
    options = {"tls": account.tls(), "transport": transport, "allow_private": order.allow_private}
    try:
        return await upload(client, order.file, **options)  # type: ignore[arg-type]  # mypy merges the types of a dict
    except ModuleNotFoundError as exc:
        raise UploadImpossible(str(exc)) from exc
    except (UploadFailed, XMPPError, TimeoutError) as exc:
        raise UploadImpossible(because(f"{order.file} was not uploaded", exc)) from exc
    except ConnectionError:
        raise
    except (OSError, ValueError) as exc:  # the file
        raise UploadImpossible(because(f"{order.file} was not uploaded", exc)) from exc


async def _send(client: Client, order: Order, url: str | None, tell: _Tell) -> None:
    """Send to people, and wait until the server has all that it takes."""
    async with client.messages.subscribe(MessageType.ERROR) as bounces:
        tokens: dict[str | None, tuple[JID, StanzaToken]] = {}
        for to in order.recipients:
            for message in _messages(order, to, url):
                try:
                    token = client.enqueue(message)
                except (StanzaTooLarge, OutboxFull) as exc:
                    tell(NotDelivered(f"{to}: {exc}"))
                else:
                    tokens[message.id] = to, token
        for to, token in tokens.values():
            try:
                await token
            except StanzaRefused as exc:
                tell(NotDelivered(f"{to}: {for_terminal(str(exc))}"))
        await _hear_the_rest(client)
        while len(bounces):
            bounce = bounces.receive_nowait()
            if bounce.id in tokens and bounce.error is not None:
                to, _ = tokens.pop(bounce.id)
                tell(NotDelivered(f"{to}: {for_terminal(str(bounce.error))}"))


async def _hear_the_rest(client: Client) -> None:
    """Wait for the answer to a last request: the server has handled our messages then, and told of errors.

    Without stream management, the answer is what proves that the server has the messages. Raises ConnectionError.
    """
    with suppress(XMPPError, TimeoutError):  # an error is an answer, too
        await client.request(Ping(), to=client.jid.domain, timeout=LAST_ROUND_TRIP)


# --- rooms


async def _speak(client: Client, order: Order, url: str | None, tell: _Tell) -> None:
    """Enter each room, speak, and leave."""
    from ..xep.muc import open_room

    nick = order.nick or client.jid.local or "guest"
    for address in order.recipients:
        try:
            with _room_errors_told(address):
                async with open_room(client, address, nick) as room:
                    for message in _messages(order, address, url):
                        await room.say(message)
        except CommandError as exc:
            tell(exc)


@contextmanager
def _room_errors_told(address: JID) -> Iterator[None]:
    from ..xep.muc import JoinRefused, RoomGone, RoomLost

    try:
        yield
    except (JoinRefused, RoomGone) as exc:
        raise RoomRefused(because(str(address), exc)) from exc
    except (XMPPError, RoomLost) as exc:
        raise NotDelivered(because(str(address), exc)) from exc
    except TimeoutError as exc:
        raise TookTooLong(f"{address}: the room has not shown the message") from exc
    except ValueError as exc:
        raise UsageError(for_terminal(str(exc))) from exc
