"""The first failure of a newcomer comes in words that tell a person what to do, and within the time that was given."""

from __future__ import annotations

import datetime
import socket
import ssl
from functools import partial

import pytest
import trio
import trio.testing
import trustme

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    ConnectError,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
    TLSFailure,
)
from trioxmpp.protocol import ns
from trioxmpp.testing import Faults, ScriptedServer, memory_link, open_server
from trioxmpp.transport import tls


async def failure(password: str = "secret", **options) -> Exception:
    """Return the error of `connect`, which must come within its `connect_timeout`."""
    timeout = options.setdefault("connect_timeout", 60.0)
    began = trio.current_time()
    with pytest.raises((OSError, ConnectionError)) as caught:
        async with trioxmpp.connect("romeo@example.test/orchard", password, **options):
            pytest.fail("connected")
    assert trio.current_time() - began <= timeout + 2
    return caught.value


# --- where is the server?


async def test_a_wrong_password(autojump_clock, road):
    error = await failure("wrong", **road.options())
    assert type(error) is AuthenticationFailure
    assert error.condition == "not-authorized"
    assert "check the address and the password" in str(error)
    assert "wrong" not in str(error).split()


class NoNames(trio.abc.HostnameResolver):
    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


async def test_an_unknown_host(autojump_clock):
    trio.socket.set_custom_hostname_resolver(NoNames())
    error = await failure(endpoint="xmpp://nowhere.example.test")
    assert type(error) is ConnectError
    assert "could not connect to the XMPP server of example.test" in str(error)
    assert "cannot find the address of nowhere.example.test" in str(error)
    ((endpoint, reason),) = error.attempts
    assert endpoint == "xmpp://nowhere.example.test:5222"
    assert isinstance(reason, socket.gaierror)
    assert error.__cause__ is reason


async def test_a_closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await failure(endpoint=f"xmpp://127.0.0.1:{port}", connect_timeout=10.0)
    assert type(error) is ConnectError
    assert f"xmpp://127.0.0.1:{port}, connecting: Connection refused" in str(error)
    ((_, reason),) = error.attempts
    assert isinstance(reason, ConnectionRefusedError)


async def test_every_endpoint_that_was_tried_is_named(autojump_clock, road):
    async def one() -> trio.abc.Stream:
        raise ConnectionRefusedError("the first is down")

    async def other() -> trio.abc.Stream:
        raise TimeoutError("the second is asleep")

    error = await failure(endpoint=[one, other])
    assert type(error) is ConnectError
    assert [str(reason) for _, reason in error.attempts] == ["the first is down", "the second is asleep"]
    assert "the first is down" in str(error)
    assert "the second is asleep" in str(error)


# --- who is the server?


async def secured(certificate: str, **options) -> Exception:
    async with open_server(starttls="required", certificate=certificate) as server:
        options.setdefault("tls", server.client_tls_context())
        return await failure(endpoint=server.endpoint, **options)


async def test_an_untrusted_certificate(autojump_clock):
    error = await secured("untrusted")
    assert type(error) is TLSFailure
    assert "the server's certificate for example.test is not trusted" in str(error)
    assert "tls=ssl.create_default_context(cafile=...)" in str(error)


async def test_a_certificate_for_another_name(autojump_clock):
    error = await secured("wrong-name")
    assert type(error) is TLSFailure
    assert "the server's certificate is not for example.test" in str(error)
    assert "it must name the domain of the address, wherever the server runs" in str(error)


@pytest.mark.parametrize(
    ("days", "words"),
    [((-10, -5), "has expired, or this machine's clock is wrong"), ((5, 10), "is not valid yet")],
)
async def test_a_certificate_out_of_its_time(autojump_clock, nursery, days, words):
    authority = trustme.CA()
    now = datetime.datetime.now(datetime.UTC)
    begin, end = (now + datetime.timedelta(days=day) for day in days)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.test", not_before=begin, not_after=end).configure_cert(theirs)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(ours)
    server = ScriptedServer()
    nursery.start_soon(offer_tls, server, theirs)
    error = await failure(endpoint=server.endpoint, tls=ours)
    assert type(error) is TLSFailure
    assert "certificate for example.test" in str(error)
    assert words in str(error)


async def offer_tls(server: ScriptedServer, context: ssl.SSLContext) -> None:
    peer = await server.accept()
    await peer.expects_header()
    await peer.says_header(f"<starttls xmlns='{ns.TLS}'><required/></starttls>")
    await peer.expects(f"<starttls xmlns='{ns.TLS}'/>")
    await peer.says(f"<proceed xmlns='{ns.TLS}'/>")
    with pytest.raises(trio.BrokenResourceError):
        await peer.starts_tls(context)
    peer.close()


async def test_a_server_without_tls(autojump_clock, road):
    error = await failure(endpoint=road.endpoint)
    assert type(error) is TLSFailure
    assert "the server does not offer TLS" in str(error)
    assert "an attacker in between took the offer away" in str(error)
    assert "allow_plaintext=True" in str(error)


async def test_a_server_that_offers_tls_and_refuses_it(autojump_clock):
    async with open_server(starttls="required") as server:
        server.plan(Faults(refuse_tls=True))
        error = await failure(endpoint=server.endpoint, tls=server.client_tls_context())
    assert type(error) is TLSFailure
    assert "offered TLS, but refused to begin it" in str(error)


async def test_a_port_where_tls_is_not_spoken():
    async with open_server() as server:
        port = await server.listen()
        error = await failure(
            endpoint=f"xmpps://127.0.0.1:{port}", tls=server.client_tls_context(), connect_timeout=10.0
        )
    assert type(error) is TLSFailure
    assert "it does not speak TLS on this port; perhaps it wants STARTTLS (xmpp://)" in str(error)


async def test_a_port_where_nothing_but_tls_is_spoken():
    """Such a server waits for a handshake, and hears nonsense; what it says to that is no XMPP."""
    async with open_server() as server:
        await server.listen()
        endpoint = server.tls_endpoint.replace("xmpps", "xmpp")
        error = await failure(endpoint=endpoint, tls=server.client_tls_context(), connect_timeout=10.0)
    assert isinstance(error, ConnectionError)
    assert "127.0.0.1" in str(error) or isinstance(error, StreamError)


# --- does it answer?


@pytest.mark.parametrize("timeout", [60.0, 5.0])
async def test_a_server_that_accepts_and_never_answers(autojump_clock, road, timeout):
    road.server.faults = Faults(silent=True)
    began = trio.current_time()
    error = await failure(connect_timeout=timeout, **road.options())
    assert type(error) is ConnectError
    assert f"the server of example.test did not answer within {timeout:g} seconds" in str(error)
    assert trio.current_time() - began == pytest.approx(timeout)
    await trio.testing.wait_all_tasks_blocked()
    assert not road.server.links


async def test_a_server_that_never_answers_on_a_real_socket():
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, _silent, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        error = await failure(endpoint=f"xmpp://127.0.0.1:{port}", connect_timeout=0.3)
        nursery.cancel_scope.cancel()
    assert type(error) is ConnectError
    assert f"xmpp://127.0.0.1:{port}, opening the stream: no answer in time" in str(error)


async def _silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def test_a_server_that_says_one_byte_in_ten_seconds(autojump_clock, road):
    """No single read takes long; the whole is what has a deadline."""
    road.server.faults = Faults(one_byte=True, delay=10.0)
    error = await failure(**road.options())
    assert type(error) is ConnectError
    assert "no answer in time" in str(error)


async def test_a_server_that_is_silent_does_not_take_the_time_of_the_next(autojump_clock, road):
    async def silent() -> trio.abc.Stream:
        ours, theirs = memory_link()
        kept.append(theirs)
        return ours

    kept: list[trio.abc.Stream] = []
    began = trio.current_time()
    async with road.connect(endpoint=[silent, road.endpoint]):
        assert trio.current_time() - began < 0.5


# --- does it speak XMPP?


async def answers(server: ScriptedServer, said: bytes, *, then: str) -> None:
    peer = await server.accept()
    await peer.expects_header()
    await peer.says_raw(said)
    if then == "close":
        peer.close()
    await trio.sleep_forever()


HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    b"version='1.0' id='1' from='example.test'>"
)


@pytest.mark.parametrize("then", ["close", "wait"])
@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", StreamCondition.NOT_WELL_FORMED),
        (b"\x15\x03\x01\x00\x02\x02\x46", StreamCondition.NOT_WELL_FORMED),
        (b"<html xmlns='http://www.w3.org/1999/xhtml'>", None),
        (b"<message/>", None),
        (HEADER + b"<message/>", StreamCondition.UNSUPPORTED_STANZA_TYPE),
        (HEADER.replace(b"version='1.0' id", b"id"), StreamCondition.UNSUPPORTED_VERSION),
    ],
)
async def test_something_else_that_answers(autojump_clock, nursery, said, condition, then):
    server = ScriptedServer()
    nursery.start_soon(partial(answers, server, said, then=then))
    began = trio.current_time()
    error = await failure(endpoint=server.endpoint, allow_plaintext=True)
    nursery.cancel_scope.cancel()
    assert type(error) is StreamError
    assert error.by_us
    assert str(error).startswith("the client ended the stream: ")
    if condition is not None:
        assert error.condition is condition
    assert trio.current_time() - began <= 2.0  # it need not be silent for that


@pytest.mark.parametrize("then", ["close", "wait"])
async def test_a_web_server_that_answers(autojump_clock, nursery, then):
    server = ScriptedServer()
    nursery.start_soon(partial(answers, server, b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>", then=then))
    error = await failure(endpoint=server.endpoint, allow_plaintext=True)
    nursery.cancel_scope.cancel()
    assert type(error) is ConnectError
    assert "HTTP is spoken here; perhaps it is a web server" in str(error)


async def test_a_server_for_another_domain(autojump_clock):
    async with open_server("other.test") as server:
        error = await failure(endpoint=server.endpoint, allow_plaintext=True)
    assert type(error) is StreamError
    assert error.condition is StreamCondition.HOST_UNKNOWN
    assert "this is other.test" in str(error)


async def test_a_server_whose_mechanisms_are_of_no_use(autojump_clock):
    async with open_server(mechanisms=("X-MAGIC",)) as server:
        error = await failure(endpoint=server.endpoint, allow_plaintext=True)
    assert type(error) is AuthenticationFailure
    assert error.offered == ("X-MAGIC",)
    assert "X-MAGIC" in str(error)


async def test_a_server_that_wants_the_password_in_the_clear(autojump_clock):
    async with open_server(mechanisms=("PLAIN",)) as server:
        error = await failure(endpoint=server.endpoint, allow_plaintext=True)
    assert type(error) is AuthenticationFailure
    assert "PLAIN" in str(error)


async def test_a_server_that_leaves_at_any_step(autojump_clock, road):
    """After any number of bytes: each time an error of the one family, which names the end of the link."""
    async with road.connect():
        whole = road.session().link.bytes_out
    kinds: set[type] = set()
    for count in range(1, whole, 7):
        for abruptly in (True, False):
            road.server.plan(Faults(cut_out=count, abruptly=abruptly))
            error = await failure(**road.options())
            assert isinstance(
                error, (ConnectError, StreamNegotiationFailure, ConnectionResetError, ConnectionAbortedError)
            )
            assert "connection" in str(error) or "link" in str(error), error
            kinds.add(type(error))
    await trio.testing.wait_all_tasks_blocked()
    assert ConnectError in kinds


# --- whom do we trust?


@pytest.fixture
def loaded(monkeypatch):
    """How often the certificates of the system were loaded, in what passes for a fresh process."""
    loads: list[ssl.Purpose] = []
    load = ssl.create_default_context

    def count(purpose: ssl.Purpose, **options: object) -> ssl.SSLContext:
        loads.append(purpose)
        return load(purpose, **options)

    monkeypatch.setattr(tls, "_usual", {})
    monkeypatch.setattr(ssl, "create_default_context", count)
    return loads


async def test_the_usual_trust_is_loaded_once_for_all_clients(autojump_clock, loaded):
    async with open_server(starttls="required") as server:
        for _ in range(3):
            error = await failure(endpoint=server.endpoint)
            assert type(error) is TLSFailure
            assert "is not trusted" in str(error)
    assert len(loaded) == 1


async def test_the_usual_trust_is_not_loaded_without_tls(autojump_clock, road, loaded):
    async with road.connect():
        pass
    assert not loaded


async def test_a_context_that_is_given_is_used_in_its_place(autojump_clock, loaded):
    async with (
        open_server(starttls="required") as server,
        trioxmpp.connect(
            "romeo@example.test", "secret", endpoint=server.endpoint, tls=server.client_tls_context()
        ) as client,
    ):
        assert server.sessions[str(client.jid)].link.secure
    assert not loaded
