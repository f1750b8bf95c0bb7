"""Credentials that were given, or a function that gives them: a prompt, a keyring, a vault."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from ..errors import AuthenticationFailure
from ..protocol.sasl import Credentials, LoginMemory

__all__ = ["CredentialsLike", "ask", "with_credentials"]

CredentialsLike: TypeAlias = Credentials | Callable[[], Credentials | Awaitable[Credentials]]

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def ask(given: CredentialsLike) -> Credentials:
    """The credentials that were given, or those that the function gives which was."""
    if isinstance(given, Credentials):
        return given
    credentials = given()
    if isinstance(credentials, Awaitable):
        credentials = await credentials
    if not isinstance(credentials, Credentials):  # whoever wrote that is not told what it was: it may be a password
        raise TypeError(f"the function for the credentials must give Credentials, not {type(credentials).__name__}")
    return credentials


async def with_credentials(
    given: CredentialsLike, memory: LoginMemory, log_in: Callable[[Credentials], Awaitable[T]]
) -> T:
    """What `log_in` returns, with credentials that are still good, or else with those that are asked for now.

    What has logged in by SCRAM, and is refused, is replaced on the same link, if there is something else by then.
    Raises what `log_in` does.
    """
    known = memory.credentials
    if known is None:
        return await log_in(await ask(given))
    try:
        return await log_in(known)
    except AuthenticationFailure as failure:
        if failure.condition is None or failure.retry:
            raise  # that was no word about the password
        refusal = failure
    memory.credentials = None
    fresh = await ask(given)
    if fresh == known:
        raise refusal
    logger.info("%s; there are other credentials now", refusal)
    return await log_in(fresh)
