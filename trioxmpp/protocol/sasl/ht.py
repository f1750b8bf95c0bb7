"""HT-SHA-256 (draft-schmaus-kitten-sasl-ht): a token proved by one hash, each way, bound to the TLS link or not."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping

from ...errors import AuthenticationFailure
from .mechanism import Mechanism
from .saslprep import saslprep

__all__ = ["BINDINGS", "choose_ht", "ht"]

#: Best first: what each is bound to.
BINDINGS = {
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


def ht(name: str, authcid: str, token: str, bindings: Mapping[str, bytes]) -> Mechanism:
    """The one message of that mechanism, and the server's answer, which must prove that it has the token, too.

    `bindings` have to hold what the mechanism is bound to. Raises AuthenticationFailure.
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
            "the server could not prove that it gave us the token: this is not our server, or somebody is in between"
        )
