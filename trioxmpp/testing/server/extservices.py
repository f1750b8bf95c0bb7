"""External services (XEP-0215): STUN and TURN servers, with credentials for those that are restricted."""

from __future__ import annotations

import datetime
import secrets

from ... import xml
from ...errors import StanzaCondition, XMPPModifyError
from ...protocol.elements.extdisco import NS, Credentials, Service, Services
from ...record import replace
from .post import Post
from .services import Request

__all__ = ["ExternalServices"]

#: The time for which credentials are valid.
LIFETIME = datetime.timedelta(hours=12)


class ExternalServices:
    """The services of others that one server announces."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._services: tuple[Service, ...] = ()

    def serve(self, *services: Service) -> None:
        """Announce these services."""
        self._services = services
        door = self._post.services
        door.features.domain.features.append(NS)
        door.add("get", f"{{{NS}}}services", self._list, "domain")
        door.add("get", f"{{{NS}}}credentials", self._credentials, "domain")

    def _list(self, request: Request) -> xml.Element:
        wanted = request.payload.get("type")
        return _element(Services(services=tuple(_opened(s) for s in self._services if wanted in (None, s.type))))

    def _credentials(self, request: Request) -> xml.Element:
        asked = {(each.get("host"), each.get("type")) for each in request.payload}
        if any(None in pair for pair in asked):
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        found = tuple(_opened(s) for s in self._services if s.restricted and (s.host, s.type) in asked)
        if self._post.dialect.credentials_as_services:
            return _element(Services(services=found))
        return _element(Credentials(services=found))


def _opened(service: Service) -> Service:
    """Return a service with new credentials, if it needs any."""
    if not service.restricted:
        return service
    expires = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + LIFETIME
    return replace(
        service, username=f"{int(expires.timestamp())}:user", password=secrets.token_urlsafe(15), expires=expires
    )


def _element(answer: Services | Credentials) -> xml.Element:
    return xml.fromstring(xml.serialise(answer, ""))
