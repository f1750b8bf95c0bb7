"""A server that has nothing but old keys of an account gets better ones from a client that knows the password."""

from __future__ import annotations

import hashlib

import pytest

import trioxmpp
from trioxmpp import AuthenticationFailure
from trioxmpp.testing import open_server
from trioxmpp.testing.server.authentication import ITERATIONS, salt

BOUND = ("SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1")


@pytest.fixture
async def server(autojump_clock):
    async with open_server(accounts={"romeo": "montague"}, starttls="required", mechanisms=BOUND) as server:
        server.policy.sasl2 = True
        server.policy.upgrades = ("SCRAM-SHA-256",)
        server.accounts["romeo"].keep_keys("SCRAM-SHA-1")
        yield server


def connect(server, password: str = "montague"):
    tls = server.client_tls_context()
    return trioxmpp.connect("romeo@example.test", password, endpoint=server.endpoint, tls=tls)


async def test_the_next_login_is_better(server, autojump_clock):
    romeo = server.accounts["romeo"]
    async with connect(server) as client:
        assert client.stream.sm_resumable  # what was asked along with the login has come of it
        assert romeo.keys["sha256"] == hashlib.pbkdf2_hmac("sha256", b"montague", salt("romeo"), ITERATIONS)
        assert set(romeo.keys) == {"sha1", "sha256"}
    server.policy.mechanisms = ("SCRAM-SHA-256-PLUS",)
    async with connect(server) as client:
        assert client.established


async def test_old_clients_are_let_in_as_before(server, autojump_clock):
    async with connect(server):
        pass
    server.policy.mechanisms = ("SCRAM-SHA-1-PLUS",)
    async with connect(server) as client:
        assert client.established


async def test_without_it_that_login_is_not_possible(server, autojump_clock):
    server.policy.upgrades = ()
    async with connect(server):
        pass
    server.policy.mechanisms = ("SCRAM-SHA-256-PLUS",)
    with pytest.raises(AuthenticationFailure):
        async with connect(server):
            pass


async def test_the_best_of_those_that_are_missing_is_given(server, autojump_clock):
    server.policy.upgrades = ("SCRAM-SHA-512", "SCRAM-SHA-256")
    romeo = server.accounts["romeo"]
    async with connect(server):
        assert set(romeo.keys) == {"sha1", "sha512"}
    async with connect(server):
        assert set(romeo.keys) == {"sha1", "sha512"}  # there is nothing better than what that login has used


async def test_nothing_is_given_on_a_link_that_the_login_is_not_bound_to(server, autojump_clock):
    server.policy.mechanisms = ("SCRAM-SHA-1",)
    server.policy.channel_bindings = None
    async with connect(server):
        assert set(server.accounts["romeo"].keys) == {"sha1"}


async def test_a_wrong_password_gives_nothing(server, autojump_clock):
    with pytest.raises(AuthenticationFailure) as failure:
        async with connect(server, "capulet"):
            pass
    assert failure.value.condition == "not-authorized"
    assert set(server.accounts["romeo"].keys) == {"sha1"}


async def test_a_new_password_is_stored_as_it_is(server, autojump_clock):
    server.add_account("romeo", "verona")
    async with connect(server, "verona"):
        assert server.accounts["romeo"].keys is None
