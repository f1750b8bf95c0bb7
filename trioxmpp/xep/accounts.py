"""XEP-0077: In-Band Registration: create an account, change its password, remove it.

An account is created on a stream of its own, before any login. The server says first which fields it wants: a data form
if it has one, else single fields (§4), or the address of a page at which to register (§5). With a token of XEP-0445 a
server may permit a registration that is closed to others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from ..client import Client, StrangerStream, open_stranger_stream
from ..errors import ErroneousStanza, StanzaError, TLSFailure
from ..jid import JID
from ..protocol.elements.register import PreAuth, Register, RegisterQuery, Registration
from .forms import Form

__all__ = [
    "AccountRegistration",
    "RegistrationElsewhere",
    "change_password",
    "open_registration",
    "register",
    "remove_account",
]

#: The fields of a registration without a form (§14.1).
_FIELDS: Final = (
    "username",
    "nick",
    "password",
    "name",
    "first",
    "last",
    "email",
    "address",
    "city",
    "state",
    "zip",
    "phone",
    "url",
    "date",
    "misc",
    "text",
)


class RegistrationElsewhere(StanzaError):
    """An account can only be created at a page of the web, `url`. The server chose it: show it to a person."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"an account can only be created at {url[:500]}")


class AccountRegistration:
    """A registration that the server has described.

    `instructions` are for a person. `form` is the form to fill in, if the server has one. `fields` are the names of the
    fields that it wants, of the form or else of XEP-0077. `link` is a page at which one can register, or None.
    """

    def __init__(self, stream: StrangerStream, asked: Registration) -> None:
        self.instructions: str | None = asked.instructions
        self.form: Form | None = None if asked.form is None else Form.read(asked.form)
        self.link: str | None = None if asked.oob is None else asked.oob.url
        named = [name for name in _FIELDS if getattr(asked, name) is not None]
        self.fields: frozenset[str] = frozenset(named if self.form is None else self.form)
        self._stream = stream
        self._key = asked.key

    async def submit(self, values: Mapping[str, Any]) -> None:
        """Create the account, with these values by field.

        Raises ValueError for a field that the server does not want, or one that it requires and that is missing;
        `RegistrationElsewhere` if the server only gives a page; `XMPPError` if it refuses: *conflict* if the
        account exists. After that it may be tried again. Otherwise raises, and may be cancelled, as
        `StrangerStream.request`.
        """
        if not self.fields:
            if self.link is not None:
                raise RegistrationElsewhere(self.link)
            raise ErroneousStanza("the server does not say what a registration needs")
        if self.form is not None:
            for name, value in values.items():
                self.form[name] = value
            await self._stream.request(Register(form=self.form.submit()))
            return
        unknown, missing = set(values) - self.fields, self.fields - set(values)
        if unknown or missing:
            wrong = ", ".join(sorted(unknown or missing))
            raise ValueError(f"{'the server does not want' if unknown else 'the server requires'} {wrong}")
        await self._stream.request(Register(key=self._key, **values))


@asynccontextmanager
async def open_registration(
    domain: str, *, token: str | None = None, **options: Any
) -> AsyncIterator[AccountRegistration]:
    """A block with the registration that a server offers to strangers, on a stream of its own under TLS.

    `token` is one of XEP-0445, from an invitation. `options` are those of `open_stranger_stream`: `endpoint`, `tls`,
    `proxy`, `resolver`, `timeout`. Raises `XMPPError` if the server has no registration or does not take the token, and
    what `open_stranger_stream` raises. Cancelling closes the stream.
    """
    async with open_stranger_stream(domain, **options) as stream:
        if token is not None:
            await stream.request(PreAuth(token=token))
        yield AccountRegistration(stream, await stream.request(RegisterQuery()))


async def register(
    jid: JID | str,
    password: str,
    *,
    values: Mapping[str, Any] | None = None,
    token: str | None = None,
    **options: Any,
) -> None:
    """Create the account `jid`. `values` are for further fields, by name: ``{"email": ...}``.

    Raises ValueError if the server wants other fields, and what `open_registration` and
    `AccountRegistration.submit` raise. Cancelling may leave the account created.
    """
    address = JID.parse(jid) if isinstance(jid, str) else jid
    if address.local is None:
        raise ValueError(f"{address} is not the address of an account")
    async with open_registration(address.domain, token=token, **options) as registration:
        await registration.submit({"username": address.local, "password": password, **(values or {})})


async def change_password(client: Client, password: str, *, allow_plaintext: bool = False) -> None:
    """Give our account another password (§3.3), and log in with it from now on.

    The token that belongs to the old password is forgotten. Raises `TLSFailure`, and sends nothing, if the link has no
    TLS, unless `allow_plaintext`; `XMPPError` if the server refuses, and what `Client.send` and
    `Client.use_credentials` raise. Cancelling leaves it unknown which password counts.
    """
    await client.wait_linked()
    session = client.session
    if not allow_plaintext and (session is None or not session.secure):
        raise TLSFailure("a password is only changed over a link with TLS")
    account = client.jid
    await client.request(Register(username=account.local, password=password), to=JID(None, account.domain, None))
    await client.use_credentials(password)


async def remove_account(client: Client) -> None:
    """Remove our account from the server, with all that is in it (§3.2). There is no way back.

    The server ends the stream then; the client is over, and does not try to connect again. Raises `XMPPError` if the
    server refuses, and otherwise, and is cancelled, as `Client.end_by`.
    """
    await client.end_by(Register(remove=True), to=JID(None, client.jid.domain, None))
