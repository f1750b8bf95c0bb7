"""Dialogs about administration, push notifications, external services and reports, and the recorder of them.

The test plays `STEPS` with the embedded server. ``python -m tests.testing.extras KIND`` plays them with a real server,
one of `tests.e2e.kinds`, and prints the recording.
"""

from __future__ import annotations

import sys

import trio
from lxml import etree

from tests.e2e.kinds import KINDS
from tests.testing.dialogs import Step, is_answer
from tests.testing.raw import RawClient
from trioxmpp.testing.servers import RealServer

__all__ = ["ACCOUNTS", "ADMINISTRATOR", "STEPS"]

ACCOUNTS = {f"user{number}": "secret" for number in range(1, 5)}
ADMINISTRATOR = "user1"

DOMAIN = "example.test"
ADMIN, COMMANDS = "http://jabber.org/protocol/admin", "http://jabber.org/protocol/commands"
EXTDISCO, PUSH, DATA = "urn:xmpp:extdisco:2", "urn:xmpp:push:0", "jabber:x:data"
BLOCKING, REPORTING = "urn:xmpp:blocking", "urn:xmpp:reporting:1"


def _iq(payload: str, to: str | None = DOMAIN, kind: str = "set") -> str:
    return f"<iq type='{kind}' id='1'{f' to={to!r}' if to else ''}>{payload}</iq>"


def _field(var: str, value: str) -> str:
    return f"<field var='{var}'><value>{value}</value></field>"


def _submitted(form_type: str, **values: str) -> str:
    fields = "".join(_field(var.replace("_", "-"), value) for var, value in values.items())
    return f"<x xmlns='{DATA}' type='submit'>{_field('FORM_TYPE', form_type)}{fields}</x>"


def _command(title: str, name: str, **values: str) -> list[Step]:
    """The two steps of a command that takes one form; $session is what the answer to the first has."""
    attributes = f"xmlns='{COMMANDS}' node='{ADMIN}#{name}'"
    form = _submitted(ADMIN, **values)
    return [
        Step("a", _iq(f"<command {attributes} action='execute'/>"), (f"{title}: the form",)),
        Step("a", _iq(f"<command {attributes} sessionid='$session'>{form}</command>"), (title,)),
    ]


def _services(inner: str = "", kind: str = "services", **attributes: str) -> str:
    more = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return _iq(f"<{kind} xmlns='{EXTDISCO}'{more}>{inner}</{kind}>", kind="get")


def _service(host: str, type: str) -> str:
    return f"<service host='{host}' type='{type}'/>"


ADD = {"accountjid": "new@example.test", "password": "x", "password_verify": "x"}
SECRET = _submitted("http://jabber.org/protocol/pubsub#publish-options", secret="s3cret")
STEPS = (
    Step("b", _services(), ("external services",)),
    Step("b", _services(type="stun"), ("external services of a type",)),
    Step("b", _services(_service("turn.example.test", "turn"), "credentials"), ("credentials",)),
    Step("b", _services(_service("other.example.test", "turn"), "credentials"), ("credentials of an unknown service",)),
    *_command("add a user", "add-user", **ADD),
    *_command("add a user that exists", "add-user", **ADD),
    *_command("add a user of another domain", "add-user", **{**ADD, "accountjid": "new@example.org"}),
    *_command("add a user with two passwords", "add-user", **{**ADD, "password_verify": "y"}),
    *_command("change a password", "change-user-password", accountjid="new@example.test", password="y"),
    *_command("change the password of nobody", "change-user-password", accountjid="not@example.test", password="y"),
    Step("a", _iq(f"<command xmlns='{COMMANDS}' node='{ADMIN}#get-registered-users-num'/>"), ("registered users",)),
    Step("a", _iq(f"<command xmlns='{COMMANDS}' node='{ADMIN}#get-online-users-num'/>"), ("online users",)),
    *_command("delete nobody", "delete-user", accountjids="not@example.test"),
    *_command("delete a user", "delete-user", accountjids="new@example.test"),
    Step("b", _iq(f"<command xmlns='{COMMANDS}' node='{ADMIN}#add-user'/>"), ("a command that is not permitted",)),
    Step("a", _iq(f"<command xmlns='{COMMANDS}' node='{ADMIN}#made-up'/>"), ("a command that does not exist",)),
    Step("d", _iq(f"<enable xmlns='{PUSH}'/>", None), ("push without an app server",)),
    Step("d", _iq(f"<enable xmlns='{PUSH}' jid='x@example.org' node='n'/>", "user2@example.test"), ("push of others",)),
    Step("d", _iq(f"<disable xmlns='{PUSH}' jid='x@example.org'/>", None), ("push disabled that was not enabled",)),
    Step("d", _iq(f"<enable xmlns='{PUSH}' jid='user3@example.test/C' node='n'>{SECRET}</enable>", None), ("push",)),
    Step("d", "", ("offline",), ("c",)),
    Step(
        "a", "<message type='chat' id='m' to='user4@example.test'><body>wake up</body></message>",
        ("notification",), ("c",),
    ),
    Step(
        "b",
        _iq(
            f"<block xmlns='{BLOCKING}'><item jid='user4@example.test'><report xmlns='{REPORTING}'"
            " reason='urn:xmpp:reporting:spam'><text xml:lang='en'>spam</text></report></item></block>", None,
        ),
        ("report",), ("b",),
    ),
)  # fmt: skip


# --- the recorder

#: Seconds in which a server on this machine has said all that it has to say.
QUIET = 0.4


async def _log_in(server: RealServer, user: str, resource: str) -> RawClient:
    client = RawClient(await trio.open_tcp_stream("127.0.0.1", server.port), server.domain)
    await client.opens()
    await client.starts_tls(server.ssl_context())
    await client.logs_in(user, server.accounts[user])
    await client.binds(resource)
    return client


async def _heard(client: RawClient) -> list[etree._Element]:
    elements = []
    with trio.move_on_after(QUIET):
        while True:
            event = await client.next_event()
            assert isinstance(event, etree._Element), event
            elements.append(event)
    return elements


async def record(label: str) -> None:
    """Play the dialogs with a real server, and print what came."""
    async with KINDS[label](accounts=ACCOUNTS, administrators=[ADMINISTRATOR]) as server:
        users = {"a": "user1", "b": "user2", "c": "user3", "d": "user4"}
        players = {name: await _log_in(server, user, name.upper()) for name, user in users.items()}
        session = ""
        for step in STEPS:
            print(f"## {step.titles[0]}")
            if step.sends:
                await players[step.client].says(step.sends.replace("$session", session))
            else:
                await players.pop(step.client).aclose()
            for name, client in players.items():
                for element in await _heard(client):
                    session = next(iter(element.xpath("//@sessionid")), session)
                    mark = "=" if is_answer(element, name, step) else f"{name} <"
                    text = etree.tostring(element, encoding="unicode").replace("\n", "&#10;")
                    print(f"   {mark} {text}", flush=True)


if __name__ == "__main__":
    trio.run(record, sys.argv[1])
