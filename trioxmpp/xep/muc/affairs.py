"""The verbs of moderators, admins and owners of a room, and how an account registers with one (XEP-0045 §8 to §10).

Each verb is one request to the room, whether or not we are in it. It raises the `XMPPError` of a room that refuses, and
what `Client.request` raises; cancelling it leaves open whether the room did it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from ...client import Client
from ...errors import XMPPError
from ...jid import JID
from ...protocol.elements.disco import InfoQuery
from ...protocol.elements.forms import DataForm, FormType
from ...protocol.elements.moderation import Moderate
from ...protocol.elements.muc import (
    AdminItem,
    AdminQuery,
    AdminSet,
    Affiliation,
    Destroy,
    OwnerQuery,
    OwnerSet,
    Role,
)
from ...protocol.elements.register import Register, RegisterQuery
from ...protocol.elements.retraction import Retract
from ...protocol.stanza import IQ
from ...record import record
from .forms import RegistrationForm, RoomConfig

__all__ = [
    "Affiliated",
    "affiliations",
    "configure",
    "destroy",
    "moderate",
    "read_config",
    "register",
    "registered_nick",
    "set_affiliation",
    "set_affiliations",
    "set_role",
    "unregister",
    "write_config",
]


@record
class Affiliated:
    """An account with an affiliation, the nick that it has or has reserved, and the reason, as far as that is known."""

    jid: JID
    affiliation: Affiliation
    nick: str | None = None
    reason: str | None = None


async def affiliations(client: Client, room: JID | str, affiliation: Affiliation) -> tuple[Affiliated, ...]:
    """Return the accounts with this affiliation (§9.5 to §10.8). An account without an address is left out.

    Raises `XMPPError` if the room refuses, and what `Client.send` raises. Cancelling changes nothing.
    """
    answer = await client.request(AdminQuery(items=(AdminItem(affiliation=affiliation),)), to=room)
    return tuple(
        [
            Affiliated(item.jid, affiliation, item.nick, item.reason)
            for item in answer.items
            if item.jid is not None and item.affiliation in (None, affiliation)
        ]
    )


async def set_affiliation(
    client: Client, room: JID | str, account: JID | str, affiliation: Affiliation, *, reason: str | None = None
) -> None:
    """Give an account an affiliation: OUTCAST bans it, MEMBER lets it into a room for members (§9, §10).

    Raises `XMPPError` if the room refuses, and what `Client.send` raises. If cancelled, it may happen all the same.
    """
    await set_affiliations(client, room, {account: affiliation}, reason=reason)


async def set_affiliations(
    client: Client, room: JID | str, accounts: Mapping[JID | str, Affiliation], *, reason: str | None = None
) -> None:
    """Give accounts affiliations, one after the other: some rooms take only the first item of a request.

    Raises, and may be cancelled, as `set_affiliation`. The first refusal is raised; those before it are done.
    """
    await trio.lowlevel.checkpoint()
    for account, affiliation in accounts.items():
        item = AdminItem(jid=_address(account).bare, affiliation=affiliation, reason=reason)
        await client.request(AdminSet(items=(item,)), to=room)


async def set_role(client: Client, room: JID | str, nick: str, role: Role, *, reason: str | None = None) -> None:
    """Give the occupant that has this nick now a role: NONE is a kick, VISITOR takes its voice (§8).

    A nick is not an identity; `Room.set_role` takes an occupant. Raises, and may be cancelled, as `set_affiliation`.
    """
    await client.request(AdminSet(items=(AdminItem(nick=nick, role=role, reason=reason),)), to=room)


async def read_config(client: Client, room: JID | str) -> RoomConfig:
    """Return the configuration form, for an owner; one without fields if the room gives none (§10.2).

    Raises, and may be cancelled, as `affiliations`.
    """
    answer = await client.request(OwnerQuery(), to=room)
    return RoomConfig() if answer.form is None else RoomConfig.read(answer.form)


async def write_config(client: Client, room: JID | str, config: RoomConfig) -> None:
    """Submit what was changed in `config`; the room keeps the other fields.

    Raises `FormError` for a bad value. Otherwise it raises, and may be cancelled, as `set_affiliation`.
    """
    await client.request(OwnerSet(form=config.submit()), to=room)


async def configure(client: Client, room: JID | str, change: Callable[[RoomConfig], object]) -> None:
    """Change the configuration: ``change(config)`` sets fields of the form. An error in it cancels the form.

    Raises, and may be cancelled, as `write_config`, and raises what `change` raises.
    """
    config = await read_config(client, room)
    try:
        change(config)
    except BaseException:
        client.enqueue(_cancelled(room))
        raise
    await write_config(client, room, config)


async def destroy(
    client: Client,
    room: JID | str,
    *,
    reason: str | None = None,
    alternate: JID | str | None = None,
    password: str | None = None,
) -> None:
    """Destroy a room, for an owner; `alternate` is the room to use instead, `password` its password (§10.9).

    Raises, and may be cancelled, as `set_affiliation`.
    """
    other = None if alternate is None else _address(alternate)
    await client.request(OwnerSet(destroy=Destroy(jid=other, reason=reason, password=password)), to=room)


async def moderate(client: Client, room: JID | str, archive_id: str, *, reason: str | None = None) -> None:
    """Retract the message of another occupant, for a moderator (XEP-0425).

    `archive_id` is the id that the room gave it (`RoomEntry.archive_id`). All occupants are told by `MessageModerated`.
    Raises, and may be cancelled, as `set_affiliation`.
    """
    await client.request(Moderate(id=archive_id, retract=Retract(), reason=reason), to=room)


async def registered_nick(client: Client, room: JID | str) -> str | None:
    """Return the nick that the room has reserved for our account, or None (§7.12).

    Raises what `Client.send` raises, but no ``XMPPError``. Cancelling changes nothing.
    """
    try:
        info = await client.request(InfoQuery(node="x-roomuser-item"), to=room)
    except XMPPError:
        return None  # a room that reserves no nicks
    return next((identity.name for identity in info.identities if identity.name), None)


async def register(
    client: Client, room: JID | str, nick: str, *, fill: Callable[[RegistrationForm], object] | None = None
) -> None:
    """Register with a room, and have it reserve `nick` for our account (§7.10).

    ``fill(form)`` answers what else the form asks for. Raises XMPPError with *conflict* if the nick is reserved for
    another account, and `FormError` if a required answer is missing. Otherwise it raises, and may be cancelled, as
    `set_affiliation`.
    """
    answer = await client.request(RegisterQuery(), to=room)
    form = RegistrationForm() if answer.form is None else RegistrationForm.read(answer.form)
    form.nick = nick
    if fill is not None:
        fill(form)
    await client.request(Register(form=form.submit()), to=room)


async def unregister(client: Client, room: JID | str) -> None:
    """End the registration with a room (XEP-0077 §3.2). Raises, and may be cancelled, as `set_affiliation`."""
    await client.request(Register(remove=True), to=room)


def _address(value: JID | str) -> JID:
    return JID.parse(value) if isinstance(value, str) else value


def _cancelled(room: JID | str) -> IQ:
    return IQ.request(OwnerSet(form=DataForm(type=FormType.CANCEL)), to=room)
