"""Stanzas without a link: test handlers and filters without any I/O."""

from __future__ import annotations

from ..errors import ErroneousStanza
from ..protocol.stanza import IQ, Message, Presence, parse_stanza
from ..stream.stanzastream import StanzaStream
from .transcript import parse_script

__all__ = ["inject"]


def inject(stream: StanzaStream, *stanzas: Message | Presence | IQ | str) -> None:
    """Have `stream` process these stanzas now, in order, as if they had just arrived, whether or not it runs.

    A string is XML with any number of stanzas. On return all is done, apart from the work of async handlers: they need
    the stream to run, or to be an open ``async with`` block. Answers to requests wait in the queue for a link. Stream
    management counts nothing. Raises the exceptions of filters, and ValueError if an element is not a stanza.
    """
    for stanza in stanzas:
        for element in parse_script(stanza if isinstance(stanza, str) else stanza.serialise()):
            try:
                parsed = parse_stanza(element)
            except ErroneousStanza as problem:
                stream.core.router.refuse(problem, stream.core.session)
                continue
            if parsed is None:
                raise ValueError(f"not a stanza: {element.tag!r}")
            stream.core.router.route(parsed, stream.core.session)
