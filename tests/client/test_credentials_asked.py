"""Credentials that are a function: asked for when a login needs them, and not otherwise."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from tests.streams import StreamAround
from trioxmpp import AuthenticationFailure, ConnectError, Credentials, ReconnectPolicy, Resumed, Suspended
from trioxmpp.testing import Faults, open_server

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


@pytest.fixture(params=["SASL", "SASL2", "FAST"])
async def server(request, autojump_clock):
    """A server under TLS, which has what was asked for."""
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    async with open_server(starttls="required") as server:
        server.policy.sasl2 = request.param != "SASL"
        server.policy.fast = ("HT-SHA-256-ENDP",) if request.param == "FAST" else ()
        yield server


def connect_again(server, credentials):
    """Connect, and come back at once whenever the link breaks."""
    reconnect = ReconnectPolicy(initial=0.1, maximum=0.1)
    return connect(server, credentials, tls=server.client_tls_context(), allow_plaintext=False, reconnect=reconnect)


async def comes_back(server, events) -> None:
    """Break the link, and wait until the session goes on on the next one."""
    before = server.link_count
    server.links[-1].reset()
    assert isinstance(await anext(events), Suspended)
    assert isinstance(await anext(events), Resumed)
    assert server.link_count == before + 1


async def test_it_is_asked_once_as_long_as_its_answer_is_good(autojump_clock, server):
    vault = Vault(ROMEO)
    async with connect_again(server, vault.later) as client, client.events() as events:
        for _ in range(3):
            await comes_back(server, events)
    assert vault.asked == 1


async def test_nor_does_a_server_that_hashes_otherwise_need_it_again(autojump_clock, server):
    vault = Vault(ROMEO)
    async with connect_again(server, vault.later) as client, client.events() as events:
        server.policy.mechanisms = ("SCRAM-SHA-1",)
        server.policy.fast = ()
        await comes_back(server, events)
    assert vault.asked == 1


async def test_a_token_that_is_refused_is_no_word_about_the_password(autojump_clock, server):
    vault = Vault(ROMEO)
    async with connect_again(server, vault.later) as client, client.events() as events:
        server.accounts["romeo"].tokens.clear()
        await comes_back(server, events)
    assert vault.asked == 1


async def test_when_it_is_refused_there_may_be_another_one_on_the_same_link(autojump_clock, server):
    vault = Vault(ROMEO, Credentials("romeo", "changed"))
    async with connect_again(server, vault.later) as client, client.events() as events:
        server.add_account("romeo", "changed")
        server.accounts["romeo"].tokens.clear()
        await comes_back(server, events)
        await comes_back(server, events)
    assert vault.asked == 2


async def test_refused_credentials_are_not_tried_again(autojump_clock, server):
    """Accounts are locked for less than that."""
    vault = Vault(ROMEO)
    with pytest.raises(AuthenticationFailure) as failure:
        async with connect_again(server, vault.later):
            server.add_account("romeo", "changed")
            server.accounts["romeo"].tokens.clear()
            server.links[-1].reset()
            await trio.sleep_forever()
    assert failure.value.condition == "not-authorized"
    assert vault.asked == 2
    assert server.link_count == 2


async def test_a_server_that_cannot_tell_just_now_is_no_reason_to_ask(autojump_clock, server):
    vault = Vault(ROMEO)
    async with connect_again(server, vault.later) as client, client.events() as events:
        server.accounts["romeo"].tokens.clear()
        server.policy.fast = ()
        server.plan(Faults(refuse_login="temporary-auth-failure"))
        server.links[-1].reset()
        assert isinstance(await anext(events), Suspended)
        assert isinstance(await anext(events), Resumed)
        assert server.link_count == 3
    assert vault.asked == 1


@pytest.mark.parametrize(
    ("mechanism", "credentials"),
    [("PLAIN", Credentials("romeo", "secret", allow_plain=True)), ("OAUTHBEARER", Credentials.oauth("romeo.secret"))],
)
async def test_a_function_is_asked_each_time(autojump_clock, mechanism, credentials):
    """It is not kept longer than it takes; and tokens come and go."""
    vault = Vault(credentials)
    async with (
        open_server(starttls="required", mechanisms=(mechanism,)) as server,
        connect_again(server, vault.later) as client,
        client.events() as events,
    ):
        for logins in (2, 3):
            await comes_back(server, events)
            assert vault.asked == logins


async def test_it_is_not_asked_where_there_is_no_server_to_log_in_to(autojump_clock):
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

        class Brittle(StreamAround):
            """Breaks when a client begins to log in."""

            async def send_all(self, data):
                if b"<auth" in data:
                    await self.stream.aclose()
                    raise trio.BrokenResourceError
                await self.stream.send_all(data)

        async with connect(server, vault.later, endpoint=[brittle, server.endpoint]) as client:
            assert client.established
    assert vault.asked == 1


async def test_after_a_failure_it_is_up_to_the_caller(autojump_clock):
    vault = Vault(Credentials("romeo", "wrong"), ROMEO)
    async with open_server() as server:
        with pytest.raises(AuthenticationFailure) as failure:
            async with connect(server, vault.now):
                pass
        assert failure.value.condition == "not-authorized"
        assert vault.asked == 1
        async with connect(server, vault.now) as client:
            assert client.established


async def test_an_error_in_it_comes_out_as_it_is(autojump_clock):
    trouble = KeyError("the vault is locked")
    async with open_server() as server:
        with pytest.raises(KeyError) as raised:
            async with connect(server, Vault(trouble).later):
                pass
    assert raised.value is trouble


async def test_a_value_that_is_not_credentials_is_a_mistake_and_is_not_repeated(autojump_clock):
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
