"""XEP-0050: Ad-Hoc Commands: offer some. A command is one coroutine, and each dialog with a requester runs it once.

    async def restart(session: CommandSession) -> None:
        answer = await session.ask(DataForm(fields=(Field(var="delay", label="Seconds", values=("5",)),)))
        ...
        session.done(note="restarting")

    async with offer_commands(client, {"restart": (restart, "Restart the bot")}):
        await trio.sleep_forever()

The coroutine waits in `ask` while the requester fills in the form. When the requester cancels, or has been idle for too
long, the coroutine is cancelled. A dialog belongs to the full JID that began it; ids of dialogs cannot be guessed.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, cast, overload

import trio

from .. import xml
from ..client import Client, bare
from ..errors import StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPError, XMPPModifyError, XMPPWaitError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.adhoc import (
    NS,
    Action,
    Actions,
    Command,
    CommandRequest,
    Condition,
    Note,
    NoteType,
    Status,
)
from ..protocol.elements.disco import Identity, Info, Item
from ..protocol.elements.forms import DataForm, Field, FormType
from ..protocol.stanza import IQ
from ..record import record
from .forms import Form, FormError

__all__ = ["CommandSession", "OfferedCommand", "WentBack", "offer_commands"]

_logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Form)

#: How many dialogs that have expired are remembered, to tell their requesters so.
REMEMBERED: Final = 100


class WentBack(Exception):
    """The requester wants to see the stage before once more. Only ``ask(..., back=True)`` raises it."""


class _Turn:
    """One request that waits for its answer."""

    def __init__(self, request: CommandRequest) -> None:
        self.request = request
        self.done = trio.Event()
        self.answer: Command | XMPPError | None = None


class CommandSession:
    """One dialog of a command, as its coroutine sees it.

    `requester` is the full JID that runs the command. It was checked by the server; what it submits was not.
    """

    def __init__(self, requester: JID, node: str, idle: float) -> None:
        self.requester = requester
        self.node = node
        self.id: str = secrets.token_urlsafe(16)
        self.scope: trio.CancelScope = trio.CancelScope()
        """Cancelled when the dialog expires, and when it is cancelled."""
        self._idle = idle
        self._turn: _Turn | None = None
        self._send, self._receive = trio.open_memory_channel[_Turn](1)
        self._notes: list[Note] = []
        self._result: DataForm | None = None

    # --- for the coroutine

    def note(self, text: str, type: NoteType = NoteType.INFO) -> None:
        """Tell the requester something, with the next stage or the end."""
        self._notes.append(Note(type=type, text=text))

    def done(self, form: DataForm | None = None, *, note: str | None = None) -> None:
        """Set what the requester gets when the coroutine returns: a form of results, and a note."""
        self._result = form
        if note is not None:
            self.note(note)

    @overload
    async def ask(self, form: DataForm, *, last: bool = False, back: bool = False) -> Form: ...
    @overload
    async def ask(self, form: DataForm, cls: type[F], *, last: bool = False, back: bool = False) -> F: ...
    async def ask(self, form: DataForm, cls: type[Any] = Form, *, last: bool = False, back: bool = False) -> Any:
        """Show a form to the requester, and return what was submitted, as an object of `cls`.

        With `last` the requester may complete the command, otherwise go on to the next stage. With `back` the requester
        may return to the stage before; that raises `WentBack`. A submission without a required field, or with another
        FORM_TYPE than that of `cls`, is refused, and the requester may submit once more. Cancelled when the requester
        cancels, is idle for too long, or when the block of `offer_commands` is left.
        """
        default = Action.COMPLETE if last else Action.NEXT
        actions = Actions(execute=default, prev=back, next=not last, complete=last)
        self.answer(self._stage(Status.EXECUTING, form, actions))
        while True:
            turn = await self._receive.receive()
            try:
                action = _action(turn.request, default)
                if action is Action.PREV and back:
                    raise WentBack
                if action is not default:
                    raise _refusal(Condition.BAD_ACTION)
                return _submitted(form, turn.request.form, cls)
            except XMPPError as exc:
                self.answer(exc)

    # --- for the other side

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._turn is not None

    async def take(self, request: CommandRequest, *, is_first: bool = False) -> Command:
        """Hand a request to the coroutine, and return its answer, or raise it if it is an error."""
        turn = self._turn = _Turn(request)
        self.scope.deadline = trio.current_time() + self._idle
        if not is_first:
            self._send.send_nowait(turn)
        try:
            await turn.done.wait()
        except trio.Cancelled:
            self.scope.cancel(reason="the session in which the requester asked is over")
            raise
        if isinstance(turn.answer, XMPPError):
            raise turn.answer
        assert turn.answer is not None
        return turn.answer

    def answer(self, answer: Command | XMPPError) -> None:
        """Answer the request that waits, if one does."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.answer = answer
            turn.done.set()

    def final(self) -> Command:
        """Return the answer to the last request."""
        return self._stage(Status.COMPLETED, self._result, None)

    def _stage(self, status: Status, form: DataForm | None, actions: Actions | None) -> Command:
        notes, self._notes = tuple(self._notes), []
        return Command(node=self.node, sessionid=self.id, status=status, form=form, actions=actions, notes=notes)


def _action(request: CommandRequest, default: Action) -> Action:
    """Return the action that the requester takes; raise the answer if there is no such action."""
    action = request.action or Action.EXECUTE
    if not isinstance(action, Action):
        raise _refusal(Condition.MALFORMED_ACTION)
    return default if action is Action.EXECUTE else action


def _submitted(asked: DataForm, given: DataForm | None, cls: type[F]) -> F:
    """Return what was submitted, as an object of `cls`; raise the answer if it does not fit the form."""
    given = given or DataForm(type=FormType.SUBMIT)
    for field in asked.fields:
        found = given.field(field.var) if field.var is not None and field.required else None
        if field.required and field.var is not None and (found is None or not any(found.values)):
            raise _refusal(Condition.BAD_PAYLOAD, f"the field {field.var} is required")
    if given.type != FormType.SUBMIT:
        raise _refusal(Condition.BAD_PAYLOAD, "the form must be submitted")
    types = {field.var: field.type for field in asked.fields}
    typed = [Field(var=field.var, type=types.get(field.var), values=field.values) for field in given.fields]
    try:
        return cls.read(DataForm(type=FormType.SUBMIT, fields=tuple(typed)))
    except FormError as exc:
        raise _refusal(Condition.BAD_PAYLOAD, str(exc)) from exc


def _refusal(problem: Condition, text: str | None = None) -> XMPPError:
    """Return the error for a condition of XEP-0050 §4.4."""
    application = xml.fromstring(f"<{problem} xmlns='{NS}'/>")
    if problem is Condition.SESSION_EXPIRED:
        return XMPPCancelError(StanzaCondition.NOT_ALLOWED, text, application)
    return XMPPModifyError(StanzaCondition.BAD_REQUEST, text, application)


# --- all commands of one client

Handler: TypeAlias = Callable[[CommandSession], Awaitable[object]]


@record
class OfferedCommand:
    """A command that we offer: its coroutine, its name for people, and the requesters that may run it.

    Without `allow`, that of `offer_commands` counts.
    """

    handler: Handler
    name: str
    allow: Callable[[JID], bool] | None = None


class _Dispatcher:
    """Finds the dialog for a request, and runs the coroutine of each dialog."""

    def __init__(
        self,
        commands: Mapping[str, OfferedCommand],
        nursery: trio.Nursery,
        *,
        sessions: int,
        per_user: int,
        idle: float,
    ) -> None:
        self.commands = commands
        self._nursery = nursery
        self._limit, self._per_user, self._idle = sessions, per_user, idle
        self._dialogs: dict[str, CommandSession] = {}
        self._expired: OrderedDict[str, JID] = OrderedDict()

    async def handle(self, sender: JID, request: CommandRequest) -> Command:
        """Answer one request, or raise the error that is the answer."""
        if request.sessionid is None:
            dialog = self._begin(sender, request)
            return await dialog.take(request, is_first=True)
        dialog = self._find(sender, request)
        if request.action == Action.CANCEL:
            canceled = Command(node=dialog.node, sessionid=dialog.id, status=Status.CANCELED)
            dialog.answer(canceled)
            del self._dialogs[dialog.id]
            dialog.scope.cancel(reason="the requester has cancelled the command")
            await trio.lowlevel.checkpoint()
            return canceled
        if dialog.busy:
            raise _refusal(Condition.BAD_ACTION, "the request before this one has no answer yet")
        return await dialog.take(request)

    def may_run(self, requester: JID, node: str) -> bool:
        """Return whether a requester may run a command."""
        allow = self.commands[node].allow
        return allow is None or allow(requester)

    def _begin(self, sender: JID, request: CommandRequest) -> CommandSession:
        if request.node not in self.commands:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        if not self.may_run(sender, request.node):
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        if _action(request, Action.EXECUTE) is not Action.EXECUTE:
            raise _refusal(Condition.BAD_ACTION)
        users = Counter(dialog.requester.bare for dialog in self._dialogs.values())
        if len(self._dialogs) >= self._limit or users[sender.bare] >= self._per_user:
            raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "too many commands are under way")
        dialog = CommandSession(sender, request.node, self._idle)
        self._dialogs[dialog.id] = dialog
        self._nursery.start_soon(self._run, dialog)
        return dialog

    def _find(self, sender: JID, request: CommandRequest) -> CommandSession:
        assert request.sessionid is not None
        dialog = self._dialogs.get(request.sessionid)
        if dialog is None or dialog.requester != sender or dialog.node != request.node:
            has_expired = self._expired.get(request.sessionid) == sender
            raise _refusal(Condition.SESSION_EXPIRED if has_expired else Condition.BAD_SESSIONID)
        if not self.may_run(sender, dialog.node):
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        return dialog

    async def _run(self, dialog: CommandSession) -> None:
        """Run the coroutine of a dialog, from its first stage to its end."""
        answer: Command | XMPPError = _refusal(Condition.SESSION_EXPIRED)
        try:
            with dialog.scope:
                await self.commands[dialog.node].handler(dialog)
                answer = dialog.final()
        except XMPPError as exc:
            answer = exc
        except Exception:
            _logger.exception("the command %s has failed", dialog.node)
            answer = XMPPCancelError(StanzaCondition.INTERNAL_SERVER_ERROR)
        finally:
            if self._dialogs.pop(dialog.id, None) is not None and dialog.scope.cancelled_caught:
                self._expired[dialog.id] = dialog.requester
                while len(self._expired) > REMEMBERED:
                    self._expired.popitem(last=False)
            dialog.answer(answer)


@asynccontextmanager
async def offer_commands(
    client: Client,
    commands: Mapping[str, OfferedCommand | tuple[Handler, str]],
    *,
    allow: Callable[[JID], bool] | None = None,
    sessions: int = 100,
    per_user: int = 5,
    idle: float = 600.0,
) -> AsyncIterator[None]:
    """A block during which others can run these commands, by node; a pair of coroutine and name will do.

    ``allow(jid)`` decides which requesters may run, and see, a command; by default only the clients of our own account.
    At most `sessions` dialogs are open, `per_user` of them by one bare JID; a dialog ends `idle` seconds after its last
    request, even while its coroutine works. An `XMPPError` that a coroutine raises is the answer; any other exception
    is logged, and answered with *internal-server-error* and no text. ValueError if commands are offered already.
    Leaving the block cancels all dialogs.
    """

    def is_ours(requester: JID) -> bool:
        return requester.bare == client.jid.bare

    offered = {node: _offered(given, allow or is_ours) for node, given in commands.items()}
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            dispatcher = _Dispatcher(offered, nursery, sessions=sessions, per_user=per_user, idle=idle)

            def handle(iq: IQ) -> Awaitable[Command]:
                return dispatcher.handle(iq.from_ or client.jid.bare, cast(CommandRequest, iq.payload))

            def listed(requester: JID) -> Sequence[Item]:
                visible = [node for node in offered if dispatcher.may_run(requester, node)]
                return [Item(jid=client.jid, node=node, name=offered[node].name) for node in visible]

            with inside, ExitStack() as stack:
                stack.enter_context(client.answer(CommandRequest, handle))
                stack.enter_context(client.offers(NS, ns.FORMS))
                stack.enter_context(client.offers.node(NS, info=_describe_list, items=listed))
                for node, command in offered.items():
                    stack.enter_context(
                        client.offers.node(node, info=partial(_describe, dispatcher, node, command.name))
                    )
                yield
            nursery.cancel_scope.cancel(reason="the block of offer_commands was left")


def _offered(given: OfferedCommand | tuple[Handler, str], allow: Callable[[JID], bool]) -> OfferedCommand:
    if not isinstance(given, OfferedCommand):
        given = OfferedCommand(*given)
    return given if given.allow is not None else OfferedCommand(given.handler, given.name, allow)


def _describe_list(requester: JID) -> Info:
    return Info.of([NS], [Identity(category="automation", type="command-list")], node=NS)


def _describe(dispatcher: _Dispatcher, node: str, name: str, requester: JID) -> Info:
    if not dispatcher.may_run(requester, node):
        raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
    return Info.of([NS, ns.FORMS], [Identity(category="automation", type="command-node", name=name)], node=node)
