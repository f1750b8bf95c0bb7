"""Ad-hoc commands of the server (XEP-0050): dialogs of forms, one stage after the other.

A command is a function that gets the forms that were submitted so far, oldest first, and returns the `Stage` that
follows. So going back is forgetting the last form, and a session is nothing but the list of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ... import xml
from ...errors import StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPModifyError
from .forms import read_form
from .post import Post
from .services import Request
from .stanzas import build

__all__ = ["COMMANDS", "Command", "Commands", "Forms", "Stage"]

COMMANDS = "http://jabber.org/protocol/commands"

#: The dialogs that are open at once, at most.
MAX_DIALOGS = 100

Forms: TypeAlias = list[dict[str, list[str]]]
"""The values of the forms that were submitted, by field."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The next step of a command. Without a form that is to be filled in, or with `done`, it is complete."""

    form: xml.Element | None = None
    note: str | None = None
    failed: bool = False
    """Whether the note is about an error."""
    done: bool = False
    last: bool = False
    """Whether the form is the last one: its default action is *complete*, otherwise *next*."""


Command: TypeAlias = Callable[[Forms], Stage]


@dataclass(slots=True)
class _Dialog:
    node: str
    sender: str
    forms: Forms
    last: bool


class Commands:
    """The commands that the server offers."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._commands: dict[str, tuple[str, Command]] = {}
        self._restricted: dict[str, Callable[[str], bool]] = {}
        self._dialogs: dict[str, _Dialog] = {}
        services = post.services
        services.features.domain.features.append(COMMANDS)
        services.add("set", f"{{{COMMANDS}}}command", self._answer, "domain")
        services.serve_items(COMMANDS, self._items)

    def add(self, node: str, name: str, command: Command) -> None:
        """Offer a command."""
        self._commands[node] = name, command

    def restrict(self, prefix: str, may: Callable[[str], bool]) -> None:
        """Let only those senders execute commands whose node begins with `prefix` for whose full JID `may` is true."""
        self._restricted[prefix] = may

    def _items(self, request: Request) -> list[tuple[str, str | None, str | None]]:
        shown = [node for node in self._commands if self._is_allowed(node, request.sender)]
        return [(self._post.domain, self._commands[node][0], node) for node in shown]

    def _is_restricted(self, node: str) -> bool:
        return any(node.startswith(prefix) for prefix in self._restricted)

    def _is_allowed(self, node: str, sender: str) -> bool:
        return all(may(sender) for prefix, may in self._restricted.items() if node.startswith(prefix))

    def _answer(self, request: Request) -> xml.Element | None:
        payload = request.payload
        node, action, id = payload.get("node", ""), payload.get("action", "execute"), payload.get("sessionid")
        if not self._is_allowed(node, request.sender):
            request.refuse(XMPPAuthError(StanzaCondition.FORBIDDEN), echo=True)
            return None
        if node not in self._commands:
            known = self._post.dialect.unknown_command_not_found and not self._is_restricted(node)
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND if known else StanzaCondition.SERVICE_UNAVAILABLE)
        if id is None:
            if action != "execute":
                raise _bad("bad-action")
            id = self._begin(node, request.sender)
        dialog = self._dialogs.get(id)
        if dialog is None or dialog.node != node or dialog.sender != request.sender:
            raise _bad("bad-sessionid")
        if action == "cancel":
            del self._dialogs[id]
            return build(COMMANDS, "command", node=node, sessionid=id, status="canceled")
        if payload.get("sessionid") is not None:
            self._proceed(dialog, action, payload)
        return self._stage(id, dialog)

    def _begin(self, node: str, sender: str) -> str:
        while len(self._dialogs) >= MAX_DIALOGS:
            del self._dialogs[next(iter(self._dialogs))]
        id = secrets.token_hex(8)
        self._dialogs[id] = _Dialog(node, sender, [], False)
        return id

    def _proceed(self, dialog: _Dialog, action: str, payload: xml.Element) -> None:
        if action == "prev":
            if not dialog.forms:
                raise _bad("bad-action")
            dialog.forms.pop()
        elif action == ("complete" if dialog.last else "next") or action == "execute":
            dialog.forms.append(read_form(payload))
        else:
            raise _bad("bad-action")

    def _stage(self, id: str, dialog: _Dialog) -> xml.Element:
        stage = self._commands[dialog.node][1]([*dialog.forms])
        dialog.last = stage.last
        done = stage.done or stage.form is None
        actions = None
        if done:
            del self._dialogs[id]
        else:
            default = "complete" if stage.last else "next"
            back = build(COMMANDS, "prev") if dialog.forms else None
            further = build(COMMANDS, "next") if stage.last and self._post.dialect.last_stage_has_next else None
            actions = build(COMMANDS, "actions", back, further, build(COMMANDS, default), execute=default)
        kind = "error" if stage.failed else "info"
        note = None if stage.note is None else build(COMMANDS, "note", text=stage.note, type=kind)
        status = "completed" if done else "executing"
        return build(COMMANDS, "command", actions, note, stage.form, node=dialog.node, sessionid=id, status=status)


def _bad(condition: str) -> XMPPModifyError:
    return XMPPModifyError(StanzaCondition.BAD_REQUEST, application=build(COMMANDS, condition))
