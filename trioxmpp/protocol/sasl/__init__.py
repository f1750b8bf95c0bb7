"""SASL (RFC 6120 §6): mechanisms as generators of bytes, and the choice between them."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import AuthenticationFailure
from .mechanism import Credentials, Mechanism, printable
from .plain import plain
from .scram import Derivation, scram

__all__ = ["Credentials", "Derivation", "Mechanism", "choose"]

_SCRAM = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
_PREFERENCE = (*_SCRAM, "PLAIN")


def choose(
    offered: Iterable[str], credentials: Credentials, *, secure: bool, nonce: str, minimum: str | None = None
) -> tuple[str, Mechanism]:
    """The best of the mechanisms that are offered, by our preference and not the server's (RFC 6120 §6.3.3).

    `secure` tells whether TLS protects the link, `nonce` is one that nobody can guess. `minimum` names the weakest
    mechanism that will do, say, the one that this account used the last time.

    Raises AuthenticationFailure if there is none that we are willing to use: there is no silent fallback to a weaker
    one. Raises ValueError if `minimum` is no mechanism that we know.
    """
    if minimum is not None and minimum not in _PREFERENCE:
        raise ValueError(f"minimum must be one of {', '.join(_PREFERENCE)}")
    acceptable = _PREFERENCE if minimum is None else _PREFERENCE[: _PREFERENCE.index(minimum) + 1]
    names = set(offered)
    for name in acceptable:
        if name not in names:
            continue
        if name in _SCRAM:
            return name, scram(_SCRAM[name], credentials, nonce)
        if secure and credentials.allow_plain:
            return name, plain(credentials)
    raise AuthenticationFailure(
        f"no acceptable way to log in: the server offers {printable(', '.join(sorted(names))) or 'nothing'}, "
        f"we know {', '.join(_PREFERENCE)}; {_advice(names, acceptable, secure)}"
    )


def _advice(names: set[str], acceptable: tuple[str, ...], secure: bool) -> str:
    """What a person may do when nothing of what is offered is acceptable."""
    if names & set(_PREFERENCE) - set(acceptable):
        return f"nothing weaker than {acceptable[-1]} will do here, so somebody may be weakening the offer"
    if "PLAIN" not in names:
        return "ask who runs the server to enable SCRAM" if secure else "the server may want TLS first"
    return "PLAIN would need Credentials(..., allow_plain=True)" if secure else "PLAIN is never used without TLS"
