"""The doctor: what it finds where all is well, and what comes of logging in."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.cli.doctor_helpers import codes, words
from trioxmpp import JID
from trioxmpp.cli import main
from trioxmpp.cli.doctor.diagnose import diagnose
from trioxmpp.cli.doctor.target import Target
from trioxmpp.testing import Faults, Server, open_server
from trioxmpp.transport.endpoint import Endpoint

ROOT = Path(__file__).parent.parent.parent


def target(server: Server, *urls: str, **options) -> Target:
    endpoints = tuple(Endpoint.parse(url) for url in urls)
    defaults = {"endpoints": endpoints, "tls": server.client_tls_context(), "timeout": 10.0}
    return Target("example.test", **{**defaults, **options})


async def unused_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        return listener.socket.getsockname()[1]


ROMEO = {"jid": JID.parse("romeo@example.test"), "password": "secret"}


async def test_a_server_that_is_well(capsys):
    async with open_server() as server:
        await server.listen()
        urls = (server.starttls_endpoint, server.tls_endpoint)
        diagnosis = await diagnose(target(server, *urls))
        assert diagnosis.ok
        assert codes(diagnosis) == {}
        assert [visit.endpoint for visit in diagnosis.visits] == list(urls)
        for visit in diagnosis.visits:
            assert visit.error is None
            assert visit.tls.version == "TLSv1.3"
            assert visit.tls.bindings == ("tls-server-end-point",)
            assert visit.certificate.trusted
            assert "example.test" in visit.certificate.dns
            assert "SCRAM-SHA-256" in visit.offer.mechanisms
            assert {step.name for step in visit.steps} >= {"connecting", "tls", "stream"}
            assert all(step.seconds > 0 for step in visit.steps)
        told = words(diagnosis, capsys)
        assert "one can log in here" in told
        assert "STARTTLS: required" in told
        assert "stream management: shown after a login, see --jid" in told
        assert f"TLS, certificate and offer are those of {urls[0]}" in told
        assert "What" not in told


async def test_a_login_is_probed(capsys):
    async with open_server() as server:
        await server.listen()
        diagnosis = await diagnose(target(server, server.starttls_endpoint, **ROMEO))
        assert diagnosis.ok
        login = diagnosis.login
        assert login.jid.startswith("romeo@example.test/")
        assert login.profile == "SASL"
        assert login.mechanism == "SCRAM-SHA-256"
        assert not login.bound
        assert login.token is None
        assert login.sm.resumable
        assert login.sm.max == 300
        assert login.ping > 0
        assert [step.name for step in login.steps][-4:] == ["authentication", "binding", "managing", "ping"]
        told = words(diagnosis, capsys)
        assert f"resumable for 300 s; id {login.sm.id}" in told
        assert "a round trip:" in told
        assert server.sessions == {}  # said goodbye


async def test_a_login_by_sasl2_is_given_a_token(capsys):
    names = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    async with open_server(mechanisms=names, location="other.test:5222") as server:
        server.policy.sasl2 = True
        await server.listen()
        diagnosis = await diagnose(target(server, server.tls_endpoint, **ROMEO))
        plan, login = diagnosis.visits[0].plan, diagnosis.login
        assert (plan.profile, plan.mechanism, plan.binding) == ("SASL2", "SCRAM-SHA-256-PLUS", "tls-server-end-point")
        assert (login.profile, login.mechanism, login.bound) == ("SASL2", "SCRAM-SHA-256-PLUS", True)
        assert login.token == plan.token == "HT-SHA-256-ENDP"
        assert login.sm.location == "other.test:5222"
        assert "binding" not in {step.name for step in login.steps}
        told = words(diagnosis, capsys)
        assert "by SASL2 and SCRAM-SHA-256-PLUS, bound to the link; the next time by a token, HT-SHA-256-ENDP" in told
        assert "shown after a login" not in told


async def test_a_resource_of_ones_own_takes_another_round_trip_and_is_had():
    async with open_server() as server:
        server.policy.sasl2 = True
        await server.listen()
        jid = JID.parse("romeo@example.test/orchard")
        diagnosis = await diagnose(target(server, server.tls_endpoint, jid=jid, password="secret"))
        assert diagnosis.login.jid == str(jid)
        assert "binding" in {step.name for step in diagnosis.login.steps}


async def test_a_server_that_lets_no_session_be_resumed(capsys):
    async with open_server(sm=False) as server:
        await server.listen()
        diagnosis = await diagnose(target(server, server.starttls_endpoint, **ROMEO))
        assert diagnosis.ok
        assert codes(diagnosis)["not-resumable"].level == "hint"
        assert "stream management: no" in words(diagnosis, capsys)


@pytest.mark.parametrize(
    ("password", "condition", "code"),
    [("guess", None, "login"), ("secret", "temporary-auth-failure", "login-server")],
)
async def test_a_login_that_fails(capsys, password, condition, code):
    async with open_server() as server:
        await server.listen()
        server.faults = Faults(refuse_login=condition)
        options = {**ROMEO, "password": password}
        diagnosis = await diagnose(target(server, server.starttls_endpoint, **options))
        assert not diagnosis.ok
        assert diagnosis.login.condition == (condition or "not-authorized")
        assert code in codes(diagnosis)
        told = words(diagnosis, capsys)
        assert "could not log in" in told
        assert "guess" not in told


async def test_a_server_without_tls(capsys):
    async with open_server(starttls="none") as server:
        await server.listen()
        diagnosis = await diagnose(target(server, server.starttls_endpoint))
        assert diagnosis.visits[0].fault == "no-tls"
        assert "does not offer TLS" in words(diagnosis, capsys)


async def test_a_server_that_refuses_the_tls_it_offers():
    async with open_server() as server:
        await server.listen()
        server.faults = Faults(refuse_tls=True)
        diagnosis = await diagnose(target(server, server.starttls_endpoint))
        assert diagnosis.visits[0].fault == "tls-refused"


async def test_a_server_that_permits_logging_in_without_tls(capsys):
    async with open_server(starttls="offered") as server:
        await server.listen()
        diagnosis = await diagnose(target(server, server.starttls_endpoint))
        assert codes(diagnosis)["login-without-tls"].level == "hint"
        assert "STARTTLS: offered; to log in without it: SCRAM-SHA-256" in words(diagnosis, capsys)


async def test_a_port_without_a_server_refuses(capsys):
    async with open_server() as server:
        await server.listen()
        diagnosis = await diagnose(target(server, f"xmpp://127.0.0.1:{await unused_port()}"))
        assert not diagnosis.ok
        told = words(diagnosis, capsys)
        assert "Connection refused" in told
        assert "is the server running" in told


async def test_a_server_that_is_silent(capsys):
    async with open_server() as server:
        await server.listen()
        server.faults = Faults(silent=True)
        diagnosis = await diagnose(target(server, server.starttls_endpoint, timeout=0.3))
        assert diagnosis.visits[0].fault == "hangs"
        assert "no answer within" in words(diagnosis, capsys)


async def test_one_way_that_is_open_is_enough(capsys):
    async with open_server() as server:
        await server.listen()
        closed = f"xmpp://127.0.0.1:{await unused_port()}"
        diagnosis = await diagnose(target(server, closed, server.tls_endpoint, **ROMEO))
        assert diagnosis.ok
        assert [visit.error is None for visit in diagnosis.visits] == [False, True]
        assert diagnosis.login.endpoint == server.tls_endpoint
        assert "To fix, for the operator of the server" in words(diagnosis, capsys)


async def test_a_websocket_needs_tls():
    async with open_server() as server:
        await server.listen()
        diagnosis = await diagnose(target(server, server.starttls_endpoint.replace("xmpp", "ws")))
        assert not diagnosis.ok


@pytest.mark.parametrize(
    "argv",
    [
        ["example.test", "--endpoint", "http://example.test"],
        ["@example.test"],
        ["example.test", "--jid", "romeo@another.test"],
        ["example.test", "--jid", "example.test"],
        ["example.test", "--ca-file", "/nowhere/ca.pem"],
        ["example.test", "--proxy", "ftp://proxy.test"],
        ["example.test", "--timeout", "0"],
        ["example.test", "--timeout", "nan"],
        ["example.test", "--timeout", "inf"],
        ["example.test", "--jid", "romeo@example.test", "--password-file", "/nowhere/password"],
    ],
)
def test_arguments_that_cannot_be_meant_are_explained_and_exit_with_2(argv, capsys):
    assert main(["doctor", *argv]) == 2
    assert capsys.readouterr().err.startswith("trioxmpp: ")


def test_the_password_of_a_proxy_is_not_repeated(capsys):
    assert main(["doctor", "example.test", "--proxy", "ftp://me:s3cret@proxy.test"]) == 2
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize("how", ["file", "stdin", "environment"])
async def test_where_the_password_comes_from(how, tmp_path):
    files = {"ca.pem": "", "password": "secret\n"}
    async with open_server() as server:
        await server.listen()
        for authority in server.client_tls_context().get_ca_certs(binary_form=True):
            files["ca.pem"] += ssl.DER_cert_to_PEM_cert(authority)
        for name, content in files.items():
            (tmp_path / name).write_text(content)
            (tmp_path / name).chmod(0o600)
        command = [sys.executable, "-m", "trioxmpp", "doctor", "example.test", "--jid", "romeo@example.test"]
        command += ["--ca-file", str(tmp_path / "ca.pem"), "--endpoint", server.starttls_endpoint]
        command += {"file": ["--password-file", str(tmp_path / "password")], "stdin": ["--password-file", "-"]}.get(
            how, []
        )
        environment = {**os.environ, "TRIOXMPP_PASSWORD": "secret" if how == "environment" else "wrong"}
        options = {"cwd": ROOT, "env": environment, "stdin": b"secret\n", "capture_stdout": True, "check": False}
        ran = await trio.run_process(command, **options)
    assert b"example.test: logged in" in ran.stdout
    assert ran.returncode == 0


def run_doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "trioxmpp", "doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": ".", **environment}, capture_output=True)


async def test_a_log_is_told_what_is_being_done_while_nothing_has_been_found():
    """A listener that accepts and is silent: without progress, there would be no output until the timeout."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"xmpp://127.0.0.1:{listener.socket.getsockname()[1]}"
    command = [sys.executable, "-m", "trioxmpp", "doctor", "example.test", "--endpoint", url, "--timeout", "600"]
    async with listener, trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, cwd=ROOT, stdout=subprocess.PIPE, check=False))
        told = b""
        while f"trying {url}".encode() not in told:
            more = await process.stdout.receive_some()
            assert more, told
            told += more
        assert told.startswith(b"looking for the server of example.test")
        process.terminate()


def test_no_line_is_longer_than_80_columns():
    port = trio.run(unused_port)
    domain = ".".join(["a-label-of-a-domain-that-is-long"] * 5) + ".test"
    jid = f"{'romeo' * 20}@{domain}"
    endpoints = [f"--endpoint=xmpp://127.0.0.{number}:{port}" for number in range(1, 15)]
    ran = run_doctor(domain, "--jid", jid, *endpoints, TRIOXMPP_PASSWORD="secret")
    assert ran.returncode == 1
    for output in (ran.stdout, run_doctor("--help", COLUMNS="80").stdout, run_doctor("--help").stdout):
        assert output
        assert [line for line in output.decode().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("argv", [[], ["--password-file", "-"], ["--password-file", "/nowhere"]])
def test_no_message_ends_in_a_colon(argv):
    command = [sys.executable, "-m", "trioxmpp", "doctor", "example.test", "--jid", "romeo@example.test", *argv]
    environment = {name: value for name, value in os.environ.items() if name != "TRIOXMPP_PASSWORD"}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True
    )
    assert ran.returncode == 2
    assert not [line for line in ran.stderr.decode().splitlines() if line.rstrip().endswith(":")]


async def test_an_https_request_that_fails_is_called_by_its_url(autojump_clock, town, capsys):
    diagnosis = await town.diagnose()
    assert diagnosis.host_meta
    for meta in diagnosis.host_meta:
        assert "https://example.test" in meta.error
        assert "wss" not in meta.error


def test_a_terminal_that_knows_ascii_alone_gets_all_of_it():
    port = trio.run(unused_port)
    command = [sys.executable, "-m", "trioxmpp", "doctor", "münchen.test", "--endpoint", f"xmpp://127.0.0.1:{port}"]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert ran.returncode == 1
    assert rb"m\xfcnchen.test: one cannot log in here" in ran.stdout
    assert not ran.stderr


def test_ctrl_c_ends_the_doctor_at_once_and_cleanly():
    with subprocess.Popen(
        [sys.executable, "-c", SILENT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "somebody came\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == "trioxmpp: ended by SIGINT\n"


SILENT = """
import socket, sys, threading
sys.path.insert(0, ".")
from trioxmpp.cli import main

listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]

def accept():
    link, _ = listener.accept()
    link.recv(1)
    print("somebody came", flush=True)
    threading.Event().wait()

threading.Thread(target=accept, daemon=True).start()
sys.exit(main(["doctor", "example.test", "--endpoint", f"xmpp://127.0.0.1:{port}", "--json"]))
"""
