"""XEP-0215: External Service Discovery: STUN and TURN servers, and the credentials for them."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Final

from ... import xml
from ..stanza import Get, Set
from .forms import DataForm

__all__ = ["NS", "Action", "Credentials", "CredentialsQuery", "Service", "Services", "ServicesPush", "ServicesQuery"]

NS: Final = "urn:xmpp:extdisco:2"


class Action(enum.StrEnum):
    """The change that a push reports of a service (§3.3)."""

    ADD = "add"
    DELETE = "delete"
    MODIFY = "modify"


@xml.element(NS, "service")
class Service:
    """A service (§3.1). `restricted`: it needs credentials, which are valid until `expires`."""

    host: str = xml.attr()
    type: str = xml.attr()
    port: int | None = xml.attr(default=None, codec=xml.lenient(int))
    transport: str | None = xml.attr(default=None)
    name: str | None = xml.attr(default=None)
    restricted: bool = xml.attr(default=False, codec=xml.lenient(bool))
    username: str | None = xml.attr(default=None)
    password: str | None = xml.attr(default=None, repr=False)
    expires: datetime | None = xml.attr(default=None, codec=xml.lenient(datetime))
    action: Action | str | None = xml.attr(default=None)
    form: DataForm | None = xml.child(default=None)


@xml.structure
class _Services:
    type: str | None = xml.attr(default=None)
    services: tuple[Service, ...] = xml.children(lenient=True)


@xml.element(NS, "services")
class Services(_Services):
    """The services, of one type or of all (§3.1)."""


@xml.element(NS, "services")
class ServicesQuery(Get[Services]):
    """Asks for the services of a type, or for all (§3.1, §3.2)."""

    type: str | None = xml.attr(default=None)


@xml.element(NS, "services")
class ServicesPush(_Services, Set[None]):
    """The server reports services that were added, changed or removed (§3.3)."""


@xml.structure
class _Credentials:
    services: tuple[Service, ...] = xml.children(lenient=True)


@xml.element(NS, "credentials")
class Credentials(_Credentials):
    """Services with their credentials (§3.4)."""


@xml.element(NS, "credentials")
class CredentialsQuery(_Credentials, Get[Credentials]):
    """Asks for the credentials of a service, named by `host`, `type` and perhaps `port` (§3.4)."""
