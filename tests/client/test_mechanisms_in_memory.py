"""Logging in to the embedded server over TLS: each mechanism, each binding, and what is refused."""

from __future__ import annotations

import ssl

import pytest

import trioxmpp
from trioxmpp import AuthenticationFailure, Credentials
from trioxmpp.testing import open_server

SCRAMS = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]
ALL = (*(f"{name}-PLUS" for name in SCRAMS), *SCRAMS, "PLAIN", "EXTERNAL", "OAUTHBEARER", "ANONYMOUS")


def open_secure(**settings):
    return open_server(accounts={"romeo": "montague", "juliet": "capulet"}, starttls="required", **settings)


def connect(server, jid="romeo@example.test", password="montague", *addresses, **options):
    tls = options.pop("tls", None) or server.client_tls_context(*addresses)
    return trioxmpp.connect(
        jid, None if "credentials" in options else password, endpoint=server.endpoint, tls=tls, **options
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("mechanism", [name + suffix for name in SCRAMS for suffix in ("-PLUS", "")])
async def test_scram(mechanism, version, autojump_clock):
    async with open_secure(mechanisms=(mechanism,)) as server:
        tls = server.client_tls_context()
        tls.minimum_version = tls.maximum_version = version
        async with connect(server, tls=tls) as client:
            assert str(client.jid.bare) == "romeo@example.test"


async def test_tls_unique_is_what_was_meant_before_types_were_announced(autojump_clock):
    async with open_secure(mechanisms=("SCRAM-SHA-256-PLUS",), channel_bindings=None) as server:
        tls = server.client_tls_context()
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        async with connect(server, tls=tls) as client:
            assert client.established


async def test_a_server_that_offers_to_bind_but_not_how_is_used_without(autojump_clock):
    async with open_secure(mechanisms=ALL, channel_bindings=None, prove_offer=False) as server:
        async with connect(server) as client:
            assert client.established
        credentials = Credentials("romeo", "montague", require_binding=True)
        with pytest.raises(AuthenticationFailure) as failure:
            async with connect(server, credentials=credentials):
                pass
        assert failure.value.condition == "not-authorized"
        assert failure.value.tried == ("SCRAM-SHA-512-PLUS",)
        assert failure.value.offered == ALL


async def test_external(autojump_clock):
    async with open_secure(mechanisms=ALL) as server:
        one, two = "romeo@example.test", "juliet@example.test"
        async with connect(server, one, None, one, credentials=Credentials.external()) as client:
            assert str(client.jid.bare) == one
        async with connect(server, two, None, one, two, credentials=Credentials.external(two)) as client:
            assert str(client.jid.bare) == two
        with pytest.raises(AuthenticationFailure, match=r"Credentials\.external\(address\)") as failure:
            async with connect(server, two, None, one, two, credentials=Credentials.external()):
                pass
        assert failure.value.condition == "invalid-authzid"
        with pytest.raises(AuthenticationFailure) as failure:
            async with connect(server, one, credentials=Credentials.external()):
                pass
        assert failure.value.condition == "not-authorized"


async def test_anonymous(autojump_clock):
    async with (
        open_secure(mechanisms=ALL) as server,
        connect(server, "example.test", credentials=Credentials.anonymous()) as client,
    ):
        assert client.jid.local.startswith("anonymous-")
        assert client.jid.resource
        assert client.stream.local_jid == client.jid.bare


async def test_a_token(autojump_clock):
    async with open_secure(mechanisms=ALL) as server:
        async with connect(server, credentials=Credentials.oauth("romeo.montague")) as client:
            assert client.established
        with pytest.raises(AuthenticationFailure, match="the token: invalid_token") as failure:
            async with connect(server, credentials=Credentials.oauth("romeo.capulet")):
                pass
        assert failure.value.condition == "not-authorized"
        assert "capulet" not in repr(failure.value)
