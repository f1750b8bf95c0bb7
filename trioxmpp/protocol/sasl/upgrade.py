"""Upgrade tasks (XEP-0480): the key of a better SCRAM, for a server that has none yet. Part of SASL2.

With such a key an attacker can log in by that mechanism, as with the password. So it is only given away on a link that
is proved to have no man in the middle: where the login was bound to TLS.
"""

from __future__ import annotations

from collections.abc import Iterable

from ... import xml
from ...errors import AuthenticationFailure
from .. import ns
from .mechanism import Credentials, CredentialsKind, Derivation, SASLAttempt, Strength
from .saslprep import prepare_password
from .scram import check_iterations
from .scramchoice import SCRAM

__all__ = ["Hash", "Salt", "Upgrade", "choose_upgrade", "derivation"]

# Best first.
_TASKS = {f"UPGR-{name}": algorithm for name, algorithm in SCRAM.items()}


@xml.element(ns.SASL_UPGRADE, "upgrade")
class Upgrade:
    """A task that the server offers, or that the client asks for."""

    task: str = xml.text()


@xml.element(ns.SCRAM_UPGRADE, "salt")
class Salt:
    """The salt and the iterations that the server wants the password hashed with."""

    iterations: int = xml.attr()
    salt: bytes = xml.text()


@xml.element(ns.SCRAM_UPGRADE, "hash")
class Hash:
    """The key: SaltedPassword of RFC 5802 §3."""

    key: bytes = xml.text(repr=False)


def choose_upgrade(offered: Iterable[str], attempt: SASLAttempt) -> str | None:
    """Return the best of the tasks that are offered, for a login that is about to be tried.

    None if no task is for a better hash than that of the login, or if the login is too weak to give a key away.
    """
    credentials, name = attempt.credentials, attempt.name.removesuffix("-PLUS")
    if credentials.kind is not CredentialsKind.PASSWORD or credentials.authzid is not None or name not in SCRAM:
        return None
    if attempt.strength is not Strength.BOUND:
        return None
    names, better = set(offered), list(SCRAM)[: list(SCRAM).index(name)]
    return next((task for each in better if (task := f"UPGR-{each}") in names), None)


def derivation(task: str, credentials: Credentials, salt: Salt) -> Derivation:
    """Return the key to compute for a task. Raises AuthenticationFailure for parameters that are not safe."""
    check_iterations(salt.iterations)
    if not salt.salt:
        raise AuthenticationFailure("the server wants a key without any salt")
    try:
        password = prepare_password(credentials.password).encode()
    except ValueError as exc:
        raise AuthenticationFailure(f"the password cannot be used: {exc}") from None
    return Derivation(_TASKS[task], password, salt.salt, salt.iterations)
