"""Ad-hoc commands (XEP-0050), both sides: between two clients, and with the server for tests as the responder."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import Client, ErroneousStanza, SessionLost, XMPPError, xml
from trioxmpp.errors import StanzaCondition
from trioxmpp.protocol.elements.adhoc import Action, Actions, Command, CommandRequest, Condition, Status
from trioxmpp.protocol.elements.disco import Item, Items, ItemsQuery
from trioxmpp.protocol.elements.forms import DataForm, Field, FieldType, FormType
from trioxmpp.protocol.elements.oob import OutOfBand
from trioxmpp.testing import Server, open_server
from trioxmpp.testing.server.commands import Forms, Stage
from trioxmpp.testing.server.forms import form as server_form
from trioxmpp.xep.adhoc import CommandError, list_commands, run_command
from trioxmpp.xep.forms import Form, boolean, text
from trioxmpp.xep.offered_commands import CommandSession, OfferedCommand, WentBack, offer_commands


class Coffee(Form, form_type="urn:example:coffee"):
    size = text("size")
    milk = boolean("milk", default=False)


SIZE = DataForm(
    title="Coffee",
    fields=(
        Field(var="FORM_TYPE", type=FieldType.HIDDEN, values=("urn:example:coffee",)),
        Field(var="size", required=True),
        Field(var="milk", type=FieldType.BOOLEAN),
    ),
)
SURE = DataForm(fields=(Field(var="sure", type=FieldType.BOOLEAN, values=("0",)),))


def result(**values: str) -> DataForm:
    return DataForm(
        type=FormType.RESULT, fields=tuple(Field(var=var, values=(value,)) for var, value in values.items())
    )


async def order(session: CommandSession) -> None:
    """Two stages; from the second one can go back."""
    while True:
        coffee = await session.ask(SIZE, Coffee)
        try:
            sure = await session.ask(SURE, last=True, back=True)
        except WentBack:
            continue
        break
    session.done(result(size=coffee.size or "", milk=str(coffee.milk), sure=str(sure["sure"])), note="it comes")


async def simple(session: CommandSession) -> None:
    session.done(note="done")


async def fails(session: CommandSession) -> None:
    raise ZeroDivisionError("a secret")


async def refuses(session: CommandSession) -> None:
    raise trioxmpp.XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "no coffee")


async def forever(session: CommandSession) -> None:
    await trio.sleep_forever()


COMMANDS: dict[str, Any] = {
    "order": (order, "Order a coffee"),
    "simple": (simple, "Something simple"),
    "fails": (fails, "A failure"),
    "refuses": (refuses, "A refusal"),
    "forever": (forever, "Takes its time"),
}


def everybody(jid: Any) -> bool:
    return True


@asynccontextmanager
async def two_clients() -> AsyncIterator[tuple[Server, Client, Client]]:
    async with open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server:
        options: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/1", "secret", **options) as romeo,
            trioxmpp.connect("juliet@example.test/1", "secret", **options) as juliet,
        ):
            yield server, romeo, juliet


async def raw(client: Client, to: Any, **fields: Any) -> Command:
    return await client.request(CommandRequest(**fields), to=to)


def problem_of(exc: XMPPError) -> str:
    """The application-specific condition of an error."""
    return xml.split_tag(exc.application.tag)[1] if hasattr(xml, "split_tag") else exc.application.tag.split("}")[1]


# --- between two clients, on every server


@pytest.mark.item("D11.commands.2")
@on_every_bench(accounts=2)
async def test_a_command_of_several_stages(bench: Bench) -> None:
    bot, user = bench.clients
    async with offer_commands(bot, COMMANDS, allow=everybody), run_command(user, "order", on=bot.jid) as command:
        assert (command.actions, command.default) == ({Action.NEXT}, Action.NEXT)
        assert command.form is not None
        assert command.form.data is not None
        assert command.form.data.title == "Coffee"
        command.form["size"] = "small"
        await command.next()
        assert (command.actions, command.default) == ({Action.PREV, Action.COMPLETE}, Action.COMPLETE)
        await command.back()
        assert command.form is not None
        command.form["size"], command.form["milk"] = "large", True
        await command.proceed()
        assert command.form is not None
        command.form["sure"] = True
        assert not command.finished
        await command.complete()
        assert command.finished
        assert command.status is Status.COMPLETED
        assert command.form is None
        assert command.result is not None
        assert {var: command.result[var] for var in command.result} == {
            "size": "large",
            "milk": "True",
            "sure": "True",
        }
        assert [note.text for note in command.notes] == ["it comes"]
        with pytest.raises(RuntimeError, match="finished"):
            await command.next()


@pytest.mark.item("D11.commands.1")
@on_every_bench(accounts=2)
async def test_commands_are_listed_for_those_who_may_run_them(bench: Bench) -> None:
    bot, user = bench.clients
    offered = {
        "order": (order, "Order a coffee"),
        "simple": OfferedCommand(simple, "Something simple", allow=lambda jid: jid == user.jid),
    }
    async with offer_commands(bot, offered):
        listed = await list_commands(user, bot.jid)
        assert [(item.node, item.name) for item in listed] == [("simple", "Something simple")]
        with pytest.raises(XMPPError) as caught:
            async with run_command(user, "order", on=bot.jid):
                raise AssertionError("it began")
        assert caught.value.condition is StanzaCondition.FORBIDDEN
        info = await user.disco.info(bot.jid, "simple")
        assert [(each.category, each.type) for each in info.identities] == [("automation", "command-node")]
        with pytest.raises(XMPPError):
            await user.disco.info(bot.jid, "order")
        assert "http://jabber.org/protocol/commands" in (await user.disco.info(bot.jid)).features


@on_every_bench(accounts=1)
async def test_by_default_only_our_own_clients_may_run_commands(bench: Bench) -> None:
    (bot,) = bench.clients
    async with (
        bench.connect(0, "other") as other,
        offer_commands(bot, COMMANDS),
        run_command(other, "simple", on=bot.jid) as command,
    ):
        assert command.finished
        assert [note.text for note in command.notes] == ["done"]


# --- the one that offers


async def test_commands_are_offered_while_the_block_runs(autojump_clock: Any) -> None:
    async with two_clients() as (_, bot, user):
        async with offer_commands(bot, COMMANDS, allow=everybody):
            with pytest.raises(ValueError, match="slot"):
                async with offer_commands(bot, {}):
                    raise AssertionError
            await raw(user, bot.jid, node="simple")
            with pytest.raises(XMPPError) as caught:
                await raw(user, bot.jid, node="unknown")
            assert caught.value.condition is StanzaCondition.ITEM_NOT_FOUND
        for attempt in (
            raw(user, bot.jid, node="simple"),
            user.disco.items(bot.jid, "http://jabber.org/protocol/commands"),
        ):
            with pytest.raises(XMPPError):
                await attempt


async def test_an_error_of_the_body_leaves_the_block_bare(autojump_clock: Any) -> None:
    async with two_clients() as (_, bot, user):
        with pytest.raises(KeyError):
            async with offer_commands(bot, COMMANDS, allow=everybody), run_command(user, "order", on=bot.jid):
                raise KeyError


@pytest.mark.item("D11.commands.5")
async def test_dialogs_are_bounded_in_all_and_for_each_user(autojump_clock: Any) -> None:
    async with two_clients() as (_, bot, user), offer_commands(bot, COMMANDS, allow=everybody, sessions=4, per_user=3):
        dialogs = [await raw(user, bot.jid, node="order") for _ in range(3)]
        with pytest.raises(XMPPError) as caught:
            await raw(user, bot.jid, node="order")
        assert caught.value.condition is StanzaCondition.RESOURCE_CONSTRAINT
        await raw(bot, bot.jid, node="order")
        await raw(user, bot.jid, node="order", sessionid=dialogs[0].sessionid, action=Action.CANCEL)
        await raw(bot, bot.jid, node="order")
        with pytest.raises(XMPPError) as caught:
            await raw(user, bot.jid, node="order")
        assert caught.value.condition is StanzaCondition.RESOURCE_CONSTRAINT


@pytest.mark.item("D11.commands.5")
async def test_a_dialog_expires_and_its_requester_is_told(autojump_clock: Any) -> None:
    async with (
        two_clients() as (_, bot, user),
        offer_commands(bot, COMMANDS, allow=everybody, idle=60),
        run_command(user, "order", on=bot.jid) as command,
    ):
        assert command.form is not None
        command.form["size"] = "small"
        await trio.sleep(59)
        await command.next()
        await trio.sleep(59)
        await command.back()
        assert command.form is not None
        command.form["size"] = "large"
        await trio.sleep(61)
        with pytest.raises(CommandError) as caught:
            await command.next()
        assert caught.value.problem is Condition.SESSION_EXPIRED
        assert caught.value.condition is StanzaCondition.NOT_ALLOWED
        assert command.finished


@pytest.mark.item("D11.commands.6")
async def test_a_failure_of_the_coroutine_tells_no_text(autojump_clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with two_clients() as (_, bot, user), offer_commands(bot, COMMANDS, allow=everybody):
        for _ in range(10):
            with pytest.raises(XMPPError) as caught:
                await raw(user, bot.jid, node="fails")
            assert caught.value.condition is StanzaCondition.INTERNAL_SERVER_ERROR
            assert caught.value.text is None
        with pytest.raises(XMPPError, match="no coffee"):
            await raw(user, bot.jid, node="refuses")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR and record.exc_info]


@pytest.mark.item("D11.commands.7")
async def test_a_dialog_belongs_to_its_requester(autojump_clock: Any) -> None:
    async with two_clients() as (_, bot, user), offer_commands(bot, COMMANDS, allow=everybody):
        dialog = await raw(user, bot.jid, node="order")
        for client, node, id in (
            (bot, "order", dialog.sessionid),
            (user, "order", "made-up"),
            (user, "simple", dialog.sessionid),
        ):
            for action in (Action.NEXT, Action.CANCEL):
                with pytest.raises(XMPPError) as caught:
                    await raw(client, bot.jid, node=node, sessionid=id, action=action)
                assert caught.value.condition is StanzaCondition.BAD_REQUEST
                assert problem_of(caught.value) == "bad-sessionid"


@pytest.mark.item("D11.commands.8")
async def test_a_second_request_before_the_answer_is_refused(autojump_clock: Any) -> None:
    async def slow(session: CommandSession) -> None:
        await session.ask(SURE)
        await trio.sleep(10)
        session.done(note="at last")

    answers: list[Any] = []

    async def step(client: Client, to: Any, id: str | None) -> None:
        try:
            answers.append(await raw(client, to, node="slow", sessionid=id, action=Action.NEXT))
        except XMPPError as exc:
            answers.append(exc)

    async with (
        two_clients() as (_, bot, user),
        offer_commands(bot, {"slow": (slow, "Slow")}, allow=everybody),
        trio.open_nursery() as nursery,
    ):
        dialog = await raw(user, bot.jid, node="slow")
        nursery.start_soon(step, user, bot.jid, dialog.sessionid)
        await trio.sleep(1)
        nursery.start_soon(step, user, bot.jid, dialog.sessionid)
    refusal, last = answers
    assert refusal.condition is StanzaCondition.BAD_REQUEST
    assert [note.text for note in last.notes] == ["at last"]


async def test_actions_that_are_not_allowed_change_nothing(autojump_clock: Any) -> None:
    async with two_clients() as (_, bot, user), offer_commands(bot, COMMANDS, allow=everybody):
        with pytest.raises(XMPPError) as caught:
            await raw(user, bot.jid, node="order", action=Action.NEXT)
        assert problem_of(caught.value) == "bad-action"
        dialog = await raw(user, bot.jid, node="order")
        fields = {"node": "order", "sessionid": dialog.sessionid}
        filled = DataForm(type=FormType.SUBMIT, fields=(Field(var="size", values=("small",)),))
        wrong = [
            ({"action": Action.PREV}, "bad-action"),
            ({"action": Action.COMPLETE, "form": filled}, "bad-action"),
            ({"action": "explode", "form": filled}, "malformed-action"),
            ({"action": Action.NEXT}, "bad-payload"),
            ({"action": Action.NEXT, "form": DataForm(type=FormType.SUBMIT)}, "bad-payload"),
            ({"action": Action.NEXT, "form": DataForm(type=FormType.CANCEL, fields=filled.fields)}, "bad-payload"),
            (
                {
                    "form": DataForm(
                        type=FormType.SUBMIT,
                        fields=(Field(var="FORM_TYPE", values=("other",)), *filled.fields),
                    )
                },
                "bad-payload",
            ),
        ]
        for more, problem in wrong:
            with pytest.raises(XMPPError) as caught:
                await raw(user, bot.jid, **fields, **more)
            assert problem_of(caught.value) == problem, more
        stage = await raw(user, bot.jid, **fields, form=filled)
        assert stage.status == Status.EXECUTING
        assert stage.actions is not None
        assert stage.actions.prev


@pytest.mark.item("D11.commands.4")
async def test_leaving_the_block_of_the_requester_cancels_the_coroutine(autojump_clock: Any) -> None:
    ended: list[str] = []

    async def noted(session: CommandSession) -> None:
        try:
            await order(session)
        finally:
            ended.append(session.id)

    async with two_clients() as (_, bot, user), offer_commands(bot, {"order": (noted, "Order")}, allow=everybody):
        async with run_command(user, "order", on=bot.jid) as command:
            await trio.testing.wait_all_tasks_blocked()
            assert not ended
        await trio.testing.wait_all_tasks_blocked()
        assert len(ended) == 1
        assert command.status is Status.CANCELED
        async with run_command(user, "order", on=bot.jid) as command:
            await command.cancel()
            assert command.status is Status.CANCELED
        assert len(ended) == 2


async def test_a_coroutine_that_never_answers_keeps_no_place(autojump_clock: Any) -> None:
    async with (
        two_clients() as (_, bot, user),
        offer_commands(bot, {"forever": (forever, "Forever")}, allow=everybody, per_user=1, idle=10),
    ):
        with pytest.raises(TimeoutError):
            async with run_command(user, "forever", on=bot.jid, timeout=5):
                raise AssertionError("it answered")
        with pytest.raises(XMPPError) as caught:
            await raw(user, bot.jid, node="forever")
        assert caught.value.condition is StanzaCondition.RESOURCE_CONSTRAINT
        await trio.sleep(10)
        with pytest.raises(XMPPError) as caught:  # the first dialog has expired, so this one begins, and expires
            await raw(user, bot.jid, node="forever")
        assert problem_of(caught.value) == "session-expired"


# --- the one that asks


@pytest.mark.item("D11.commands.1")
async def test_listed_items_of_others_are_ignored(autojump_clock: Any) -> None:
    async with two_clients() as (server, _, user):
        server.answer(
            ItemsQuery,
            lambda iq: Items(
                node=iq.payload.node,
                items=(
                    Item(jid=trioxmpp.JID.parse("example.test"), node="a", name="A"),
                    Item(jid=trioxmpp.JID.parse("evil.example"), node="b", name="B"),
                    Item(jid=trioxmpp.JID.parse("example.test")),
                ),
            ),
        )
        assert [item.node for item in await list_commands(user, "example.test")] == ["a"]


async def test_a_command_of_the_server_runs_in_stages(autojump_clock: Any) -> None:
    def greet(forms: Forms) -> Stage:
        if not forms:
            return Stage(form=server_form("form", None, {"name": None}))
        if len(forms) == 1:
            return Stage(form=server_form("form", None, {"again": False}), last=True)
        return Stage(note=f"hello {forms[0]['name'][0]}", done=True)

    async with two_clients() as (server, _, user):
        server.commands.add("greet", "Greet", greet)
        assert [item.name for item in await list_commands(user, server.domain)] == ["Greet"]
        async with run_command(user, "greet", on=server.domain) as command:
            assert command.form is not None
            command.form["name"] = "Juliet"
            await command.proceed()
            await command.proceed()
            assert [note.text for note in command.notes] == ["hello Juliet"]


def answers(server: Server, *stages: Any) -> list[CommandRequest]:
    """Have the server answer commands with these stages; returns the requests that it gets."""
    requests: list[CommandRequest] = []
    left = list(stages)

    def answer(iq: Any) -> Any:
        requests.append(iq.payload)
        stage = left.pop(0)
        if isinstance(stage, XMPPError):
            raise stage
        return stage

    server.answer(CommandRequest, answer)
    return requests


def stage(actions: Actions | None = None, **fields: Any) -> Command:
    return Command(**{"node": "x", "sessionid": "1", "status": Status.EXECUTING, "actions": actions, **fields})


@pytest.mark.item("D11.commands.2")
async def test_the_default_action_is_what_the_responder_says(autojump_clock: Any) -> None:
    cases = [
        (None, {Action.COMPLETE}, Action.COMPLETE),
        (Actions(), {Action.COMPLETE}, Action.COMPLETE),
        (Actions(next=True), {Action.NEXT}, Action.NEXT),
        (Actions(next=True, complete=True), {Action.NEXT, Action.COMPLETE}, Action.NEXT),
        (Actions(execute="complete", next=True, complete=True), {Action.NEXT, Action.COMPLETE}, Action.COMPLETE),
        (Actions(complete=True), {Action.COMPLETE}, None),
        (Actions(execute="prev", next=True), {Action.NEXT}, None),
        (Actions(execute="explode", next=True), {Action.NEXT}, None),
    ]
    async with two_clients() as (server, _, user):
        for actions, allowed, default in cases:
            answers(server, stage(actions), stage(status=Status.CANCELED))
            async with run_command(user, "x", on="example.test") as command:
                assert (command.actions, command.default) == (allowed, default), actions
                if default is None:
                    with pytest.raises(RuntimeError, match="not allowed"):
                        await command.proceed()
                with pytest.raises(RuntimeError, match="prev is not allowed"):
                    await command.back()
            await trio.testing.wait_all_tasks_blocked()  # the cancellation is answered


@pytest.mark.item("D11.commands.3")
async def test_a_finished_command_may_have_a_result_and_a_link(autojump_clock: Any) -> None:
    link = xml.fromstring(xml.serialise(OutOfBand(url="https://example.org/more")))
    async with two_clients() as (server, _, user):
        answers(server, stage(status=Status.COMPLETED, form=result(a="1"), others=(link,)))
        async with run_command(user, "x", on="example.test") as command:
            assert command.finished
            assert command.result is not None
            assert command.result["a"] == "1"
            assert command.link is not None
            assert command.link.url == "https://example.org/more"


async def test_answers_that_make_no_sense_are_errors(autojump_clock: Any) -> None:
    async with two_clients() as (server, _, user):
        for status in (None, "exploded"):
            answers(server, stage(status=status))
            with pytest.raises(ErroneousStanza):
                async with run_command(user, "x", on="example.test"):
                    raise AssertionError
        requests = answers(server, stage(), stage(sessionid="2"), stage(status=Status.CANCELED))
        async with run_command(user, "x", on="example.test") as command:
            with pytest.raises(ErroneousStanza, match="another session"):
                await command.complete()
        await trio.testing.wait_all_tasks_blocked()
        assert [(each.sessionid, each.action) for each in requests] == [
            (None, Action.EXECUTE),
            ("1", Action.COMPLETE),
            ("1", Action.CANCEL),
        ]


async def test_an_error_of_the_responder_leaves_the_stage_as_it_was(autojump_clock: Any) -> None:
    bad = trioxmpp.XMPPModifyError(
        StanzaCondition.BAD_REQUEST, "no", xml.fromstring("<bad-payload xmlns='http://jabber.org/protocol/commands'/>")
    )
    async with two_clients() as (server, _, user):
        answers(server, stage(form=SURE), bad, stage(status=Status.COMPLETED))
        async with run_command(user, "x", on="example.test") as command:
            assert command.form is not None
            with pytest.raises(CommandError) as caught:
                await command.complete()
            assert caught.value.problem is Condition.BAD_PAYLOAD
            assert not command.finished
            command.form["sure"] = True
            await command.complete()
            assert command.finished


async def test_a_lost_session_ends_a_command_with_an_error(autojump_clock: Any) -> None:
    async with two_clients() as (server, bot, user), offer_commands(bot, COMMANDS, allow=everybody):
        with pytest.raises((SessionLost, XMPPError)):
            async with run_command(user, "order", on=bot.jid) as command:
                server.forget(str(bot.jid))
                await trio.testing.wait_all_tasks_blocked()
                assert command.form is not None
                command.form["size"] = "small"
                await command.next()
