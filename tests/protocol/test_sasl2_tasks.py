"""Between the credentials and the success: the one task that we are ready for, and all that a server may not ask."""

from __future__ import annotations

import base64
import hashlib

import pytest

from trioxmpp import xml
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol import ns
from trioxmpp.protocol.sasl import Channel, Credentials, MechanismOffer, SASLAttempt, choose
from trioxmpp.protocol.sasl2 import Continue, LoginRequests, SASL2Exchange

NONCE = "fyko+d2lbbFgONRv9qkxdawL"
SERVER_FIRST = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
PROOF = "<additional-data>dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9</additional-data>"
WHO = "<authorization-identifier>user@example.org</authorization-identifier>"
TASK = "UPGR-SCRAM-SHA-256"
TASKS = f"<tasks><task>{TASK}</task></tasks>"
SALT = f"<salt xmlns='{ns.SCRAM_UPGRADE}' iterations='4096'>QV9TWENSWFE2c2VrOGJmX1o=</salt>"


def said(name: str, inner: str = "") -> xml.Element:
    return xml.fromstring(f"<{name} xmlns='{ns.SASL2}'>{inner}</{name}>")


def attempt() -> SASLAttempt:
    return choose(MechanismOffer(("SCRAM-SHA-1",)), Credentials("user", "pencil"), Channel(secure=True), nonce=NONCE)


def proved(upgrade: str | None = TASK) -> SASL2Exchange:
    """A exchange in which the client has proved itself, and the server has not yet."""
    exchange = SASL2Exchange(attempt(), LoginRequests(upgrade=upgrade))
    assert not exchange.receive(said("challenge", base64.b64encode(SERVER_FIRST).decode()))
    assert exchange.derivation is not None
    exchange.derived(exchange.derivation.compute())
    return exchange


def begun() -> SASL2Exchange:
    """A exchange in which the task has begun."""
    exchange = proved()
    assert not exchange.receive(said("continue", f"{PROOF}{TASKS}"))
    return exchange


def done() -> SASL2Exchange:
    """A exchange in which the task is done."""
    exchange = begun()
    assert not exchange.receive(said("task-data", SALT))
    assert exchange.derivation is not None
    exchange.derived(exchange.derivation.compute())
    return exchange


def test_it_is_asked_for_along_with_the_login() -> None:
    request = xml.fromstring(SASL2Exchange(attempt(), LoginRequests(upgrade=TASK)).outgoing or "")
    assert [each.text for each in request.findall(f"{{{ns.SASL_UPGRADE}}}upgrade")] == [TASK]
    request = xml.fromstring(SASL2Exchange(attempt(), LoginRequests()).outgoing or "")
    assert request.find(f"{{{ns.SASL_UPGRADE}}}upgrade") is None


def test_the_dialogue_of_an_upgrade() -> None:
    exchange = proved()
    assert not exchange.receive(said("continue", f"{PROOF}{TASKS}"))
    assert exchange.outgoing == f"<next xmlns='{ns.SASL2}' task='{TASK}'/>"
    assert not exchange.receive(said("task-data", SALT))
    assert exchange.outgoing is None
    derivation = exchange.derivation
    assert derivation is not None
    assert (derivation.algorithm, derivation.salt, derivation.iterations) == ("sha256", b"A_SXCRXQ6sek8bf_Z", 4096)
    exchange.derived(derivation.compute())
    key = base64.b64encode(hashlib.pbkdf2_hmac("sha256", b"pencil", b"A_SXCRXQ6sek8bf_Z", 4096)).decode()
    expected = f"<task-data xmlns='{ns.SASL2}'><hash xmlns='{ns.SCRAM_UPGRADE}'>{key}</hash></task-data>"
    assert xml.equal(xml.fromstring(exchange.outgoing or ""), xml.fromstring(expected))
    assert exchange.receive(said("success", WHO))
    assert exchange.success is not None


def test_a_server_may_do_without_after_all() -> None:
    assert proved().receive(said("success", f"{PROOF}{WHO}"))
    assert begun().receive(said("success", WHO))


@pytest.mark.parametrize("proof", ["", "<additional-data/>", PROOF.replace("dj1ybU", "dj1ybV")])
def test_nothing_is_done_for_a_server_that_has_not_proved_itself(proof: str) -> None:
    exchange = proved()
    with pytest.raises(AuthenticationFailure):
        exchange.receive(said("continue", f"{proof}{TASKS}"))
    assert exchange.outgoing is None


def test_not_even_before_we_have() -> None:
    exchange = SASL2Exchange(attempt(), LoginRequests(upgrade=TASK))
    with pytest.raises(AuthenticationFailure):
        exchange.receive(said("continue", f"{PROOF}{TASKS}"))


def test_further_tasks_are_unknown_to_us() -> None:
    inner = f"{PROOF}<tasks><task>HOTP-EXAMPLE</task><task>TOTP-EXAMPLE</task></tasks><text>two factors, pencil</text>"
    assert xml.parse(Continue, said("continue", inner)).tasks == ("HOTP-EXAMPLE", "TOTP-EXAMPLE")
    with pytest.raises(AuthenticationFailure, match=r"HOTP-EXAMPLE, TOTP-EXAMPLE \(two factors, …\)") as failure:
        proved().receive(said("continue", inner))
    assert not failure.value.retry
    with pytest.raises(AuthenticationFailure, match="a task that it does not name"):
        proved().receive(said("continue", PROOF))


@pytest.mark.parametrize("task", [TASK, "UPGR-SCRAM-SHA-512", "UPGR-PLAIN"])
def test_a_task_that_was_not_asked_for(task: str) -> None:
    inner = f"{PROOF}<tasks><task>{task}</task></tasks>"
    with pytest.raises(AuthenticationFailure, match=f"wants more than the credentials: {task}"):
        proved(None).receive(said("continue", inner))


def test_of_several_tasks_ours_is_chosen() -> None:
    exchange = proved()
    exchange.receive(said("continue", f"{PROOF}<tasks><task>HOTP-EXAMPLE</task><task>\n {TASK} </task></tasks>"))
    assert exchange.outgoing == f"<next xmlns='{ns.SASL2}' task='{TASK}'/>"


@pytest.mark.parametrize("far", [begun, done])
def test_a_server_that_never_has_enough(far) -> None:
    with pytest.raises(AuthenticationFailure, match=TASK):
        far().receive(said("continue", TASKS))


@pytest.mark.parametrize(
    ("salt", "why"),
    [
        (SALT.replace("4096", "1"), "we accept"),
        (SALT.replace("4096", "10000001"), "we accept"),
        (SALT.replace("4096", "-4096"), "we accept"),
        (SALT.replace("4096", "many"), "malformed"),
        (SALT.replace("iterations", "iteration"), "malformed"),
        (SALT.replace("QV9TWENSWFE2c2VrOGJmX1o=", ""), "without any salt"),
        (SALT.replace("QV9TWENSWFE2c2VrOGJmX1o=", "A_SXCRXQ6sek8bf_Z"), "malformed"),
        (SALT * 2, "malformed"),
        ("", "malformed data"),
        (f"<hash xmlns='{ns.SCRAM_UPGRADE}'>AAAA</hash>", "malformed data"),
    ],
)
def test_a_demand_that_is_no_task_of_ours_is_refused(salt: str, why: str) -> None:
    exchange = begun()
    with pytest.raises(AuthenticationFailure, match=why) as failure:
        exchange.receive(said("task-data", salt))
    assert exchange.derivation is None
    assert failure.value.tried == ("SCRAM-SHA-1",)


@pytest.mark.parametrize("far", [proved, done])
def test_data_for_a_task_that_has_not_begun_is_refused(far) -> None:
    with pytest.raises(AuthenticationFailure, match="a task that has not begun"):
        far().receive(said("task-data", SALT))


@pytest.mark.parametrize("far", [begun, done])
def test_the_mechanism_is_over(far) -> None:
    with pytest.raises(AuthenticationFailure, match="another message after the last"):
        far().receive(said("challenge", base64.b64encode(SERVER_FIRST).decode()))


def test_a_refusal_in_the_middle_of_it() -> None:
    with pytest.raises(AuthenticationFailure) as failure:
        done().receive(said("failure", f"<temporary-auth-failure xmlns='{ns.SASL}'/>"))
    assert failure.value.condition == "temporary-auth-failure"
    assert failure.value.retry
