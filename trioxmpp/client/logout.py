"""Logging out for good: the token that stands for the password is given up, here and on the server (XEP-0484 §3.6)."""

from __future__ import annotations

from datetime import UTC, datetime

import trio

from ..errors import AuthenticationFailure
from ..stream.bare import bare
from ..stream.negotiation.sasl2 import InlineRequests, SaveLogin
from .dial import Dialler

__all__ = ["invalidate_token"]

#: The conditions by which a server refuses a token that is not valid any more (RFC 6120 §6.5).
_REFUSED = {"account-disabled", "credentials-expired", "not-authorized"}


async def invalidate_token(dialler: Dialler, save: SaveLogin) -> None:
    """See `Client.forget_token`. `save` writes down that the token is forgotten."""
    memory = dialler.memory
    ticket, memory.fast_token, memory.wants_tokens = memory.fast_token, None, False
    with trio.CancelScope(shield=True):  # whatever the server says, or does not say
        await save()
    if ticket is not None and (ticket.expiry is None or ticket.expiry > datetime.now(UTC)):
        await _tell_the_server(dialler.by_token_alone(ticket))
    await trio.lowlevel.checkpoint()


async def _tell_the_server(dialler: Dialler) -> None:
    """Log in by the token a last time, on a link of its own, and leave: the session does not need that link."""
    with bare():
        async with trio.open_nursery() as nursery:  # where a WebSocket lives
            try:
                xmlstream, _ = await dialler.dial(nursery, inline=InlineRequests(invalidate=True))
                try:
                    await xmlstream.say_goodbye()
                finally:
                    with trio.CancelScope(shield=True):
                        await xmlstream.aclose()
            except AuthenticationFailure as failure:
                if failure.condition not in _REFUSED:
                    raise
            finally:
                nursery.cancel_scope.cancel(reason="the token is forgotten")
