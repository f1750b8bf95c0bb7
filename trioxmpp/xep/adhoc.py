"""XEP-0050: Ad-Hoc Commands: run those of others.

A command is a dialog of forms. The responder decides about the state of the dialog (its *status*) and the actions that
are allowed; the requester chooses among them. `trioxmpp.xep.offered_commands` is the other side.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from .. import xml
from ..client import Client
from ..errors import ErroneousStanza, StanzaCondition, StanzaError, XMPPError
from ..jid import JID
from ..protocol.elements.adhoc import NS, Action, Command, CommandRequest, Condition, Note, NoteType, Status
from ..protocol.elements.disco import Item
from ..protocol.elements.forms import DataForm
from ..protocol.elements.oob import OutOfBand
from ..protocol.stanza import IQ
from .forms import Form

__all__ = [
    "Action",
    "CommandError",
    "CommandFailed",
    "Note",
    "NoteType",
    "RemoteCommand",
    "Status",
    "list_commands",
    "run_command",
]

F = TypeVar("F", bound=Form)

_CONDITIONS = {condition.value: condition for condition in Condition}
_STEPS = (Action.PREV, Action.NEXT, Action.COMPLETE)


class CommandError(XMPPError):
    """The responder does not go on with a command. `problem` is its reason, of XEP-0050 §4.4; None for another one."""

    def __init__(self, condition: StanzaCondition, text: str | None = None, problem: Condition | None = None) -> None:
        self.problem = problem
        super().__init__(condition, text)


async def list_commands(client: Client, on: JID | str) -> tuple[Item, ...]:
    """Return the commands that an entity offers to us: items with `node` and `name` (§3.1).

    Items with another address are not from the entity to give, and left out. Raises and may be cancelled as
    `Disco.items`.
    """
    responder = _jid(on)
    items = await client.disco.items(responder, NS, fresh=True)
    return tuple([item for item in items if item.jid == responder and item.node])


class CommandFailed(StanzaError):
    """A command is finished, and its responder says that it failed (the notes of type *error*, §4.3).

    `notes` are the remarks of the responder; their texts are for people.
    """

    def __init__(self, node: str, notes: tuple[Note, ...]) -> None:
        self.notes = notes
        texts = "; ".join(note.text or "" for note in notes if note.type == NoteType.ERROR)
        super().__init__(f"the command {node[:200]} failed: {texts[:500]}")


@asynccontextmanager
async def run_command(
    client: Client, node: str, *, on: JID | str, timeout: float | None = 60.0
) -> AsyncIterator[RemoteCommand]:
    """A block in which a command of another entity runs; gives it at its first stage, or finished already.

    Each stage may take `timeout` seconds. Leaving the block cancels the command, unless it is finished. Raises
    `CommandError` or another `XMPPError` if the responder refuses, `ErroneousStanza` if its answer makes no sense,
    TimeoutError, and what `Client.send` raises. Cancelling while entering may leave a dialog with the responder, which
    lets it expire.
    """
    command = RemoteCommand(client, _jid(on), node, timeout)
    await command.begin()
    try:
        yield command
    finally:
        command.abandon()


class RemoteCommand:
    """A command of another entity, at one of its stages.

    `form` is the form to fill in, `result` the form that the finished command returned, `link` a page at which the
    command goes on (XEP-0066); each may be None. `notes` are remarks of the responder. `actions` are the actions that
    are allowed now, and `default` the one of them that `proceed` takes.
    """

    def __init__(self, client: Client, responder: JID, node: str, timeout: float | None) -> None:
        self.responder = responder
        self.node = node
        self.status: Status = Status.EXECUTING
        self.form: Form | None = None
        self.result: Form | None = None
        self.link: OutOfBand | None = None
        self.notes: tuple[Note, ...] = ()
        self.actions: frozenset[Action] = frozenset()
        self.default: Action | None = None
        self._client = client
        self._timeout = timeout
        self._id: str | None = None

    def __repr__(self) -> str:
        return f"<RemoteCommand {self.node} of {self.responder}, {self.status}>"

    @property
    def finished(self) -> bool:
        """Whether the dialog is over."""
        return self.status is not Status.EXECUTING

    async def next(self, form: Form | None = None) -> None:
        """Submit the form of this stage and go to the next stage.

        This, and each of the other actions, raises RuntimeError if the action is not allowed, FormError if the form
        cannot be submitted, and what `run_command` raises. After an error of the responder the stage is as it was.
        Cancelling leaves it unknown whether the responder took the step.
        """
        await self._act(Action.NEXT, form)

    async def complete(self, form: Form | None = None) -> None:
        """Submit the form of this stage and finish the command. Raises, and may be cancelled, as `next`."""
        await self._act(Action.COMPLETE, form)

    async def back(self) -> None:
        """Return to the stage before. Raises, and may be cancelled, as `next`."""
        await self._act(Action.PREV, None)

    async def proceed(self, form: Form | None = None) -> None:
        """Take the action that the responder proposes: the next stage, or the end.

        Raises, and may be cancelled, as `next`.
        """
        await self._act(self.default, form)

    async def cancel(self) -> None:
        """Cancel the command. Raises, and may be cancelled, as `next`."""
        if self.finished:
            raise RuntimeError("the command is finished")
        await self._send(Action.CANCEL, None)

    async def begin(self) -> None:
        """Ask for the first stage; `run_command` does that."""
        await self._send(Action.EXECUTE, None)

    def abandon(self) -> None:
        """Tell the responder that the command is not needed any more, unless it is finished; does not wait."""
        if self.finished or not self._client.established:
            return
        request = CommandRequest(node=self.node, sessionid=self._id, action=Action.CANCEL)
        self._client.enqueue(IQ.request(request, to=self.responder))
        self.status = Status.CANCELED

    async def _act(self, action: Action | None, form: Form | None) -> None:
        if self.finished:
            raise RuntimeError("the command is finished")
        if action is None or action not in self.actions:
            allowed = ", ".join(sorted(self.actions)) or "none"
            raise RuntimeError(f"the action {action or 'execute'} is not allowed now; allowed: {allowed}")
        submitted = None
        if action is not Action.PREV and (form is not None or self.form is not None):
            submitted = (form or self.form or Form()).submit()
        await self._send(action, submitted)

    async def _send(self, action: Action, form: DataForm | None) -> None:
        request = CommandRequest(node=self.node, sessionid=self._id, action=action, form=form)
        try:
            answer = await self._client.request(request, to=self.responder, timeout=self._timeout)
        except XMPPError as exc:
            problem = _problem(exc)
            if problem is None:
                raise
            if problem in (Condition.BAD_SESSIONID, Condition.SESSION_EXPIRED):
                self.status = Status.CANCELED  # there is nothing left to cancel
            raise CommandError(exc.condition, exc.text, problem) from exc
        self._stage(answer)

    def _stage(self, answer: Command) -> None:
        if not isinstance(answer.status, Status):
            raise ErroneousStanza(f"the command has the unknown status {str(answer.status)[:100]!r}")
        if self._id is not None and answer.sessionid not in (None, self._id):
            raise ErroneousStanza("the answer is about another session of the command")
        self._id = answer.sessionid or self._id
        self.status = answer.status
        self.notes = answer.notes
        form = None if answer.form is None else Form.read(answer.form)
        self.form, self.result = (None, form) if self.finished else (form, None)
        self.link = next((link for link in map(_link, answer.others) if link is not None), None)
        self.actions, self.default = frozenset(), None
        if not self.finished:
            self._read_actions(answer)

    def _read_actions(self, answer: Command) -> None:
        """Read what is allowed now (§3.4). Without a word about it, the command can only be completed."""
        actions = answer.actions
        allowed = set() if actions is None else {step for step in _STEPS if getattr(actions, step)}
        proposed: Any = Action.NEXT if actions is None or actions.execute is None else actions.execute
        if not allowed:
            allowed, proposed = {Action.COMPLETE}, Action.COMPLETE
        self.actions = frozenset(allowed)
        self.default = proposed if proposed in allowed else None


def _jid(given: JID | str) -> JID:
    return JID.parse(given) if isinstance(given, str) else given


def _link(element: xml.Element) -> OutOfBand | None:
    try:
        return xml.parse(OutOfBand, element) if element.tag == xml.tag_of(OutOfBand) else None
    except ValueError:
        return None


def _problem(exc: XMPPError) -> Condition | None:
    """Return the application-specific condition of an error, if it is one of commands."""
    tag = getattr(exc.application, "tag", None)
    if not isinstance(tag, str) or not tag.startswith(f"{{{NS}}}"):
        return None
    return _CONDITIONS.get(tag.partition("}")[2])
