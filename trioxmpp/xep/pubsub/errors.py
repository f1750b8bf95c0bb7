"""The refusals of a publish-subscribe service, as the client tells them apart (XEP-0060 §16.5)."""

from __future__ import annotations

from typing import Any, Final

from ... import xml
from ...errors import StanzaCondition, XMPPCancelError, XMPPError
from ...protocol.elements.pubsub_owner import ERRORS, Condition
from .node import Options

__all__ = ["NodeMismatch", "condition_of", "is_mismatch", "is_missing"]

_PREFIX: Final = f"{{{ERRORS}}}"


class NodeMismatch(XMPPCancelError):
    """A node does not have the options that were asked for, and cannot be given them. Nothing was published.

    `node` is the name of the node, and `wanted` the options.
    """

    def __init__(self, node: str, wanted: Options, text: str | None = None) -> None:
        self.node = node
        self.wanted = wanted
        super().__init__(StanzaCondition.CONFLICT, text or f"the node {node} does not have the options {wanted}")


def condition_of(error: XMPPError) -> Condition | None:
    """Return the application-specific condition of an error, if it is one of XEP-0060."""
    application: Any = error.application
    if application is None:
        return None
    tag = str(application.tag) if isinstance(application, xml.Element) else xml.tag_of(type(application))
    try:
        return Condition(tag.removeprefix(_PREFIX)) if tag.startswith(_PREFIX) else None
    except ValueError:
        return None


def is_missing(error: XMPPError) -> bool:
    """Return whether there is no such node."""
    return error.condition is StanzaCondition.ITEM_NOT_FOUND


def is_mismatch(error: XMPPError) -> bool:
    """Return whether the node has other options than those that were asked for (§7.1.5)."""
    return condition_of(error) is Condition.PRECONDITION_NOT_MET
