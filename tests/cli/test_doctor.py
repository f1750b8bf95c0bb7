"""The doctor: what it finds where all is well, and what it says where it is not."""

from __future__ import annotations

import json

import pytest
import trio

from trioxmpp import JID
from trioxmpp.cli import main
from trioxmpp.cli.doctor.advice import advice
from trioxmpp.cli.doctor.examine import Diagnosis, Patient, Visit, examine
from trioxmpp.cli.doctor.report import report
from trioxmpp.cli.output import Plain
from trioxmpp.testing import Faults, Server, open_server
from trioxmpp.transport.endpoint import Endpoint


def patient(server: Server, *urls: str, **options) -> Patient:
    endpoints = tuple(Endpoint.parse(url) for url in urls)
    defaults = {"endpoints": endpoints, "tls": server.client_tls_context(), "timeout": 5.0}
    return Patient("example.test", **{**defaults, **options})


async def unused_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        return listener.socket.getsockname()[1]


def words(diagnosis: Diagnosis, capsys: pytest.CaptureFixture[str]) -> str:
    import sys

    report(diagnosis, Plain(sys.stdout))
    return capsys.readouterr().out


async def test_a_server_that_is_well(capsys):
    async with open_server() as server:
        await server.listen()
        urls = (server.starttls_endpoint, server.tls_endpoint)
        diagnosis = await examine(patient(server, *urls))
        assert diagnosis.ok
        assert [visit.endpoint for visit in diagnosis.visits] == list(urls)
        for visit in diagnosis.visits:
            assert visit.error is None
            assert visit.tls_version == "TLSv1.3"
            assert "example.test" in visit.names
            assert visit.days_left is not None
            assert "SCRAM-SHA-256" in visit.mechanisms
            assert "tls-server-end-point" in visit.bindings_known
            assert set(visit.steps) >= {"connecting", "securing the link", "opening the stream"}
        told = words(diagnosis, capsys)
        assert "one can log in here" in told
        assert "What to fix" not in told


async def test_somebody_who_logs_in(capsys):
    async with open_server() as server:
        await server.listen()
        who = {"jid": JID.parse("romeo@example.test"), "password": "secret"}
        diagnosis = await examine(patient(server, server.starttls_endpoint, **who))
        assert diagnosis.ok
        assert diagnosis.login is not None
        assert diagnosis.login.jid.startswith("romeo@example.test/")
        assert diagnosis.login.sm
        assert diagnosis.login.resumable
        assert "stream management: resumable" in words(diagnosis, capsys)


async def test_a_wrong_password(capsys):
    async with open_server() as server:
        await server.listen()
        who = {"jid": JID.parse("romeo@example.test"), "password": "guess"}
        diagnosis = await examine(patient(server, server.starttls_endpoint, **who))
        assert not diagnosis.ok
        told = words(diagnosis, capsys)
        assert "could not log in" in told
        assert "check the address and the password" in told
        assert "guess" not in told


@pytest.mark.parametrize(
    ("certificate", "says"), [("wrong-name", "certificate is not for example.test"), ("untrusted", "is not trusted")]
)
async def test_a_certificate_that_is_no_good(certificate, says, capsys):
    async with open_server(certificate=certificate) as server:
        await server.listen()
        diagnosis = await examine(patient(server, server.starttls_endpoint, server.tls_endpoint))
        assert not diagnosis.ok
        assert all(says in visit.error for visit in diagnosis.visits)
        assert says in words(diagnosis, capsys)


async def test_a_server_without_tls(capsys):
    async with open_server(starttls="none") as server:
        await server.listen()
        diagnosis = await examine(patient(server, server.starttls_endpoint))
        assert not diagnosis.ok
        assert "does not offer TLS" in words(diagnosis, capsys)


async def test_a_port_where_nobody_is(capsys):
    async with open_server() as server:
        await server.listen()
        diagnosis = await examine(patient(server, f"xmpp://127.0.0.1:{await unused_port()}"))
        assert not diagnosis.ok
        told = words(diagnosis, capsys)
        assert "Connection refused" in told
        assert "is the server running" in told


async def test_a_server_that_is_silent(capsys):
    async with open_server() as server:
        await server.listen()
        server.faults = Faults(silent=True)
        diagnosis = await examine(patient(server, server.starttls_endpoint, timeout=0.2))
        assert not diagnosis.ok
        assert "no answer within 0.2 seconds" in words(diagnosis, capsys)


async def test_one_way_that_is_open_is_enough(capsys):
    async with open_server() as server:
        await server.listen()
        closed = f"xmpp://127.0.0.1:{await unused_port()}"
        diagnosis = await examine(patient(server, closed, server.tls_endpoint))
        assert diagnosis.ok
        assert [visit.error is None for visit in diagnosis.visits] == [False, True]
        assert "What to fix" in words(diagnosis, capsys)


def test_a_certificate_that_is_about_to_expire():
    diagnosis = Diagnosis("example.test", visits=[Visit("xmpp://h:5222", days_left=3, mechanisms=("SCRAM-SHA-1",))])
    assert advice(diagnosis) == ["xmpp://h:5222: the certificate expires in 3 days: renew it"]


def test_a_server_that_wants_the_password_itself():
    diagnosis = Diagnosis("example.test", visits=[Visit("xmpp://h:5222", mechanisms=("PLAIN",))])
    assert not diagnosis.ok
    assert "SCRAM is not offered" in advice(diagnosis)[0]


@pytest.mark.parametrize(
    "argv",
    [
        ["example.test", "--endpoint", "http://example.test"],
        ["@example.test"],
        ["example.test", "--jid", "romeo@another.test"],
        ["example.test", "--ca-file", "/nowhere/ca.pem"],
    ],
)
def test_what_cannot_be_meant_is_said_in_a_sentence(argv, capsys):
    assert main(["doctor", *argv]) == 1
    assert capsys.readouterr().err.startswith("trioxmpp: ")


def test_findings_for_machines(capsys):
    port = trio.run(unused_port)
    assert main(["doctor", "example.test", "--json", "--endpoint", f"xmpp://127.0.0.1:{port}"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert findings["domain"] == "example.test"
    assert findings["ok"] is False
    assert "Connection refused" in findings["visits"][0]["error"]
    assert findings["advice"]
