"""The state of logins that is written down, so that another process logs in as quickly and as safely as this one."""

from __future__ import annotations

from typing import Any

from ... import xml
from ...protocol.loginstate import FastToken
from ...protocol.sasl import Credentials, CredentialsKind, Strength
from ...protocol.sasl.ht import BINDINGS
from ...protocol.sasl2 import SASL2Offer
from ...record import record
from ...transport.endpoint import Endpoint
from ...xml.times import decode_datetime, encode_datetime
from .jsonvalues import flag, optional, text, whole

__all__ = ["Login"]


@record
class Login:
    """The state that the last login has left behind. It outlives the session.

    `strength` is the best that a login ever had: nothing weaker will do. `token` logs in without the password
    (XEP-0484): for a client that presents itself as `agent` it is as good as the password. `offer` is the offer of the
    server, so that the next login need not await it. `endpoint` is where that was; `found` tells whether it was looked
    up, and not given by the application.

    There is no password in it, nor a key that was derived from one.
    """

    strength: Strength | None = None
    agent: str | None = None
    token: FastToken | None = None
    offer: SASL2Offer | None = None
    endpoint: Endpoint | None = None
    found: bool = False

    def token_for(self, credentials: Credentials) -> FastToken | None:
        """The token, if it may stand for these."""
        token = self.token
        if token is None or credentials.kind is not CredentialsKind.PASSWORD or credentials.authzid is not None:
            return None
        if token.authcid != credentials.authcid:
            return None
        return None if credentials.require_binding and BINDINGS[token.mechanism] is None else token

    def to_json(self) -> dict[str, Any]:
        """As what `json` can write."""
        return {
            "strength": None if self.strength is None else self.strength.name,
            "agent": self.agent,
            "token": None if self.token is None else _token_to_json(self.token),
            "offer": None if self.offer is None else xml.serialise(self.offer),
            "endpoint": None if self.endpoint is None else _endpoint_to_json(self.endpoint),
            "found": self.found,
        }

    @classmethod
    def from_json(cls, value: Any) -> Login:
        """The other way round. Raises ValueError, KeyError or TypeError for what is damaged, and tells no secret."""
        return cls(
            strength=optional(_strength, value["strength"]),
            agent=optional(text, value["agent"]),
            token=optional(_token, value["token"]),
            offer=optional(_offer, value["offer"]),
            endpoint=optional(_endpoint, value["endpoint"]),
            found=flag(value["found"]),
        )


def _strength(value: Any) -> Strength:
    if value not in Strength.__members__:
        raise ValueError("the strength of a login was expected")
    return Strength[value]


def _token_to_json(token: FastToken) -> dict[str, Any]:
    return {
        "mechanism": token.mechanism,
        "authcid": token.authcid,
        "token": token.token,
        "expiry": None if token.expiry is None else encode_datetime(token.expiry),
        "count": token.count,
    }


def _token(value: Any) -> FastToken | None:
    mechanism = text(value["mechanism"])
    token = FastToken(
        mechanism=mechanism,
        authcid=text(value["authcid"]),
        token=text(value["token"]),
        expiry=optional(lambda expiry: decode_datetime(text(expiry)), value["expiry"]),
        count=whole(value["count"]),
    )
    return token if mechanism in BINDINGS else None  # another trioxmpp may know more of them


def _offer(value: Any) -> SASL2Offer:
    return xml.parse(SASL2Offer, xml.fromstring(text(value)))


def _endpoint_to_json(endpoint: Endpoint) -> list[Any]:
    return [endpoint.scheme, endpoint.host, endpoint.port, endpoint.path]  # not every one is as good as its URL


def _endpoint(value: Any) -> Endpoint:
    scheme, host, port, path = value
    return Endpoint(text(scheme), text(host), whole(port), text(path))
