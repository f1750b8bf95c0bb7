"""Credentials, or a function that returns them (a prompt, a keyring, a vault); and the exchange that uses them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import trio

from ... import xml
from ...errors import AuthenticationFailure, StreamError
from ...protocol.auth import SASLExchange
from ...protocol.loginstate import LoginState
from ...protocol.sasl import Credentials, Derivation
from ..xmlstream import XmlStream

__all__ = ["CredentialsLike", "ask", "run_exchange", "with_credentials"]

CredentialsLike: TypeAlias = Credentials | Callable[[], Credentials | Awaitable[Credentials]]

T = TypeVar("T")

_logger = logging.getLogger(__name__)


async def ask(given: CredentialsLike) -> Credentials:
    """Return the credentials, calling the function if one was given."""
    if isinstance(given, Credentials):
        return given
    credentials = given()
    if isinstance(credentials, Awaitable):
        credentials = await credentials
    if not isinstance(credentials, Credentials):  # the author of that is not told what it was: it may be a password
        raise TypeError(f"the function for the credentials must give Credentials, not {type(credentials).__name__}")
    return credentials


async def with_credentials(
    given: CredentialsLike,
    memory: LoginState,
    log_in: Callable[[Credentials], Awaitable[T]],
    logger: logging.Logger = _logger,
) -> T:
    """Return what `log_in` returns, with credentials that are still good, or else with those that are asked for now.

    Credentials that have logged in by SCRAM, and are refused, are replaced on the same link, if there is something else
    by then. Raises what `log_in` does.
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


async def run_exchange(xmlstream: XmlStream, exchange: SASLExchange, memory: LoginState) -> dict[Derivation, bytes]:
    """Lead `exchange` to its end; return the keys that it needed, by what they were derived from.

    Raises AuthenticationFailure, or ConnectionError if the link breaks. Cancelling leaves a stream that is useless
    but for `XmlStream.aclose`.
    """
    keys: dict[Derivation, bytes] = {}
    while True:
        if exchange.outgoing is not None:
            await xmlstream.send(exchange.outgoing.encode())
        if exchange.receive(await _answer(xmlstream, exchange)):
            _report(exchange.unproven, memory, xmlstream.logger)
            return keys
        derivation = exchange.derivation
        if derivation is not None:
            key = memory.key(derivation)
            if key is None:
                # Milliseconds to seconds of arithmetic, which must not hold up the other tasks.
                key = await trio.to_thread.run_sync(derivation.compute, abandon_on_cancel=True)
            keys[derivation] = key
            exchange.derived(key)


async def _answer(xmlstream: XmlStream, exchange: SASLExchange) -> xml.Element:
    """Receive the server's answer. A server that ends the stream instead may repeat a secret in its error, too."""
    try:
        return await xmlstream.receive_element()
    except StreamError as error:
        told = (error.text or "", error.application or "")
        text, application = map(exchange.hide, told)
        if error.by_us or (text, application) == told:
            raise
        redacted = StreamError(error.condition, text or None, application=application or None, uri=error.uri)
    raise redacted


def _report(unproven: str | None, memory: LoginState, logger: logging.Logger) -> None:
    """Log that a login may be weaker than the server wants it: once at INFO, since an old server repeats it."""
    if unproven is not None:
        level = logging.DEBUG if memory.unproven == unproven else logging.INFO
        logger.log(level, "logged in without channel binding, and the server did not prove its offer: %s", unproven)
