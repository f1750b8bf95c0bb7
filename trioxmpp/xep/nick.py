"""XEP-0172: User Nickname: the name by which an account wants to be called.

A nickname says nothing about identity: any account may claim any. Show it as a claim, beside the address.
"""

from __future__ import annotations

from typing import Final

from ..client import Client
from ..errors import XMPPError
from ..jid import JID
from ..protocol.elements.nick import NS, Nick
from ..protocol.stanza import Message, Presence
from .pubsub import CURRENT, Access, Node, Options, fetch_item, publish, retract

__all__ = ["NICKS", "claimed_nick", "clear_nick", "nick_of", "set_nick"]

#: The node; ``watch(client, NICKS)`` hears of the nicknames of contacts.
NICKS: Final = Node(NS, Nick, options=Options(access=Access.PRESENCE))

#: Characters of a nickname that are shown.
MAX_LENGTH = 100


async def set_nick(client: Client, name: str, *, access: Access = Access.PRESENCE) -> None:
    """Publish our nickname (§4.4), for our contacts or, by `access`, for others.

    Raises, and may be cancelled, as `publish`; ValueError for an empty name.
    """
    if not name.strip():
        raise ValueError("a nickname is not empty")
    await publish(client, NICKS, Nick(nick=name), access=access)


async def clear_nick(client: Client) -> None:
    """Publish no nickname any more. Raises, and may be cancelled, as `retract`."""
    await retract(client, NICKS, CURRENT, missing_ok=True)


async def nick_of(client: Client, jid: JID | str | None = None) -> str | None:
    """Return the nickname that an account publishes, as it may be shown; None if there is none, or not for us.

    Raises what `Client.send` raises, but no ``XMPPError``. Cancelling changes nothing.
    """
    try:
        item = await fetch_item(client, NICKS, owner=jid)
    except XMPPError:
        return None
    return None if item is None or item.payload is None else _shown(item.payload.nick)


def claimed_nick(stanza: Message | Presence) -> str | None:
    """Return the nickname that the sender of a message, or of a subscription request, claims, as it may be shown.

    Characters that are not printable, and those that change the direction of the text, are left out; the rest is cut
    to `MAX_LENGTH` characters.
    """
    nick = stanza.get(Nick)
    return None if nick is None else _shown(nick.nick)


def _shown(name: str) -> str | None:
    # isprintable() is false for control characters, and for the format characters that change the direction.
    text = "".join([char if char.isprintable() else " " for char in name[: 4 * MAX_LENGTH]])
    return " ".join(text.split())[:MAX_LENGTH] or None
