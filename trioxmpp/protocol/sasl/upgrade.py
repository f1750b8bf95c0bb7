"""Keys for better mechanisms, given to a server that lacks them: the tasks of XEP-0480. For SASL2 alone.

A key that somebody else has is as good as the password for that mechanism: it is for links without anybody in between.
"""

from __future__ import annotations

from collections.abc import Iterable

from ... import xml
from ...errors import AuthenticationFailure
from .. import ns
from .mechanism import Credentials, CredentialsKind, Derivation, SASLAttempt, Strength
from .saslprep import saslprep
from .scram import check_iterations
from .scramchoice import SCRAM

__all__ = ["Hash", "Salt", "Upgrade", "choose_upgrade", "derivation"]

# Best first.
_TASKS = {f"UPGR-{name}": algorithm for name, algorithm in SCRAM.items()}


@xml.element(ns.SASL_UPGRADE, "upgrade")
class Upgrade:
    """A task that the server offers, or that we want."""

    task: str = xml.text()


@xml.element(ns.SCRAM_UPGRADE, "salt")
class Salt:
    """What the server wants the password to be hashed with."""

    iterations: int = xml.attr()
    salt: bytes = xml.text()


@xml.element(ns.SCRAM_UPGRADE, "hash")
class Hash:
    """The key: SaltedPassword of RFC 5802 §3."""

    key: bytes = xml.text(repr=False)


def choose_upgrade(offered: Iterable[str], attempt: SASLAttempt) -> str | None:
    """The best of the tasks that are offered, for a login that is about to be tried.

    None if there is none for a better hash than that of the login, or if the login is too weak to give a key away on.
    """
    credentials, name = attempt.credentials, attempt.name.removesuffix("-PLUS")
    if credentials.kind is not CredentialsKind.PASSWORD or credentials.authzid is not None or name not in SCRAM:
        return None
    if attempt.strength is not Strength.BOUND:
        return None
    names, better = set(offered), list(SCRAM)[: list(SCRAM).index(name)]
    return next((task for each in better if (task := f"UPGR-{each}") in names), None)


def derivation(task: str, credentials: Credentials, salt: Salt) -> Derivation:
    """What is to be computed for a task that was chosen. Raises AuthenticationFailure."""
    check_iterations(salt.iterations)
    if not salt.salt:
        raise AuthenticationFailure("the server wants a key without any salt")
    try:
        password = saslprep(credentials.password, stored=True).encode()
    except ValueError as exc:
        raise AuthenticationFailure(f"the password cannot be used: {exc}") from None
    return Derivation(_TASKS[task], password, salt.salt, salt.iterations)
