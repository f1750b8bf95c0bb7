"""HT-SHA-256 (draft-schmaus-kitten-sasl-ht): each side proves that it has the token, by one hash.

The hash covers data of the TLS link, if the mechanism binds. Then a man in the middle cannot use it.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping

from ...errors import AuthenticationFailure
from .mechanism import PlainMechanism
from .saslprep import saslprep

__all__ = ["BINDINGS", "choose_ht", "ht"]

#: The mechanisms, best first, with the type of channel binding of each.
BINDINGS: dict[str, str | None] = {
    "HT-SHA-256-EXPR": "tls-exporter",
    "HT-SHA-256-UNIQ": "tls-unique",
    "HT-SHA-256-ENDP": "tls-server-end-point",
    "HT-SHA-256-NONE": None,
}


def choose_ht(offered: Collection[str], local_types: Collection[str], *, bound: bool = False) -> str | None:
    """Return the best mechanism for a token, over a link that can be bound to the types in `local_types`, or None.

    With `bound`, only a mechanism that binds will do: without binding, the proof is the same at each login, so that a
    man in the middle could log in with it as with the token.
    """
    usable = (name for name, kind in BINDINGS.items() if (not bound if kind is None else kind in local_types))
    return next((name for name in usable if name in offered), None)


def ht(name: str, authcid: str, token: str, bindings: Mapping[str, bytes]) -> PlainMechanism:
    """Run that mechanism: one message each way. The server must prove that it has the token, too.

    `bindings` hold the data of the type that the mechanism is bound to. Raises AuthenticationFailure.
    """
    kind = BINDINGS[name]
    binding = b"" if kind is None else bindings[kind]
    try:
        username = saslprep(authcid).encode()
    except ValueError as exc:
        raise AuthenticationFailure(f"the user name cannot be used: {exc}") from None
    key = token.encode()  # as it stands, whatever it looks like (XEP-0484 §3.3)
    proof = yield username + b"\0" + hmac.digest(key, b"Initiator" + binding, "sha256")
    if proof is None or not hmac.compare_digest(proof, hmac.digest(key, b"Responder" + binding, "sha256")):
        raise AuthenticationFailure(
            "the server could not prove that it gave us the token: this is not our server, or there is a man in the "
            "middle"
        )
