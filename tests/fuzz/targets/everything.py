"""All targets by name. Each is a function of octets; it raises nothing, unless there is a fault in the library.

A target takes the errors that are documented as what they are, and lets every other exception out. It also asserts what
must hold: that how octets are cut makes no difference, or that what is read can be written and read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .answers import host_meta, proxy
from .elements import data_form, elements
from .handshake import handshake
from .services import capabilities, claims, nodes, room
from .stored import damaged_database, stored_database, stored_notes, stored_session
from .streams import frames, sm_nonzas, stream, websocket
from .texts import body_text, links
from .values import dates, jids, sasl

__all__ = ["CORPUS", "TARGETS", "Target", "corpus_of"]

Target = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        stream,
        websocket,
        frames,
        sm_nonzas,
        elements,
        data_form,
        jids,
        dates,
        sasl,
        stored_session,
        stored_database,
        stored_notes,
        damaged_database,
        host_meta,
        proxy,
        handshake,
        body_text,
        links,
        capabilities,
        nodes,
        room,
        claims,
    )
}

CORPUS = Path(__file__).parent.parent / "corpus"


def corpus_of(name: str) -> list[bytes]:
    """The inputs of a target, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
