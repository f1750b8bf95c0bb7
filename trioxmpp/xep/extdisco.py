"""XEP-0215: External Service Discovery: which STUN and TURN servers there are, with credentials that are valid now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import trio

from .. import xml
from ..client import Client, Session, Signal, Step, supervised
from ..errors import ElementError, ErroneousStanza, XMPPError
from ..jid import JID
from ..protocol.elements.extdisco import (
    Action,
    Credentials,
    CredentialsQuery,
    Service,
    Services,
    ServicesPush,
    ServicesQuery,
)
from ..protocol.stanza import IQ, IQType
from ..record import replace

__all__ = ["ExternalServices", "credentials", "open_external_services", "services"]

#: Services that are kept.
LIMIT = 100
#: Seconds before credentials expire at which new ones are asked for, and the least time between two questions.
MARGIN, LEAST = 60.0, 30.0


async def services(client: Client, type: str | None = None, *, of: JID | str | None = None) -> tuple[Service, ...]:
    """Return the services of a type, such as ``turn``, or all (§3.1, §3.2). `of` is who offers them; None: our server.

    Raises ``XMPPError``, for example *service-unavailable* from a server that knows none, and what `Client.send`
    raises. Cancelling changes nothing.
    """
    answer = await client.request(ServicesQuery(type=type), to=_domain(client) if of is None else of)
    return answer.services


async def credentials(client: Client, service: Service, *, of: JID | str | None = None) -> Service:
    """Return a service with credentials for it (§3.4).

    Raises as `services`, and `ErroneousStanza` if the answer has none. If cancelled, the server may have made some.
    """
    asked = Service(host=service.host, type=service.type, port=service.port)
    # As XML, which is answered by XML: ejabberd 23.01 answers with <services/> where the others do not.
    question = xml.fromstring(xml.serialise(CredentialsQuery(services=(asked,)), ""))
    answer = await client.send(
        IQ(type=IQType.GET, payload=question, to=_domain(client) if of is None else JID.parse(str(of)))
    )
    for found in _services_in(answer):
        if _key(found)[:2] == _key(service)[:2] and found.port in (None, service.port):
            return replace(
                service, username=found.username, password=found.password, expires=found.expires or service.expires
            )
    raise ErroneousStanza(f"the answer has no credentials for {service.host}")


def _services_in(answer: xml.Element | None) -> tuple[Service, ...]:
    """Return the services with credentials. Raises `ErroneousStanza` if the answer is something else."""
    kind: type[Credentials | Services] = Credentials
    if answer is not None and answer.tag == xml.tag_of(Services):
        kind = Services
    try:
        return () if answer is None else xml.parse(kind, answer).services
    except ElementError as exc:
        raise ErroneousStanza(f"the answer has no credentials: {exc}") from exc


def _domain(client: Client) -> JID:
    return JID(None, client.jid.domain, None)


def _key(service: Service) -> tuple[str, str, int | None, str | None]:
    return service.host.lower(), service.type, service.port, service.transport


class ExternalServices(Sequence[Service]):
    """The services whose credentials have not expired. `open_external_services` gives one."""

    def __init__(self, client: Client, type: str | None, limit: int) -> None:
        self.on_change: Signal[()] = Signal()
        """Emitted after each change."""
        self._client = client
        self._type = type
        self._limit = limit
        self._services: dict[tuple[Any, ...], Service] = {}
        self._wanted = trio.Event()

    def __getitem__(self, index: Any) -> Any:
        return self._valid()[index]

    def __len__(self) -> int:
        return len(self._valid())

    def __iter__(self) -> Iterator[Service]:
        return iter(self._valid())

    def _valid(self) -> list[Service]:
        """Return the services whose credentials have not expired."""
        now = datetime.now(UTC)
        return [each for each in self._services.values() if each.expires is None or each.expires > now]

    async def fetch(self) -> None:
        """Ask the server anew. A server without such services has none. Raises what `Client.send` raises."""
        try:
            found = await services(self._client, self._type)
        except XMPPError:
            found = ()
        self._services = {_key(each): each for each in found[: self._limit]}
        for key, service in [*self._services.items()]:
            if service.restricted and service.password is None:
                try:
                    self._services[key] = await credentials(self._client, service)
                except (XMPPError, ErroneousStanza):
                    del self._services[key]  # of no use without credentials
        self._changed()

    def take(self, iq: IQ) -> None:
        """Take a push (§3.3)."""
        push: Any = iq.payload
        for service in push.services:
            if self._type is not None and service.type != self._type:
                continue
            if service.action == Action.DELETE:
                self._services.pop(_key(service), None)
            elif _key(service) in self._services or len(self._services) < self._limit:
                self._services[_key(service)] = replace(service, action=None)
        self._changed()

    async def refresh(self) -> None:
        """Ask anew before credentials expire, until cancelled."""
        while True:
            self._wanted = trio.Event()
            ends = [each.expires for each in self._services.values() if each.expires is not None]
            if ends:
                left = (min(ends) - datetime.now(UTC) - timedelta(seconds=MARGIN)).total_seconds()
                with trio.move_on_after(max(left, LEAST)) as scope:
                    await self._wanted.wait()
                if scope.cancelled_caught:
                    await self.fetch()
            else:
                await self._wanted.wait()

    def _changed(self) -> None:
        self._wanted.set()
        self.on_change.emit()


@asynccontextmanager
async def open_external_services(
    client: Client, type: str | None = None, *, limit: int = LIMIT
) -> AsyncIterator[ExternalServices]:
    """A block during which we know the external services of our server, of one type or of all.

    They are asked for in each session, and again a minute before credentials expire. Pushes are taken from our server
    and from no other sender. At most `limit` are kept. Entering raises what asking raises, for the session of now.
    Cancelling leaves nothing behind.
    """
    found = ExternalServices(client, type, limit)

    async def fetch(session: Session) -> None:
        await found.fetch()

    def is_our_server(sender: JID) -> bool:
        return sender == _domain(client)

    try:
        with client.answer(ServicesPush, found.take, from_=is_our_server):
            async with (
                client.each_session(Step.SYNC, fetch),
                supervised(client, found.refresh, name="external services"),
            ):
                yield found
    finally:
        found.on_change.close()
