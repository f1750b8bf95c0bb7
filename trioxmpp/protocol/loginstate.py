"""What one client keeps in mind from one login to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from ..record import field, record
from .sasl import Credentials, Derivation, Strength
from .sasl2 import SASL2Offer

__all__ = ["FastToken", "LoginState"]

#: A server asks for the same key every time, unless the password is changed, or the server's settings are.
MAX_KEYS = 4


@record
class FastToken:
    """What logs in without the password (XEP-0484): a token, which is for one mechanism and one user name alone."""

    mechanism: str
    authcid: str
    token: str = field(repr=False)
    expiry: datetime | None = None
    count: int = 0
    """How many logins there were with it, as far as they were counted."""


class LoginState:
    """How strong logins were, what makes the next one quick, and which keys were derived. The keys are as good as the
    password, which is kept with them: they stay in memory, and only as long as the client lives. The rest may be kept
    for longer."""

    def __init__(
        self, strength: Strength | None = None, user_agent_id: str | None = None, fast_token: FastToken | None = None
    ) -> None:
        self.strength = strength
        """The best that ever succeeded; nothing weaker will do. None: there was none."""
        self.user_agent_id = user_agent_id
        """The id by which servers are to recognise this client (XEP-0388 §2.3), once there was a reason to have one."""
        self.fast_token = fast_token
        """What the next login is tried with first."""
        self.sasl2: SASL2Offer | None = None
        """What the server offered when a login by SASL2 succeeded the last time, if nothing went wrong since: then it
        need not be awaited again before we speak."""
        self.credentials: Credentials | None = None
        """Those that logged in last, if it was by a key that is kept: while they are good, nobody need be asked."""
        self.wants_tokens = True
        """Whether to ask for tokens, and to keep them."""
        self._keys: dict[Derivation, bytes] = {}

    def key(self, derivation: Derivation) -> bytes | None:
        """The key, if it was derived before."""
        return self._keys.get(derivation)

    def record_success(
        self,
        strength: Strength,
        keys: Mapping[Derivation, bytes] = MappingProxyType({}),
        credentials: Credentials | None = None,
    ) -> None:
        """Remember a login, and the keys it took, if it took any."""
        self.strength = strength if self.strength is None else max(strength, self.strength)
        self.credentials = credentials if keys else None
        for derivation, key in keys.items():
            self._keys.pop(derivation, None)
            self._keys[derivation] = key
        while len(self._keys) > MAX_KEYS:
            del self._keys[next(iter(self._keys))]
