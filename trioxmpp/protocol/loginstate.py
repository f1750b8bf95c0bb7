"""The state of one client that lasts from one login to the next.

A login leaves behind how strong it was, so that no later one is weaker; and what makes the next one quick: a token, the
server's offer, keys that took long to derive. The keys are as good as the password, which is kept with them: they stay
in memory, for as long as the client lives. The rest may be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from ..record import field, record
from .sasl import Credentials, Derivation, Strength
from .sasl2 import SASL2Offer

__all__ = ["FastToken", "LoginState"]

#: Keys that are kept. A server asks for the same one at each login, until the password or its settings are changed.
MAX_KEYS = 4


@record
class FastToken:
    """A token that logs in without the password (XEP-0484). It is for one mechanism and one user name."""

    mechanism: str
    authcid: str
    token: str = field(repr=False)
    expiry: datetime | None = None
    count: int = 0
    """The number of logins with it that were counted (XEP-0484 §3.5)."""


class LoginState:
    """The state that the logins of one client have left behind."""

    def __init__(
        self, strength: Strength | None = None, user_agent_id: str | None = None, fast_token: FastToken | None = None
    ) -> None:
        self.strength = strength
        """The strength of the best login so far, which no later one may fall below; None before the first."""
        self.unproven: str | None = None
        """Why the last login may be weaker than the server wants it, unless the server proved its offer."""
        self.user_agent_id = user_agent_id
        """The id by which servers recognise this client (XEP-0388 §2.3); None until it is needed."""
        self.fast_token = fast_token
        """The token that the next login tries first."""
        self.sasl2: SASL2Offer | None = None
        """The server's offer at the last login by SASL2, if no attempt has failed since: then the next login need not
        wait for the offer."""
        self.credentials: Credentials | None = None
        """The credentials of the last login, if its key is kept: while they are good, the application is not asked."""
        self.wants_tokens = True
        """Whether to ask the server for tokens, and to keep them."""
        self._keys: dict[Derivation, bytes] = {}

    def key(self, derivation: Derivation) -> bytes | None:
        """Return the key, if it was derived before, or None."""
        return self._keys.get(derivation)

    def record_success(
        self,
        strength: Strength,
        keys: Mapping[Derivation, bytes] = MappingProxyType({}),
        credentials: Credentials | None = None,
        unproven: str | None = None,
    ) -> None:
        """Remember a login, the keys that it needed, and why it is unproven, if it is (see `SASLExchange`)."""
        self.unproven = unproven
        self.strength = strength if self.strength is None else max(strength, self.strength)
        self.credentials = credentials if keys else None
        for derivation, key in keys.items():
            self._keys.pop(derivation, None)
            self._keys[derivation] = key
        while len(self._keys) > MAX_KEYS:
            del self._keys[next(iter(self._keys))]

    def forget_secrets(self) -> None:
        """Forget token, keys and credentials: the account has others now, or is gone. The strength stays pinned."""
        self.fast_token = self.credentials = None
        self._keys.clear()
