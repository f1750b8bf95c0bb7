"""The answer to a request, as an object of the class that the request is typed with."""

from __future__ import annotations

from typing import Any

from .. import xml
from ..errors import ElementError, ErroneousStanza
from ..protocol.stanza import IQ, response_type

__all__ = ["read_answer"]


def read_answer(request: Any, reply: IQ) -> Any:
    """Return the payload of a result: an object if the class of `request` says which, else as XML; None if empty.

    Raises ErroneousStanza if it is not what that class promises.
    """
    payload = reply.payload
    try:
        answer, optional = response_type(type(request))
    except TypeError:
        return payload
    if answer is None or (payload is None and optional):
        return None
    if payload is None:
        raise ErroneousStanza(f"the result is empty, though {answer.__name__} was due", reply)
    try:
        return xml.parse(answer, payload)
    except ElementError as exc:
        raise ErroneousStanza(f"the result is not what was asked for: {exc}", reply) from exc
