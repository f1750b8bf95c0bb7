"""Credentials that are a function: asked for when a login needs them, and not otherwise."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from trioxmpp import AuthenticationFailure, ConnectError, Credentials, ReconnectPolicy, Resumed, Suspended
from trioxmpp.testing import open_server

ROMEO = Credentials("romeo", "secret")


class Vault:
    """Counts how often it was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    def now(self) -> object:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def later(self) -> object:
        await trio.sleep(1)
        return self.now()


def connect(server, credentials, **options):
    defaults = {"endpoint": server.endpoint, "allow_plaintext": True}
    return trioxmpp.connect("romeo@example.test", credentials=credentials, **{**defaults, **options})


@pytest.mark.parametrize("way", ["now", "later"])
async def test_a_function_async_or_not(way, autojump_clock):
    vault = Vault(ROMEO)
    async with open_server() as server, connect(server, getattr(vault, way)) as client:
        assert client.established
    assert vault.asked == 1


async def test_it_is_asked_again_for_every_login(autojump_clock):
    vault = Vault(ROMEO)
    async with open_server() as server, connect(server, vault.later) as client, client.events() as events:
        for logins in (2, 3):
            server.links[0].reset()
            assert isinstance(await anext(events), Suspended)
            assert isinstance(await anext(events), Resumed)
            assert vault.asked == logins


async def test_it_is_not_asked_where_there_is_nobody_to_log_in_to(autojump_clock):
    vault = Vault(ROMEO)

    async def nowhere():
        raise ConnectionRefusedError("nobody is there")

    async with open_server() as server:
        with pytest.raises(ConnectError):
            async with connect(server, vault.now, endpoint=[nowhere, nowhere]):
                pass
        with pytest.raises(trioxmpp.TLSFailure):
            async with connect(server, vault.now, allow_plaintext=False):
                pass
    assert vault.asked == 0


async def test_it_is_asked_once_though_the_first_endpoint_breaks_during_the_login(autojump_clock):
    vault = Vault(ROMEO)
    async with open_server() as server:

        async def brittle():
            return Brittle(await server.endpoint())

        class Brittle(trio.abc.Stream):
            """Breaks when somebody begins to log in."""

            def __init__(self, stream):
                self.stream = stream

            async def send_all(self, data):
                if b"<auth" in data:
                    await self.stream.aclose()
                    raise trio.BrokenResourceError
                await self.stream.send_all(data)

            async def wait_send_all_might_not_block(self):
                await self.stream.wait_send_all_might_not_block()

            async def receive_some(self, max_bytes=None):
                return await self.stream.receive_some(max_bytes)

            async def aclose(self):
                await self.stream.aclose()

        async with connect(server, vault.later, endpoint=[brittle, server.endpoint]) as client:
            assert client.established
    assert vault.asked == 1


async def test_after_a_failure_it_is_up_to_whoever_called(autojump_clock):
    vault = Vault(Credentials("romeo", "wrong"), ROMEO)
    async with open_server() as server:
        with pytest.raises(AuthenticationFailure) as failure:
            async with connect(server, vault.now):
                pass
        assert failure.value.condition == "not-authorized"
        assert vault.asked == 1
        async with connect(server, vault.now) as client:
            assert client.established


async def test_what_it_raises_comes_out_as_it_is(autojump_clock):
    trouble = KeyError("the vault is locked")
    async with open_server() as server:
        with pytest.raises(KeyError) as raised:
            async with connect(server, Vault(trouble).later):
                pass
    assert raised.value is trouble


async def test_what_is_no_credentials_is_a_mistake_and_is_not_repeated(autojump_clock):
    async with open_server() as server:
        with pytest.raises(TypeError, match="must give Credentials, not str") as raised:
            async with connect(server, Vault("s3cret").now):
                pass
    assert "s3cret" not in str(raised.value)


async def test_a_new_password_is_used_at_the_next_login(autojump_clock):
    """The key of the old one is known to the client; it must not be used for the new one."""
    vault = Vault(ROMEO, Credentials("romeo", "changed"))
    reconnect = ReconnectPolicy(initial=0.1, maximum=0.1)
    async with (
        open_server() as server,
        connect(server, vault.now, reconnect=reconnect) as client,
        client.events() as events,
    ):
        server.add_account("romeo", "changed")
        server.links[0].reset()
        assert isinstance(await anext(events), Suspended)
        assert isinstance(await anext(events), Resumed)
