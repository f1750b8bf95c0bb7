"""The talk of a login, by whatever profile of SASL."""

from __future__ import annotations

import trio

from ..protocol.auth import Dialogue
from ..protocol.sasl import Derivation, LoginMemory
from .xmlstream import XmlStream

__all__ = ["converse"]


async def converse(xmlstream: XmlStream, dialogue: Dialogue, memory: LoginMemory) -> dict[Derivation, bytes]:
    """Lead `dialogue` to its end; return the keys that it took, if it took any, and what they were derived from.

    Raises AuthenticationFailure, or ConnectionError if the link breaks. Cancelling leaves a stream that is good for
    nothing but `XmlStream.aclose`.
    """
    keys: dict[Derivation, bytes] = {}
    while True:
        if dialogue.say is not None:
            await xmlstream.send(dialogue.say.encode())
        if dialogue.receive(await xmlstream.receive_element()):
            return keys
        derivation = dialogue.derivation
        if derivation is not None:
            key = memory.key(derivation)
            if key is None:
                # Milliseconds to seconds of arithmetic, which nobody else should have to wait for.
                key = await trio.to_thread.run_sync(derivation.compute, abandon_on_cancel=True)
            keys[derivation] = key
            dialogue.derived(key)
