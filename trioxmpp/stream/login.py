"""The talk of a login, by whatever profile of SASL."""

from __future__ import annotations

import trio

from ..protocol.auth import Dialogue
from ..protocol.sasl import Derivation, LoginMemory
from .xmlstream import XmlStream

__all__ = ["converse"]


async def converse(
    xmlstream: XmlStream, dialogue: Dialogue, memory: LoginMemory
) -> tuple[Derivation | None, bytes | None]:
    """Lead `dialogue` to its end; return the key that it took, if it took one, and what it was derived from.

    Raises AuthenticationFailure, or ConnectionError if the link breaks. Cancelling leaves a stream that is good for
    nothing but `XmlStream.aclose`.
    """
    derivation, key = None, None
    while True:
        if dialogue.say is not None:
            await xmlstream.send(dialogue.say.encode())
        if dialogue.receive(await xmlstream.receive_element()):
            return derivation, key
        if dialogue.derivation is not None:
            derivation = dialogue.derivation
            key = memory.key(derivation)
            if key is None:
                # Milliseconds to seconds of arithmetic, which nobody else should have to wait for.
                key = await trio.to_thread.run_sync(derivation.compute, abandon_on_cancel=True)
            dialogue.derived(key)
