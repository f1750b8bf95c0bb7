"""The names of a certificate are those of its subjectAltName (RFC 9525 §2), whatever the context allows."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from tests.cli.doctor_helpers import Authority
from trioxmpp import TLSFailure
from trioxmpp.transport.tcp import StreamTransport
from trioxmpp.transport.tls import TLSProblem, tls_problem

AUTHORITY = Authority()


def application_context() -> ssl.SSLContext:
    """A context as the documentation of the ssl module makes it: it takes a common name for a name."""
    context = AUTHORITY.client
    context.hostname_checks_common_name = True
    return context


async def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    transport = StreamTransport(ours)

    async def serve() -> None:
        tls = trio.SSLStream(theirs, server, server_side=True, https_compatible=True)
        try:
            await tls.do_handshake()
            await tls.receive_some()
        except trio.BrokenResourceError:
            pass
        await trio.aclose_forcefully(theirs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        try:
            await transport.start_tls(client, host)
        finally:
            await transport.aclose()


async def refusal(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> TLSFailure:
    with pytest.RaisesGroup(TLSFailure, flatten_subgroups=True, allow_unwrapped=True) as caught:
        await handshake(server, client, host)
    failure = caught.value
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


async def test_a_common_name_alone_is_refused_with_any_context():
    server = AUTHORITY.server(common_name="example.test")
    for context in (AUTHORITY.client, application_context()):
        failure = await refusal(server, context, "example.test")
        assert "the server's certificate is not for example.test" in str(failure)
        assert tls_problem(failure) is TLSProblem.NAME


async def test_the_context_of_the_application_is_not_changed():
    context = application_context()
    await refusal(AUTHORITY.server(common_name="example.test"), context, "example.test")
    assert context.hostname_checks_common_name


async def test_a_name_in_the_right_place_is_accepted_whatever_the_common_name_is():
    for common_name in ("example.test", "other.test"):
        await handshake(
            AUTHORITY.server("example.test", common_name=common_name), application_context(), "example.test"
        )


async def test_another_name_in_the_right_place_outweighs_the_common_name():
    failure = await refusal(
        AUTHORITY.server("other.test", common_name="example.test"), application_context(), "example.test"
    )
    assert tls_problem(failure) is TLSProblem.NAME


async def test_a_context_that_checks_no_names_is_used_as_it_is():
    context = application_context()
    context.check_hostname = False
    await handshake(AUTHORITY.server(common_name="example.test"), context, "example.test")
