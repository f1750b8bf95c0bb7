"""What one client keeps in mind from one login to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from .mechanism import Strength
from .scram import Derivation

__all__ = ["LoginMemory"]

#: A server asks for the same key every time, unless the password is changed, or the server's settings are.
MAX_KEYS = 4


@dataclass(slots=True)
class LoginMemory:
    """How strong logins were, and which keys were derived for them. The keys are as good as the password: they stay
    in memory, and only as long as the client lives."""

    strength: Strength | None = None
    """The best that ever succeeded; nothing weaker will do. None: there was none."""
    _keys: dict[Derivation, bytes] = field(default_factory=dict, repr=False)

    def key(self, derivation: Derivation) -> bytes | None:
        """The key, if it was derived before."""
        return self._keys.get(derivation)

    def succeeded(self, strength: Strength, derivation: Derivation | None = None, key: bytes | None = None) -> None:
        """Remember a login, and the key it took, if it took one."""
        self.strength = strength if self.strength is None else max(strength, self.strength)
        if derivation is not None and key is not None:
            self._keys.pop(derivation, None)
            self._keys[derivation] = key
            while len(self._keys) > MAX_KEYS:
                del self._keys[next(iter(self._keys))]
