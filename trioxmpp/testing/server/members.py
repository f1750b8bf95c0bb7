"""Which accounts have to do with a node: subscriptions and affiliations, as all sides see them (XEP-0060 §5, §8).

A node has one owner, and one subscription of each JID.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ... import xml
from ...errors import StanzaCondition, XMPPModifyError
from .nodes import EVENT, PUBSUB, PUBSUB_OWNER, Node
from .services import Request
from .stanzas import build

__all__ = ["Answer", "answers_of_members"]

Answer = Callable[[Request, xml.Element], xml.Element | None]

_STATES = ("none", "pending", "subscribed", "unconfigured")
_AFFILIATIONS = ("owner", "publisher", "publish-only", "member", "none", "outcast")


class Nodes(Protocol):
    """The requests to the place that has the nodes."""

    nodes: dict[str, Node]

    def owned(self, request: Request, action: xml.Element) -> Node:
        """Return the node that an action names. Raises XMPPError unless the sender owns it."""
        ...

    def tell_subscriber(self, jid: str, event: xml.Element) -> None:
        """Send an event to one subscriber."""


class _Members:
    def __init__(self, board: Nodes) -> None:
        self._board = board

    # --- what an account asks of itself

    def subscriptions(self, request: Request, action: xml.Element) -> xml.Element:
        """Return the subscriptions of the sender, to all nodes or to one."""
        sender, wanted = _bare(request.sender), action.get("node")
        found = [
            build(PUBSUB, "subscription", node=name, jid=jid, subscription=state)
            for name, node in self._board.nodes.items()
            for jid, state in node.subscribers.items()
            if _bare(jid) == sender and wanted in (None, name)
        ]
        return build(PUBSUB, "pubsub", build(PUBSUB, "subscriptions", *found, node=wanted))

    def affiliations(self, request: Request, action: xml.Element) -> xml.Element:
        """Return the affiliations of the sender, with all nodes or with one."""
        sender, wanted = _bare(request.sender), action.get("node")
        found = []
        for name, node in self._board.nodes.items():
            affiliation = "owner" if node.owner == sender else node.members.get(sender)
            if affiliation is not None and wanted in (None, name):
                found.append(build(PUBSUB, "affiliation", node=name, affiliation=affiliation))
        return build(PUBSUB, "pubsub", build(PUBSUB, "affiliations", *found, node=wanted))

    # --- what the owner asks

    def subscribers(self, request: Request, action: xml.Element) -> xml.Element:
        """Return all subscriptions to a node."""
        node = self._board.owned(request, action)
        found = [build(PUBSUB_OWNER, "subscription", jid=jid, subscription=s) for jid, s in node.subscribers.items()]
        return build(PUBSUB_OWNER, "pubsub", build(PUBSUB_OWNER, "subscriptions", *found, node=node.name))

    def set_subscribers(self, request: Request, action: xml.Element) -> None:
        """Approve or end subscriptions, and tell the subscribers."""
        node = self._board.owned(request, action)
        for change in action.iterchildren(f"{{{PUBSUB_OWNER}}}subscription"):
            jid, state = change.get("jid", ""), change.get("subscription", "")
            if state not in _STATES or not jid:
                raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
            if state == "none":
                node.subscribers.pop(jid, None)
            else:
                node.subscribers[jid] = state
            told = build(EVENT, "subscription", node=node.name, jid=jid, subscription=state)
            self._board.tell_subscriber(jid, told)

    def members(self, request: Request, action: xml.Element) -> xml.Element:
        """Return all affiliations with a node."""
        node = self._board.owned(request, action)
        found = {node.owner: "owner", **node.members}
        items = [build(PUBSUB_OWNER, "affiliation", jid=jid, affiliation=a) for jid, a in found.items()]
        return build(PUBSUB_OWNER, "pubsub", build(PUBSUB_OWNER, "affiliations", *items, node=node.name))

    def set_members(self, request: Request, action: xml.Element) -> None:
        """Change affiliations."""
        node = self._board.owned(request, action)
        for change in action.iterchildren(f"{{{PUBSUB_OWNER}}}affiliation"):
            jid, affiliation = change.get("jid", ""), change.get("affiliation", "")
            if affiliation not in _AFFILIATIONS or not jid:
                raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
            node.members.pop(jid, None)
            if affiliation != "none" and jid != node.owner:
                node.members[jid] = affiliation


def answers_of_members(board: Nodes) -> dict[str, Answer]:
    """Return the answers to these requests, by kind and tag."""
    members = _Members(board)
    return {
        f"get {{{PUBSUB}}}subscriptions": members.subscriptions,
        f"get {{{PUBSUB}}}affiliations": members.affiliations,
        f"get {{{PUBSUB_OWNER}}}subscriptions": members.subscribers,
        f"set {{{PUBSUB_OWNER}}}subscriptions": members.set_subscribers,
        f"get {{{PUBSUB_OWNER}}}affiliations": members.members,
        f"set {{{PUBSUB_OWNER}}}affiliations": members.set_members,
    }


def _bare(jid: str) -> str:
    return jid.partition("/")[0]
